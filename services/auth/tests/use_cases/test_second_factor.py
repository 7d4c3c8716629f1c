import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import pyotp
import pytest
from auth.crypto.seal import RootSeal, SealBroken
from auth.domain.devices import Device
from auth.domain.errors import (
    AccountLocked,
    ChallengeExpired,
    CodeExpired,
    InvalidCredentials,
    MfaRequired,
    StepUpRequired,
    TwoFactorAlreadyEnabled,
    TwoFactorNotEnabled,
    TwoFactorNotSetUp,
    WrongPassword,
    WrongSecondFactor,
    WrongSignInCode,
)
from auth.domain.second_factor import RECOVERY_CODES
from authenticator import EMAIL, PASSWORD, Phone, caller, challenged, enrolled, told
from chassis.identity import NotSignedIn, use_caller


class Died(Exception):
    """The process, right after the commit."""


async def test_set_up_shows_a_secret_an_app_can_read(memory_world: Any) -> None:
    member = await memory_world.member()
    with use_caller(caller(member)):
        proposed = await memory_world.do.set_up_second_factor()
    app = pyotp.parse_uri(proposed.uri)
    assert (app.name, app.issuer, app.secret) == (EMAIL, "CryptoVault", proposed.secret)
    assert len(app.byte_secret()) == 20
    rows = proposed.qr_rows
    assert {len(row) for row in rows} == {len(rows)}
    # The finder pattern in the corner of every QR code.
    assert [row[:7] for row in rows[:3]] == ["1111111", "1000001", "1011101"]


async def test_a_second_factor_is_asked_for_from_the_moment_it_is_on(world: Any) -> None:
    member = await world.member()
    other = await world.do.log_in(email=EMAIL, password=PASSWORD)
    with use_caller(caller(member)):
        phone = Phone(world, (await world.do.set_up_second_factor()).secret)
        # Proposed is not on.
        assert await world.do.log_in(email=EMAIL, password=PASSWORD)
        with pytest.raises(WrongSecondFactor):
            await world.do.enable_second_factor(code=phone.wrong(), password=PASSWORD)
        codes = await world.do.enable_second_factor(code=phone.code(), password=PASSWORD)
    assert len(set(codes)) == RECOVERY_CODES
    assert (await world.user()).two_factor_enabled
    # Opened without it, so over.
    assert await world.is_blacklisted(other.session.id)
    assert not await world.is_blacklisted(member.session.id)
    challenge = await challenged(world)
    signed_in = await world.do.answer_challenge(
        challenge=challenge, code=phone.next_code(), device=Device(name="Firefox", token=member.device_token)
    )
    assert signed_in.user.id == member.user.id
    assert (signed_in.session.device_id, signed_in.session.device_name) == (member.session.device_id, "Firefox")
    assert (await world.user()).last_login == world.clock.now()
    await world.settle()
    assert told(world) == ["two_factor_enabled"]
    assert await world.audited() == [("two_factor_enabled", f"user:{member.user.id}", None)]


async def test_a_stolen_session_alone_puts_no_factor_in_the_owners_way(world: Any) -> None:
    member = await world.member()
    with use_caller(caller(member)):
        phone = Phone(world, (await world.do.set_up_second_factor()).secret)
        outcomes = await asyncio.gather(
            *(world.do.enable_second_factor(code=phone.code(), password=f"guess number {n}") for n in range(20)),
            return_exceptions=True,
        )
        assert Counter(type(outcome) for outcome in outcomes) == {WrongPassword: 5, AccountLocked: 15}
        with pytest.raises(AccountLocked):
            await world.do.enable_second_factor(code=phone.code(), password=PASSWORD)
        assert not (await world.user()).two_factor_enabled
        world.clock.advance(900)
        assert await world.do.enable_second_factor(code=phone.code(), password=PASSWORD)


async def test_a_thiefs_factor_that_waits_for_its_turn_is_not_on_once_the_owner_has_the_account_back(
    world: Any,
) -> None:
    """He knew the password, and it was checked: the hash may take seconds, and a reset comes in between."""
    member, transactions, owners = await world.member(), world.adapters.in_turn, world.do
    await owners.request_password_reset(email=EMAIL)
    await world.settle()

    class Late:
        async def run(self, work: Any) -> Any:
            await owners.reset_password(email=EMAIL, code=world.last_code(), password="a new battery staple")
            return await transactions.run(work)

    with use_caller(caller(member)):
        phone = Phone(world, (await world.do.set_up_second_factor()).secret)
        world.adapters = replace(world.adapters, in_turn=Late())
        with pytest.raises(NotSignedIn):
            await world.do.enable_second_factor(code=phone.code(), password=PASSWORD)
    assert not (await world.user()).two_factor_enabled


