import asyncio
from dataclasses import replace
from typing import Any

import pytest
from auth.domain.email_address import EmailAddress
from auth.domain.errors import (
    CodeExpired,
    CodesTooOften,
    InvalidCode,
    InvalidCredentials,
    InvalidEmail,
    InvalidName,
    MalformedCode,
    TooManyAttempts,
    WeakPassword,
)
from auth.domain.one_time_codes import SEND_LIMITS, SENDS_MAX, TRIES_MAX, CodePurpose
from auth.domain.users import CODES_PER_DAY_MAX, NO_PASSWORD, User
from auth.use_cases.open_session import SignedIn
from chassis.errors import ServiceError
from chassis.identity import Caller, use_caller

EMAIL = "ada@example.com"
PASSWORD = "correct horse battery"
MAILS_PER_DAY_MAX = SEND_LIMITS[CodePurpose.ALREADY_REGISTERED].mails


def caller() -> Caller:
    """From where the owner signs up."""
    return Caller(service="gateway", user_id=None, session_id=None, request_id="", address="203.0.113.7")


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


async def test_the_code_from_the_mail_signs_in_and_is_told_once(world: Any) -> None:
    await world.sign_up(email="  Ada@Example.COM ")
    signed_in = await world.do.verify_email(email=EMAIL, code=world.last_code())
    assert signed_in.user.email_verified
    assert signed_in.user.email == EMAIL
    user = await world.user()
    assert user.email_verified
    assert user.claim is None
    assert user.last_login == world.clock.now()
    assert await world.events() == [("UserVerified", str(user.id))]


async def test_a_code_works_once(world: Any) -> None:
    await world.member()
    with pytest.raises(CodeExpired):
        await world.do.verify_email(email=EMAIL, code=world.last_code())


async def test_a_code_that_is_too_old_is_refused(world: Any) -> None:
    await world.sign_up()
    await world.drop_codes()
    with pytest.raises(CodeExpired):
        await world.do.verify_email(email=EMAIL, code=world.last_code())
    assert not (await world.user()).email_verified


async def test_after_five_wrong_codes_the_right_one_is_refused_too(world: Any) -> None:
    await world.sign_up()
    for tries_left in range(TRIES_MAX - 1, -1, -1):
        with pytest.raises(InvalidCode) as refusal:
            await world.do.verify_email(email=EMAIL, code=wrong(world.last_code()))
        assert refusal.value.details == {"tries_left": str(tries_left)}
    for code in (world.last_code(), wrong(world.last_code())):
        with pytest.raises(TooManyAttempts):
            await world.do.verify_email(email=EMAIL, code=code)


async def test_of_200_parallel_guesses_at_most_five_are_judged(world: Any) -> None:
    await world.sign_up()
    guesses = [f"{(int(world.last_code()) + n) % 1_000_000:06d}" for n in range(1, 201)]
    outcomes = await asyncio.gather(
        *(world.do.verify_email(email=EMAIL, code=guess) for guess in guesses), return_exceptions=True
    )
    assert sum(isinstance(outcome, InvalidCode) for outcome in outcomes) == TRIES_MAX
    assert sum(isinstance(outcome, TooManyAttempts) for outcome in outcomes) == 200 - TRIES_MAX


async def test_the_right_code_sent_many_times_at_once_verifies_once(world: Any) -> None:
    await world.sign_up()
    outcomes = await asyncio.gather(
        *(world.do.verify_email(email=EMAIL, code=world.last_code()) for _ in range(20)), return_exceptions=True
    )
    assert sum(isinstance(outcome, SignedIn) for outcome in outcomes) == 1
    assert [name for name, _ in await world.events()] == ["UserVerified"]


async def test_a_second_proof_of_the_same_address_tells_nobody_again(real_world: Any) -> None:
    """Two codes accepted for one user, as after a reply was lost between Redis and the database."""
    world = real_world
    await world.sign_up()
    digest = world.adapters.digests.of_code(CodePurpose.VERIFY_EMAIL, EMAIL, "123456")
    outcomes = []
    for _ in range(3):
        await world.adapters.codes.put(CodePurpose.VERIFY_EMAIL, EMAIL, digest)
        outcomes.append(await world.do.verify_email(email=EMAIL, code="123456"))
    assert len({outcome.session.id for outcome in outcomes}) == 3
    assert [name for name, _ in await world.events()] == ["UserVerified"]


