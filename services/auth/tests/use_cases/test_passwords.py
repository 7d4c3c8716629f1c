import asyncio
import contextlib
from dataclasses import replace
from typing import Any

import pytest
from auth.domain.devices import Device
from auth.domain.errors import (
    AccountLocked,
    CodeExpired,
    CodesTooOften,
    InvalidCode,
    InvalidCredentials,
    PasswordUnchanged,
    SessionEnded,
    TooManyAttempts,
    WeakPassword,
    WrongPassword,
)
from auth.domain.login_throttle import FAILURES_MAX
from auth.domain.one_time_codes import CODE_LIFETIME, SENDS_MAX, TRIES_MAX, CodePurpose
from auth.domain.users import CODES_PER_DAY_MAX
from authenticator import EMAIL, PASSWORD, caller, told
from chassis.errors import ServiceError
from chassis.identity import NotSignedIn, use_caller

NEW_PASSWORD = "a new battery staple"


class Died(Exception):
    """The process, right after the commit."""


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


async def forget(world: Any, email: str = EMAIL) -> None:
    await world.reset_limits()
    await world.do.request_password_reset(email=email)
    await world.settle()


async def reset(world: Any, code: str, email: str = EMAIL, password: str = NEW_PASSWORD) -> None:
    await world.do.reset_password(email=email, code=code, password=password)


async def test_the_code_from_the_mail_sets_a_new_password_and_ends_all_sessions(world: Any) -> None:
    member = await world.member()
    other = await world.do.log_in(email=EMAIL, password=PASSWORD)
    await forget(world)
    assert world.courier.mails[-1].purpose is CodePurpose.RESET_PASSWORD
    await reset(world, world.last_code())
    for session in (member, other):
        assert await world.is_blacklisted(session.session.id)
        with pytest.raises(SessionEnded):
            await world.do.refresh_session(refresh_token=session.refresh_token)
    with pytest.raises(InvalidCredentials):
        await world.do.log_in(email=EMAIL, password=PASSWORD)
    assert await world.do.log_in(email=EMAIL, password=NEW_PASSWORD)
    await world.settle()
    assert told(world) == ["password_reset"]
    assert [action for action, _, _ in await world.audited()] == ["password_reset"]


async def test_a_reset_opens_an_address_that_a_stranger_has_locked(world: Any) -> None:
    await world.member()
    for _ in range(FAILURES_MAX):
        with pytest.raises(InvalidCredentials):
            await world.do.log_in(email=EMAIL, password="not the password")
    await forget(world)
    await reset(world, world.last_code())
    assert await world.do.log_in(email=EMAIL, password=NEW_PASSWORD)


async def test_a_reset_code_works_once_and_is_no_sign_up_code(world: Any) -> None:
    await world.member()
    await forget(world)
    code = world.last_code()
    with pytest.raises(CodeExpired):
        await world.do.verify_email(email=EMAIL, code=code)
    await reset(world, code)
    with pytest.raises(CodeExpired):
        await reset(world, code, password="yet another staple")
    with pytest.raises(InvalidCredentials):
        await world.do.log_in(email=EMAIL, password="yet another staple")


async def test_of_200_parallel_guesses_at_a_reset_code_at_most_five_are_judged(world: Any) -> None:
    await world.member()
    await forget(world)
    guesses = [f"{(int(world.last_code()) + n) % 1_000_000:06d}" for n in range(1, 201)]
    outcomes = await asyncio.gather(*(reset(world, guess) for guess in guesses), return_exceptions=True)
    assert sum(isinstance(outcome, InvalidCode) for outcome in outcomes) == TRIES_MAX
    assert sum(isinstance(outcome, TooManyAttempts) for outcome in outcomes) == 200 - TRIES_MAX


