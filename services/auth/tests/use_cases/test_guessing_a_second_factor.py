"""What is taken for a second factor, how often one may be wrong, and who pays for it."""

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID

import pytest
from auth.domain.devices import Device
from auth.domain.errors import (
    MalformedCode,
    SecondFactorLocked,
    WrongSecondFactor,
    WrongSignInCode,
)
from auth.domain.login_throttle import FAILURES_MAX
from auth.domain.second_factor import RECOVERY_ALPHABET, SecondFactor
from auth.use_cases.open_session import SignedIn
from authenticator import PASSWORD, Phone, caller, challenged, enrolled, told
from chassis.identity import use_caller


async def test_no_code_is_taken_twice_nor_one_older_than_the_last(world: Any) -> None:
    _, phone, _ = await enrolled(world)
    challenge = await challenged(world)
    # The code that switched it on is spent.
    with pytest.raises(WrongSignInCode):
        await world.do.answer_challenge(challenge=challenge, code=phone.code())
    ahead = phone.code(1)
    assert await world.do.answer_challenge(challenge=challenge, code=ahead)
    for spent in (ahead, phone.code(), phone.code(-1)):
        with pytest.raises(WrongSignInCode):
            await world.do.answer_challenge(challenge=challenge, code=spent)


async def test_of_one_code_sent_many_times_at_once_one_is_taken(world: Any) -> None:
    _, phone, _ = await enrolled(world)
    challenge, code = await challenged(world), phone.next_code()
    outcomes = await asyncio.gather(
        *(world.do.answer_challenge(challenge=challenge, code=code) for _ in range(10)), return_exceptions=True
    )
    assert sum(isinstance(outcome, SignedIn) for outcome in outcomes) == 1