@pytest.mark.parametrize("closed", ["frozen", "second factor"])
async def test_a_code_opens_no_session_of_what_is_closed_while_it_is_taken(
    real_world: Any, monkeypatch: pytest.MonkeyPatch, closed: str
) -> None:
    """A second code is on its way to an account whose first one has just proven it."""
    world, member = real_world, await real_world.member()
    digest = world.adapters.digests.of_code(CodePurpose.VERIFY_EMAIL, EMAIL, "123456")
    await world.adapters.codes.put(CodePurpose.VERIFY_EMAIL, EMAIL, digest)
    find_user = world.adapters.users.by_email

    async def closed_meanwhile(email: EmailAddress) -> User | None:
        user: User | None = await find_user(email)
        if closed == "frozen":
            with use_caller(replace(caller(), user_id=str(member.user.id))):
                await world.do.freeze_account(ticket="")
        else:
            await world.adapters.users.set_two_factor(member.user.id, enabled=True)
        return user

    monkeypatch.setattr(world.adapters.users, "by_email", closed_meanwhile)
    with pytest.raises(CodeExpired):
        await world.do.verify_email(email=EMAIL, code="123456")
    live = await world.adapters.sessions.live_of_user(member.user.id, world.clock.now(), 10, but=member.session.id)
    assert live == []


async def test_a_new_code_replaces_the_one_before(world: Any) -> None:
    await world.sign_up()
    first = world.last_code()
    await world.resend()
    second = world.last_code()
    if first != second:
        with pytest.raises(InvalidCode):
            await world.do.verify_email(email=EMAIL, code=first)
    assert (await world.do.verify_email(email=EMAIL, code=second)).user.email_verified


async def test_codes_are_sent_so_often_and_no_more_to_known_and_unknown_addresses(world: Any) -> None:
    for email in ("known@example.com", "unknown@example.com"):
        if email.startswith("known"):
            await world.sign_up(email)
        else:
            await world.resend(email)
        for _ in range(SENDS_MAX - 1):
            await world.resend(email)
        with pytest.raises(CodesTooOften) as refusal:
            await world.resend(email)
        assert 590 <= int(refusal.value.details["retry_after_seconds"]) <= 600
    assert [mail.email for mail in world.courier.mails] == ["known@example.com"] * SENDS_MAX


async def test_sign_up_beyond_the_limit_answers_the_same_and_sends_nothing(world: Any) -> None:
    for _ in range(SENDS_MAX + 2):
        await world.sign_up()
    assert len(world.courier.mails) == SENDS_MAX


async def test_an_emptied_redis_gives_a_guesser_no_more_than_the_days_codes(world: Any) -> None:
    await world.sign_up()
    for _ in range(CODES_PER_DAY_MAX + 5):
        await world.drop_codes()
        await world.reset_limits()
        await world.resend()
    assert len(world.courier.mails) == CODES_PER_DAY_MAX
    world.clock.advance(86_401)
    await world.resend()
    assert len(world.courier.mails) == CODES_PER_DAY_MAX + 1


async def test_signing_up_a_known_address_tells_its_owner_and_changes_nothing(world: Any) -> None:
    await world.member()
    before = await world.user()
    await world.sign_up(password="another password", address="198.51.100.1")
    assert world.courier.mails[-1].purpose is CodePurpose.ALREADY_REGISTERED
    assert world.courier.mails[-1].code == ""
    assert await world.user() == before


async def test_an_owner_gets_so_many_mails_a_day_about_sign_ups_of_strangers(world: Any) -> None:
    await world.member()
    for _ in range(MAILS_PER_DAY_MAX + 2):
        await world.reset_limits()
        await world.sign_up()
    mails = [mail for mail in world.courier.mails if mail.purpose is CodePurpose.ALREADY_REGISTERED]
    assert len(mails) == MAILS_PER_DAY_MAX


async def test_guessing_looks_the_same_at_new_known_and_unknown_addresses(world: Any) -> None:
    await world.member("known@example.com")
    await world.sign_up("new@example.com")
    await world.sign_up("known@example.com")
    await world.resend("unknown@example.com")
    answers = {}
    for email in ("new@example.com", "known@example.com", "unknown@example.com"):
        heard = []
        for guess in range(TRIES_MAX + 2):
            try:
                # A one in a million chance per guess to be right is one this test takes.
                await world.do.verify_email(email=email, code=f"{guess:06d}")
            except ServiceError as error:
                heard.append((error.reason, error.message, tuple(error.details.items())))
        answers[email] = heard
    assert answers["new@example.com"] == answers["known@example.com"] == answers["unknown@example.com"]


async def test_typing_the_form_again_takes_the_newer_password(world: Any) -> None:
    await world.sign_up(password="first of two passwords")
    await world.sign_up(password="second of two passwords")
    await world.do.verify_email(email=EMAIL, code=world.last_code())
    assert (await world.do.log_in(email=EMAIL, password="second of two passwords")).user.email_verified
    with pytest.raises(InvalidCredentials):
        await world.do.log_in(email=EMAIL, password="first of two passwords")