async def test_a_process_that_dies_as_it_is_switched_on_leaves_no_session_without_it(world: Any) -> None:
    member = await world.member()
    other = await world.do.log_in(email=EMAIL, password=PASSWORD)
    transactions = world.adapters.transactions

    class Dying:
        async def run(self, work: Any) -> Any:
            done = await transactions.run(work)
            if (await world.user()).two_factor_enabled:
                raise Died
            return done

    with use_caller(caller(member)):
        phone = Phone(world, (await world.do.set_up_second_factor()).secret)
        world.adapters = replace(world.adapters, transactions=Dying(), in_turn=Dying())
        with pytest.raises(Died):
            await world.do.enable_second_factor(code=phone.code(), password=PASSWORD)
    assert (await world.user()).two_factor_enabled
    assert await world.is_blacklisted(other.session.id)
    assert not await world.is_blacklisted(member.session.id)


async def test_a_reset_by_mailbox_leaves_the_factor_on_and_the_owner_hears_of_it(world: Any) -> None:
    _, phone, _ = await enrolled(world)
    await world.do.request_password_reset(email=EMAIL)
    await world.settle()
    await world.do.reset_password(email=EMAIL, code=world.last_code(), password="a new battery staple")
    await world.settle()
    assert told(world)[-1] == "password_reset_two_factor_on"
    with pytest.raises(MfaRequired) as refusal:
        await world.do.log_in(email=EMAIL, password="a new battery staple")
    challenge = str(refusal.value.details["challenge"])
    assert await world.do.answer_challenge(challenge=challenge, code=phone.next_code())


async def test_a_challenge_is_good_for_five_minutes_one_account_and_one_password(world: Any) -> None:
    _, phone, _ = await enrolled(world)
    challenge = await challenged(world)
    for damaged in (
        "",
        "x",
        challenge[:-4],
        challenge + "AAAA",
        "B" + challenge[1:],
        "A" * 75,
        "é" * 75,
        challenge * 3,
    ):
        with pytest.raises(ChallengeExpired):
            await world.do.answer_challenge(challenge=damaged, code=phone.code(1))
    user = await world.user()
    await world.adapters.users.set_password(user.id, "another hash")
    with pytest.raises(ChallengeExpired):
        await world.do.answer_challenge(challenge=challenge, code=phone.code(1))
    await world.adapters.users.set_password(user.id, user.password_hash)
    world.clock.advance(300)
    with pytest.raises(ChallengeExpired):
        await world.do.answer_challenge(challenge=challenge, code=phone.code())


async def test_a_wrong_password_hears_nothing_of_a_second_factor(world: Any) -> None:
    await enrolled(world)
    with pytest.raises(InvalidCredentials):
        await world.do.log_in(email=EMAIL, password="not the password")


async def test_a_sign_up_code_does_not_go_around_it(world: Any) -> None:
    await enrolled(world)
    address = (await world.user()).email
    purpose = next(iter(type(world.courier.mails[0].purpose)))
    digest = world.adapters.digests.of_code(purpose, address, "123456")
    await world.adapters.codes.put(purpose, address, digest)
    with pytest.raises(CodeExpired):
        await world.do.verify_email(email=EMAIL, code="123456")


async def test_it_is_switched_off_by_a_code_of_it_alone(world: Any) -> None:
    member, phone, _ = await enrolled(world)
    with use_caller(caller(member)):
        with pytest.raises(TwoFactorAlreadyEnabled):
            await world.do.set_up_second_factor()
        with pytest.raises(TwoFactorAlreadyEnabled):
            await world.do.enable_second_factor(code=phone.next_code(), password=PASSWORD)
        with pytest.raises(WrongSecondFactor):
            await world.do.disable_second_factor(code=phone.wrong())
        assert (await world.user()).two_factor_enabled
        await world.do.disable_second_factor(code=phone.code())
        with pytest.raises(TwoFactorNotEnabled):
            await world.do.disable_second_factor(code=phone.next_code())
    assert not (await world.user()).two_factor_enabled
    assert await world.do.log_in(email=EMAIL, password=PASSWORD)
    await world.settle()
    assert told(world) == ["two_factor_enabled", "two_factor_disabled"]
    assert [action for action, _, _ in await world.audited()] == ["two_factor_enabled", "two_factor_disabled"]