async def test_of_two_who_have_both_looked_before_either_spends_a_code_one_is_taken(
    real_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = real_world
    _, phone, recovery_codes = await enrolled(world)
    look, both = world.adapters.second_factors.get, asyncio.Barrier(2)

    async def look_together(user_id: UUID) -> SecondFactor:
        factor: SecondFactor = await look(user_id)
        await both.wait()
        return factor

    monkeypatch.setattr(world.adapters.second_factors, "get", look_together)
    for code in (phone.next_code(), recovery_codes[0]):
        challenge = await challenged(world)
        outcomes = await asyncio.gather(
            *(world.do.answer_challenge(challenge=challenge, code=code) for _ in range(2)), return_exceptions=True
        )
        assert {type(outcome) for outcome in outcomes} == {SignedIn, WrongSignInCode}


@pytest.mark.parametrize(("steps", "taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
async def test_a_clock_may_be_half_a_minute_off(memory_world: Any, steps: int, taken: bool) -> None:  # noqa: FBT001
    _, phone, _ = await enrolled(memory_world)
    memory_world.clock.advance(120)
    challenge = await challenged(memory_world)
    if taken:
        assert await memory_world.do.answer_challenge(challenge=challenge, code=phone.code(steps))
        return
    with pytest.raises(WrongSignInCode):
        await memory_world.do.answer_challenge(challenge=challenge, code=phone.code(steps))


async def test_of_200_parallel_guesses_at_most_five_are_judged_and_then_the_right_one_is_refused(world: Any) -> None:
    _, phone, _ = await enrolled(world)
    challenge, wrong = await challenged(world), phone.wrong()
    outcomes = await asyncio.gather(
        *(world.do.answer_challenge(challenge=challenge, code=wrong) for _ in range(200)), return_exceptions=True
    )
    assert sum(isinstance(outcome, WrongSignInCode) for outcome in outcomes) == FAILURES_MAX
    assert sum(isinstance(outcome, SecondFactorLocked) for outcome in outcomes) == 200 - FAILURES_MAX
    # A new challenge gives no new guesses.
    with pytest.raises(SecondFactorLocked):
        await world.do.answer_challenge(challenge=await challenged(world), code=phone.next_code())
    world.clock.advance(900)
    assert await world.do.answer_challenge(challenge=await challenged(world), code=phone.code())


async def test_of_200_guesses_at_once_with_the_right_one_among_the_last_none_is_taken(world: Any) -> None:
    _, phone, _ = await enrolled(world)
    challenge = await challenged(world)
    guesses = [phone.wrong()] * 199 + [phone.next_code()]
    outcomes = await asyncio.gather(
        *(world.do.answer_challenge(challenge=challenge, code=guess) for guess in guesses), return_exceptions=True
    )
    assert Counter(type(outcome) for outcome in outcomes) == {WrongSignInCode: 5, SecondFactorLocked: 195}


async def test_who_has_the_password_cannot_lock_the_owners_device_out_and_gets_no_guesses_of_it(world: Any) -> None:
    member, phone, codes = await enrolled(world)
    challenge, wrong = await challenged(world), phone.wrong()
    for _ in range(FAILURES_MAX):
        with pytest.raises(WrongSignInCode):
            await world.do.answer_challenge(challenge=challenge, code=wrong)
    for strange in (Device(), Device(token="x"), Device(token=(await world.member("bob@example.com")).device_token)):
        with pytest.raises(SecondFactorLocked):
            await world.do.answer_challenge(challenge=challenge, code=phone.code(1), device=strange)
    known = Device(token=member.device_token)
    signed_in = await world.do.answer_challenge(challenge=challenge, code=phone.next_code(), device=known)
    # In its session, too; and its coming and going gives the stranger no new guesses.
    with use_caller(caller(signed_in)):
        await world.do.step_up(code=codes[0])
    with pytest.raises(SecondFactorLocked):
        await world.do.answer_challenge(challenge=challenge, code=codes[1])


async def test_a_known_device_has_five_guesses_of_its_own(world: Any) -> None:
    member, phone, codes = await enrolled(world)
    known = Device(token=member.device_token)
    challenge, wrong = await challenged(world, known), phone.wrong()
    outcomes = await asyncio.gather(
        *(world.do.answer_challenge(challenge=challenge, code=wrong, device=known) for _ in range(20)),
        return_exceptions=True,
    )
    assert Counter(type(outcome) for outcome in outcomes) == {WrongSignInCode: 5, SecondFactorLocked: 15}
    with use_caller(caller(member)):
        for use in (world.do.step_up, world.do.disable_second_factor, world.do.renew_recovery_codes):
            with pytest.raises(SecondFactorLocked):
                await use(code=codes[0])
    # The owner's others go on.
    assert await world.do.answer_challenge(challenge=challenge, code=codes[0])


async def test_the_fifth_try_may_be_the_right_one_and_then_there_are_five_again(world: Any) -> None:
    _, phone, codes = await enrolled(world)
    challenge, wrong = await challenged(world), phone.wrong()
    for right in codes[:2]:
        for _ in range(FAILURES_MAX - 1):
            with pytest.raises(WrongSignInCode):
                await world.do.answer_challenge(challenge=challenge, code=wrong)
        assert await world.do.answer_challenge(challenge=challenge, code=right)


async def test_each_recovery_code_opens_once_however_it_is_typed(world: Any) -> None:
    _, _, codes = await enrolled(world)
    assert all(set(code.replace("-", "")) <= set(RECOVERY_ALPHABET) for code in codes)
    for code in (codes[0].upper(), codes[1].replace("-", " "), f" {codes[2]} "):
        assert await world.do.answer_challenge(challenge=await challenged(world), code=code)
        with pytest.raises(WrongSignInCode):
            await world.do.answer_challenge(challenge=await challenged(world), code=code)
    await world.settle()
    assert told(world)[1:] == ["recovery_code_used"] * 3


async def test_another_accounts_recovery_code_is_wrong(world: Any) -> None:
    _, _, codes = await enrolled(world)
    other = await world.member("bob@example.com")
    with use_caller(caller(other)):
        phone = Phone(world, (await world.do.set_up_second_factor()).secret)
        await world.do.enable_second_factor(code=phone.code(), password=PASSWORD)
        with pytest.raises(WrongSecondFactor):
            await world.do.step_up(code=codes[0])


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcde-abcd0", "abcde-abcdl1", "١٢٣٤٥٦", "x" * 500])
async def test_what_no_code_looks_like_costs_no_try(memory_world: Any, code: str) -> None:
    _, phone, _ = await enrolled(memory_world)
    challenge = await challenged(memory_world)
    for _ in range(FAILURES_MAX + 1):
        with pytest.raises(MalformedCode):
            await memory_world.do.answer_challenge(challenge=challenge, code=code)
    assert await memory_world.do.answer_challenge(challenge=challenge, code=phone.next_code())