@pytest.mark.parametrize("stranger_first", [True, False])
async def test_no_strangers_password_ever_works_after_the_owner_proves_the_address(
    world: Any, *, stranger_first: bool
) -> None:
    claims = [("stranger's password", "198.51.100.66"), (PASSWORD, "203.0.113.7")]
    for password, address in claims if stranger_first else reversed(claims):
        await world.sign_up(password=password, address=address)
    signed_in = await world.do.verify_email(email=EMAIL, code=world.last_code())
    assert signed_in.user.email_verified
    assert (await world.user()).password_hash == NO_PASSWORD
    for password, _ in claims:
        with pytest.raises(InvalidCredentials):
            await world.do.log_in(email=EMAIL, password=password)


@pytest.mark.parametrize("resent", [True, False])
async def test_nor_does_that_of_a_stranger_who_came_when_the_owners_code_was_dead(world: Any, *, resent: bool) -> None:
    await world.sign_up()
    world.clock.advance(601)
    await world.drop_codes()
    await world.sign_up(password="stranger's password", address="198.51.100.66")
    if resent:
        await world.resend()
    # A code is in the mail, and the owner has the form open.
    with use_caller(caller()):
        assert (await world.do.verify_email(email=EMAIL, code=world.last_code())).user.email_verified
    for password in ("stranger's password", PASSWORD):
        with pytest.raises(InvalidCredentials):
            await world.do.log_in(email=EMAIL, password=password)


async def test_a_claim_that_is_made_while_the_code_is_being_taken_brings_no_password(
    real_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = real_world
    await world.sign_up()
    # The code is put a moment after its claim was stored, and lives as much longer.
    world.clock.advance(600)
    find_user = world.adapters.users.by_email

    async def claimed_meanwhile(email: EmailAddress) -> User | None:
        user: User | None = await find_user(email)
        monkeypatch.undo()
        await world.sign_up(password="stranger's password", address="198.51.100.66")
        return user

    monkeypatch.setattr(world.adapters.users, "by_email", claimed_meanwhile)
    with use_caller(caller()):
        assert (await world.do.verify_email(email=EMAIL, code=world.last_code())).user.email_verified
    assert (await world.do.log_in(email=EMAIL, password=PASSWORD)).user.email_verified


async def test_a_claim_whose_code_is_dead_gives_way(world: Any) -> None:
    await world.sign_up(password="stranger's password", address="198.51.100.66")
    world.clock.advance(601)
    await world.drop_codes()
    await world.sign_up()
    with use_caller(caller()):
        await world.do.verify_email(email=EMAIL, code=world.last_code())
    assert (await world.do.log_in(email=EMAIL, password=PASSWORD)).user.email_verified


async def test_a_claim_that_nobody_contests_keeps_its_password_wherever_its_code_is_entered(world: Any) -> None:
    await world.sign_up(address="198.51.100.66")
    with use_caller(caller()):
        await world.do.verify_email(email=EMAIL, code=world.last_code())
    assert (await world.do.log_in(email=EMAIL, password=PASSWORD)).user.email_verified


async def test_parallel_sign_ups_of_one_address_make_one_account(real_world: Any) -> None:
    await asyncio.gather(*(real_world.sign_up() for _ in range(5)))
    user = await real_world.user()
    assert user.claim.codes_sent == SENDS_MAX
    assert (await real_world.do.verify_email(email=EMAIL, code=real_world.last_code())).user.id == user.id


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("email", "no address", InvalidEmail),
        ("email", "a@b@example.com", InvalidEmail),
        ("email", "", InvalidEmail),
        ("password", "short", WeakPassword),
        ("password", "p" * 257, WeakPassword),
        ("password", "password123", WeakPassword),
        ("name", " ", InvalidName),
        ("name", "A\x00da", InvalidName),
        ("name", "n" * 101, InvalidName),
    ],
)
async def test_a_form_that_is_not_right_stores_and_sends_nothing(
    memory_world: Any, field: str, value: str, error: type[Exception]
) -> None:
    form = {"email": EMAIL, "password": PASSWORD, "name": "Ada", field: value}
    with pytest.raises(error):
        await memory_world.do.sign_up(**form)
    await memory_world.settle()
    assert memory_world.courier.mails == []
    assert memory_world.adapters.users.rows == {}


@pytest.mark.parametrize("code", ["", "12345", "1234567", "12345a", "١٢٣٤٥٦", "123456\n", "-12345", "1" * 5000])
async def test_what_is_no_code_costs_no_try(memory_world: Any, code: str) -> None:
    await memory_world.sign_up()
    for _ in range(TRIES_MAX + 1):
        with pytest.raises(MalformedCode):
            await memory_world.do.verify_email(email=EMAIL, code=code)
    assert await memory_world.do.verify_email(email=EMAIL, code=memory_world.last_code())