async def test_known_unverified_and_unknown_addresses_hear_the_same(world: Any) -> None:
    await world.member("known@example.com")
    await world.sign_up("waiting@example.com")
    heard = []
    for email in ("known@example.com", "waiting@example.com", "unknown@example.com"):
        # More often than mails are sent, and every time the same silence.
        answers: list[Any] = [await world.do.request_password_reset(email=email) for _ in range(SENDS_MAX + 2)]
        await world.settle()
        for code in ["000000"] * (TRIES_MAX + 1):
            with pytest.raises(ServiceError) as refusal:
                await reset(world, code, email)
            answers.append((refusal.value.reason, refusal.value.details))
        heard.append(answers)
    assert heard[0] == heard[1] == heard[2]
    mails = [mail.email for mail in world.courier.mails if mail.purpose is CodePurpose.RESET_PASSWORD]
    assert set(mails) == {"known@example.com"}


async def test_of_two_who_ask_at_once_one_code_is_mailed_and_it_works(world: Any) -> None:
    await world.member()
    for _ in range(2):
        await world.do.request_password_reset(email=EMAIL)
    await world.settle()
    mails = [mail for mail in world.courier.mails if mail.purpose is CodePurpose.RESET_PASSWORD]
    assert len(mails) == 1
    await reset(world, mails[0].code)


async def test_the_mail_of_a_code_that_had_to_wait_tells_when_it_ends(world: Any) -> None:
    await world.member()
    asked_at = world.clock.now()
    await world.do.request_password_reset(email=EMAIL)
    world.clock.advance(60)
    await world.settle()
    assert world.courier.mails[-1].expires_at == asked_at + CODE_LIFETIME


@pytest.mark.parametrize("last", ["sign-up", "resend", "forgotten"])
async def test_guesses_do_not_tell_known_addresses_when_the_codes_of_the_day_are_used_up(world: Any, last: str) -> None:
    await world.member("known@example.com")
    heard = []
    for email in ("known@example.com", "unknown@example.com"):
        for number in range(CODES_PER_DAY_MAX + 1):
            await world.reset_limits()
            await world.drop_codes()
            if last == "forgotten":
                await world.do.request_password_reset(email=email)
            elif last == "resend" and number == CODES_PER_DAY_MAX:
                await world.resend(email)
            else:
                await world.sign_up(email)
            await world.settle()
        answers = []
        for code in ["000000"] * (TRIES_MAX + 1):
            guess = reset(world, code, email) if last == "forgotten" else world.do.verify_email(email=email, code=code)
            with pytest.raises(ServiceError) as refusal:
                await guess
            answers.append((refusal.value.reason, refusal.value.details))
        heard.append(answers)
    assert heard[0] == heard[1]


async def test_an_emptied_redis_gives_no_more_than_the_days_codes(world: Any) -> None:
    await world.member()
    for _ in range(CODES_PER_DAY_MAX + 5):
        await forget(world)
        await world.drop_codes()
    sent = [mail for mail in world.courier.mails if mail.purpose is CodePurpose.RESET_PASSWORD]
    assert len(sent) == CODES_PER_DAY_MAX
    world.clock.advance(86_400)
    await forget(world)
    await reset(world, world.last_code())


async def test_a_stranger_who_asks_for_sign_up_codes_keeps_no_owner_from_a_new_password(world: Any) -> None:
    await world.member()
    for _ in range(SENDS_MAX):
        with contextlib.suppress(CodesTooOften):
            await world.resend()
    await world.do.request_password_reset(email=EMAIL)
    await world.settle()
    await reset(world, world.last_code())
    assert await world.do.log_in(email=EMAIL, password=NEW_PASSWORD)


async def test_a_weak_password_is_refused_before_the_code_is_spent(world: Any) -> None:
    await world.member()
    await forget(world)
    with pytest.raises(WeakPassword):
        await reset(world, world.last_code(), password="12345678")
    await reset(world, world.last_code())