async def test_new_recovery_codes_void_the_old_ones(world: Any) -> None:
    member, phone, old = await enrolled(world)
    with use_caller(caller(member)):
        with pytest.raises(WrongSecondFactor):
            await world.do.renew_recovery_codes(code=phone.wrong())
        new = await world.do.renew_recovery_codes(code=phone.next_code())
    assert set(new).isdisjoint(old)
    with pytest.raises(WrongSignInCode):
        await world.do.answer_challenge(challenge=await challenged(world), code=old[0])
    assert await world.do.answer_challenge(challenge=await challenged(world), code=new[0])


async def test_nothing_is_switched_on_that_was_not_set_up(world: Any) -> None:
    member = await world.member()
    with use_caller(caller(member)):
        with pytest.raises(TwoFactorNotSetUp):
            await world.do.enable_second_factor(code="123456", password=PASSWORD)
        for use in (world.do.disable_second_factor, world.do.renew_recovery_codes, world.do.step_up):
            with pytest.raises(TwoFactorNotEnabled):
                await use(code="123456")
    for use in (world.do.disable_second_factor, world.do.step_up):
        with pytest.raises(NotSignedIn):
            await use(code="123456")
    with pytest.raises(NotSignedIn):
        await world.do.enable_second_factor(code="123456", password=PASSWORD)
    with pytest.raises(NotSignedIn):
        await world.do.set_up_second_factor()


async def test_a_step_up_opens_one_session_for_five_minutes(world: Any) -> None:
    member, phone, _ = await enrolled(world)
    other = await world.do.answer_challenge(challenge=await challenged(world), code=phone.next_code())
    with use_caller(caller(member)):
        with pytest.raises(StepUpRequired) as refusal:
            await world.do.require_step_up()
        assert refusal.value.details == {"two_factor": "enabled"}
        with pytest.raises(WrongSecondFactor):
            await world.do.step_up(code=phone.wrong())
        until = await world.do.step_up(code=phone.next_code())
        assert (until - world.clock.now()).total_seconds() == 300
        await world.do.require_step_up()
        world.clock.advance(299)
        await world.do.require_step_up()
    with use_caller(caller(other)), pytest.raises(StepUpRequired):
        await world.do.require_step_up()
    world.clock.advance(1)
    with use_caller(caller(member)), pytest.raises(StepUpRequired):
        await world.do.require_step_up()


async def test_who_has_no_second_factor_is_told_to_set_one_up(world: Any) -> None:
    member = await world.member()
    with use_caller(caller(member)), pytest.raises(StepUpRequired) as refusal:
        await world.do.require_step_up()
    assert refusal.value.details == {"two_factor": "disabled"}
    with pytest.raises(NotSignedIn):
        await world.do.require_step_up()


async def test_with_a_second_factor_a_new_password_needs_a_step_up(world: Any) -> None:
    member, phone, _ = await enrolled(world)
    with use_caller(caller(member)):
        with pytest.raises(StepUpRequired):
            await world.do.change_password(current_password=PASSWORD, password="a new battery staple")
        await world.do.step_up(code=phone.next_code())
        await world.do.change_password(current_password=PASSWORD, password="a new battery staple")


async def test_neither_secret_nor_recovery_codes_lie_in_the_database(real_world: Any, mongo: Any) -> None:
    _, phone, codes = await enrolled(real_world)
    kept = []
    for name in await mongo.database.list_collection_names():
        kept += [repr(row) for row in await mongo.database[name].find({}).to_list(None)]
    for secret in (
        phone.secret,
        repr(pyotp.TOTP(phone.secret).byte_secret()),
        *codes,
        *(c.replace("-", "") for c in codes),
    ):
        assert not [row for row in kept if secret in row]


def test_what_was_sealed_opens_for_its_own_purpose_and_owner_alone() -> None:
    seal = RootSeal(b"root")
    sealed = seal.close(b"secret", purpose="p", owner="o")
    assert seal.open(sealed, purpose="p", owner="o") == b"secret"
    assert seal.close(b"secret", purpose="p", owner="o") != sealed
    for other, purpose, owner, text in (
        (RootSeal(b"other"), "p", "o", sealed),
        (seal, "q", "o", sealed),
        (seal, "p", "q", sealed),
        (seal, "p", "o", "A" + sealed[1:] if sealed[0] != "A" else "B" + sealed[1:]),
        (seal, "p", "o", "not base64!"),
        (seal, "p", "o", ""),
    ):
        with pytest.raises(SealBroken):
            other.open(text, purpose=purpose, owner=owner)