async def test_changing_the_password_asks_the_old_one_and_ends_the_other_sessions(world: Any) -> None:
    member = await world.member()
    other = await world.do.log_in(email=EMAIL, password=PASSWORD)
    with use_caller(caller(member)):
        with pytest.raises(WrongPassword):
            await world.do.change_password(current_password="not the password", password=NEW_PASSWORD)
        with pytest.raises(PasswordUnchanged):
            await world.do.change_password(current_password=PASSWORD, password=PASSWORD)
        with pytest.raises(WeakPassword):
            await world.do.change_password(current_password=PASSWORD, password="12345678")
        assert not await world.is_blacklisted(other.session.id)
        await world.do.change_password(current_password=PASSWORD, password=NEW_PASSWORD)
    assert await world.is_blacklisted(other.session.id)
    assert not await world.is_blacklisted(member.session.id)
    assert await world.do.refresh_session(refresh_token=member.refresh_token)
    with pytest.raises(InvalidCredentials):
        await world.do.log_in(email=EMAIL, password=PASSWORD)
    await world.do.log_in(email=EMAIL, password=NEW_PASSWORD)
    await world.settle()
    assert told(world) == ["password_changed"]
    assert await world.audited() == [("password_changed", f"user:{member.user.id}", None)]


async def test_a_process_that_dies_as_the_password_changes_leaves_no_session_of_the_old_one(world: Any) -> None:
    member = await world.member()
    other = await world.do.log_in(email=EMAIL, password=PASSWORD)
    old_hash, transactions = (await world.user()).password_hash, world.adapters.transactions

    class Dying:
        async def run(self, work: Any) -> Any:
            done = await transactions.run(work)
            if (await world.user()).password_hash != old_hash:
                raise Died
            return done

    world.adapters = replace(world.adapters, transactions=Dying(), in_turn=Dying())
    with use_caller(caller(member)), pytest.raises(Died):
        await world.do.change_password(current_password=PASSWORD, password=NEW_PASSWORD)
    assert await world.is_blacklisted(other.session.id)
    with pytest.raises(SessionEnded):
        await world.do.refresh_session(refresh_token=other.refresh_token)
    assert not await world.is_blacklisted(member.session.id)


async def test_a_stolen_session_has_five_guesses_at_the_password(world: Any) -> None:
    member = await world.member()
    with use_caller(caller(member)):
        for _ in range(FAILURES_MAX):
            with pytest.raises(WrongPassword):
                await world.do.change_password(current_password="not the password", password=NEW_PASSWORD)
        with pytest.raises(AccountLocked):
            await world.do.change_password(current_password=PASSWORD, password=NEW_PASSWORD)
    # They count against the session's device, not against the owner's others.
    assert await world.do.log_in(email=EMAIL, password=PASSWORD)
    with pytest.raises(AccountLocked):
        await world.do.log_in(email=EMAIL, password=PASSWORD, device=Device(token=member.device_token))


async def test_a_right_guess_that_is_hashed_while_five_others_fail_is_not_told_from_them(world: Any) -> None:
    member, passwords, others = await world.member(), world.adapters.passwords, world.do

    class Slow:
        """The hash of the right one is done last."""

        async def verify(self, password: str, password_hash: str | None) -> Any:
            for number in range(FAILURES_MAX):
                with pytest.raises(WrongPassword):
                    await others.change_password(current_password=f"guess number {number}", password=NEW_PASSWORD)
            return await passwords.verify(password, password_hash)

        async def hash(self, password: str) -> str:
            hashed: str = await passwords.hash(password)
            return hashed

    world.adapters = replace(world.adapters, passwords=Slow())
    with use_caller(caller(member)), pytest.raises(AccountLocked):
        await world.do.change_password(current_password=PASSWORD, password=NEW_PASSWORD)


async def test_of_two_changes_at_once_one_wins(world: Any) -> None:
    member = await world.member()

    async def change(password: str) -> None:
        with use_caller(caller(member)):
            await world.do.change_password(current_password=PASSWORD, password=password)

    chosen = [f"{NEW_PASSWORD} {number}" for number in range(4)]
    outcomes = await asyncio.gather(*(change(password) for password in chosen), return_exceptions=True)
    assert [outcome for outcome in outcomes if outcome is None] == [None]
    assert sum(isinstance(outcome, WrongPassword) for outcome in outcomes) == 3
    assert await world.do.log_in(email=EMAIL, password=chosen[outcomes.index(None)])


async def test_nobody_changes_a_password_without_a_session(world: Any) -> None:
    with pytest.raises(NotSignedIn):
        await world.do.change_password(current_password=PASSWORD, password=NEW_PASSWORD)
