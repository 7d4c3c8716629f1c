import asyncio
from dataclasses import replace
from typing import Any

import pytest
from auth.domain.devices import Device
from auth.domain.errors import (
    AccountLocked,
    InvalidCredentials,
    TooBusy,
    WeakPassword,
)
from auth.domain.login_throttle import FAILURES_MAX
from auth.use_cases.crypto_ports import PasswordCheck
from auth.use_cases.open_session import SignedIn
from chassis.errors import ServiceError
from joserfc import jwt

EMAIL = "ada@example.com"
PASSWORD = "correct horse battery"


async def fail(world: Any, email: str, times: int = 1) -> list[tuple[str, str]]:
    heard = []
    for _ in range(times):
        with pytest.raises(ServiceError) as refusal:
            await world.do.log_in(email=email, password="not the password")
        heard.append((refusal.value.reason, refusal.value.message))
    return heard


async def test_the_right_password_opens_a_session_whose_tokens_say_what_was_promised(
    world: Any, signing_key: Any
) -> None:
    member = await world.member()
    signed_in = await world.do.log_in(email=" ADA@example.com", password=PASSWORD)
    token = jwt.decode(signed_in.access_token, signing_key, algorithms=["Ed25519"])
    now = int(world.clock.now().timestamp())
    claims = dict(token.claims)
    assert claims.pop("jti")
    assert claims == {
        "sub": str(member.user.id),
        "type": "access",
        "iss": "https://issuer",
        "aud": "cryptovault",
        "iat": now,
        "exp": now + 1800,
        "sid": str(signed_in.session.id),
        "scope": " ".join(signed_in.user.permissions),
    }
    assert (signed_in.access_expires_in, signed_in.refresh_expires_in) == (1800, 604_800)
    assert signed_in.session.id != member.session.id
    assert (await world.user()).last_login == world.clock.now()


async def test_a_password_is_the_same_in_every_composition_of_its_letters(world: Any) -> None:
    await world.member(password="Pässwörter sind gut")
    assert await world.do.log_in(email=EMAIL, password="Pa\u0308sswo\u0308rter sind gut")


async def test_known_and_unknown_addresses_fail_and_lock_alike(world: Any) -> None:
    await world.member("known@example.com")
    known = await fail(world, "known@example.com", FAILURES_MAX + 2)
    unknown = await fail(world, "unknown@example.com", FAILURES_MAX + 2)
    assert known == unknown
    assert [reason for reason, _ in known] == ["invalid_credentials"] * FAILURES_MAX + ["account_locked"] * 2


async def test_while_locked_the_right_password_is_refused_and_afterwards_it_works(world: Any) -> None:
    await world.member()
    await fail(world, EMAIL, FAILURES_MAX)
    locked = (await world.user()).throttle
    assert locked.failed_attempts == FAILURES_MAX
    with pytest.raises(AccountLocked) as refusal:
        await world.do.log_in(email=EMAIL, password=PASSWORD)
    assert refusal.value.details == {"retry_after_seconds": "900"}
    world.clock.advance(899)
    with pytest.raises(AccountLocked):
        await world.do.log_in(email=EMAIL, password=PASSWORD)
    world.clock.advance(1)
    await world.do.log_in(email=EMAIL, password=PASSWORD)
    assert (await world.user()).throttle.failed_attempts == 0


async def test_success_clears_the_failures(world: Any) -> None:
    await world.member()
    for _ in range(3):
        await fail(world, EMAIL, FAILURES_MAX - 1)
        await world.do.log_in(email=EMAIL, password=PASSWORD)


async def test_the_fields_of_the_product_document_show_the_lock(real_world: Any, mongo: Any) -> None:
    await real_world.member()
    await fail(real_world, EMAIL, FAILURES_MAX)
    row = await mongo.database["users"].find_one({"email": EMAIL})
    assert row["failed_login_attempts"] == FAILURES_MAX
    assert (row["locked_until"] - real_world.clock.now()).total_seconds() == 900


@pytest.mark.parametrize("email", ["known@example.com", "unknown@example.com"])
async def test_parallel_guesses_are_all_counted_and_few_are_told(real_world: Any, email: str) -> None:
    await real_world.member("known@example.com")
    outcomes = await asyncio.gather(
        *(real_world.do.log_in(email=email, password=f"guess number {n}") for n in range(60)), return_exceptions=True
    )
    told = sum(isinstance(outcome, InvalidCredentials) for outcome in outcomes)
    assert told == FAILURES_MAX
    assert told + sum(isinstance(outcome, AccountLocked) for outcome in outcomes) == 60
    with pytest.raises(AccountLocked):
        await real_world.do.log_in(email=email, password=PASSWORD)


async def test_the_right_guess_that_was_hashed_while_others_failed_is_not_told(world: Any) -> None:
    hashing, go_on = asyncio.Event(), asyncio.Event()

    class Slow:
        def make_sure_of_room(self) -> None:
            pass

        async def verify(self, password: str, password_hash: str | None) -> PasswordCheck:
            if password == PASSWORD:
                hashing.set()
                await go_on.wait()
            return PasswordCheck(right=password == PASSWORD)

    await world.member()
    world.adapters = replace(world.adapters, passwords=Slow())
    right = asyncio.create_task(world.do.log_in(email=EMAIL, password=PASSWORD))
    await hashing.wait()
    await fail(world, EMAIL, FAILURES_MAX)
    go_on.set()
    with pytest.raises(AccountLocked):
        await right


@pytest.mark.parametrize("change", ["new password", "frozen", "second factor", "role taken"])
async def test_who_waits_for_the_hash_while_the_account_changes_is_not_signed_in(world: Any, change: str) -> None:
    hashing, go_on = asyncio.Event(), asyncio.Event()

    class Slow:
        def make_sure_of_room(self) -> None:
            pass

        async def verify(self, password: str, password_hash: str | None) -> PasswordCheck:
            hashing.set()
            await go_on.wait()
            return PasswordCheck(right=True)

    member = await world.member()
    users, passwords = world.adapters.users, world.adapters.passwords
    await users.add_role(member.user.id, "support")
    world.adapters = replace(world.adapters, passwords=Slow())
    waiting = asyncio.create_task(world.do.log_in(email=EMAIL, password=PASSWORD))
    await hashing.wait()
    world.adapters = replace(world.adapters, passwords=passwords)
    if change == "new password":
        await users.set_password(member.user.id, await passwords.hash("another password"))
    elif change == "frozen":
        await users.freeze(member.user.id, world.clock.now())
    elif change == "second factor":
        await users.set_two_factor(member.user.id, enabled=True)
    else:
        await users.remove_role(member.user.id, "support")
    go_on.set()
    with pytest.raises(InvalidCredentials):
        await waiting
    live = await world.adapters.sessions.live_of_user(member.user.id, world.clock.now(), 10)
    assert [session.id for session in live] == [member.session.id]


async def test_many_devices_may_sign_in_at_once(real_world: Any) -> None:
    await real_world.member()
    outcomes = await asyncio.gather(*(real_world.do.log_in(email=EMAIL, password=PASSWORD) for _ in range(16)))
    assert len({outcome.session.id for outcome in outcomes}) == 16


async def test_who_signs_an_address_up_does_not_learn_by_signing_in_whether_it_had_an_account(world: Any) -> None:
    await world.member("known@example.com")
    heard = []
    for email in ("known@example.com", "unknown@example.com"):
        answers = await fail(world, email, FAILURES_MAX - 2)
        await world.sign_up(email, "not the password")
        heard.append(answers + await fail(world, email, 3))
    assert heard[0] == heard[1]
    assert [reason for reason, _ in heard[0]] == ["invalid_credentials"] * FAILURES_MAX + ["account_locked"]


async def test_a_password_longer_than_any_is_refused_for_every_address_before_the_hash(memory_world: Any) -> None:
    for email in (EMAIL, "unknown@example.com"):
        with pytest.raises(WeakPassword):
            await memory_world.do.log_in(email=email, password="p" * 257)


async def test_a_full_queue_counts_as_no_failure(world: Any) -> None:
    class Full:
        def make_sure_of_room(self) -> None:
            pass

        async def verify(self, password: str, password_hash: str | None) -> PasswordCheck:
            raise TooBusy

    await world.member()
    passwords = world.adapters.passwords
    world.adapters = replace(world.adapters, passwords=Full())
    for _ in range(FAILURES_MAX + 1):
        with pytest.raises(TooBusy):
            await world.do.log_in(email=EMAIL, password=PASSWORD)
    world.adapters = replace(world.adapters, passwords=passwords)
    assert isinstance(await world.do.log_in(email=EMAIL, password=PASSWORD), SignedIn)


async def test_while_the_queue_is_full_nobody_is_looked_up(memory_world: Any) -> None:
    class Full:
        def make_sure_of_room(self) -> None:
            raise TooBusy

    memory_world.adapters = replace(memory_world.adapters, passwords=Full(), users=None, throttles=None)
    for email in (EMAIL, "unknown@example.com"):
        with pytest.raises(TooBusy):
            await memory_world.do.log_in(email=email, password=PASSWORD)


async def test_a_weaker_hash_is_made_anew_at_sign_in(memory_world: Any) -> None:
    class Upgrading:
        def make_sure_of_room(self) -> None:
            pass

        async def verify(self, password: str, password_hash: str | None) -> PasswordCheck:
            return PasswordCheck(right=True, stronger_hash="stronger")

    await memory_world.member()
    memory_world.adapters = replace(memory_world.adapters, passwords=Upgrading())
    await memory_world.do.log_in(email=EMAIL, password=PASSWORD, device=Device(name="another browser"))
    assert (await memory_world.user()).password_hash == "stronger"
    # The mail's link to freeze is bound to the hash that is stored now.
    await memory_world.settle()
    assert memory_world.notices() == ["new_device"]
    await memory_world.do.freeze_account(ticket=memory_world.last_code())
    assert (await memory_world.user()).frozen_at is not None


async def test_every_attempt_is_on_record_without_a_strangers_address(real_world: Any, mongo: Any) -> None:
    member = await real_world.member()
    await real_world.do.log_in(email=EMAIL, password=PASSWORD)
    await fail(real_world, EMAIL)
    await fail(real_world, "unknown@example.com")
    await real_world.adapters.attempts.flush()
    rows = await mongo.database["login_attempts"].find({}).sort("_id", 1).to_list(None)
    assert [(row["user_id"], row["succeeded"], row["reason"]) for row in rows] == [
        (member.user.id, True, ""),
        (member.user.id, False, "invalid_credentials"),
        (None, False, "invalid_credentials"),
    ]
    assert "unknown@example.com" not in str(rows)


async def lock(world: Any) -> None:
    await fail(world, EMAIL, FAILURES_MAX)


async def test_a_stranger_who_locks_an_address_does_not_lock_a_known_device(world: Any) -> None:
    member = await world.member()
    device = Device(name="Firefox", token=member.device_token)
    await lock(world)
    with pytest.raises(AccountLocked):
        await world.do.log_in(email=EMAIL, password=PASSWORD)
    again = await world.do.log_in(email=EMAIL, password=PASSWORD, device=device)
    assert again.session.device_id == member.session.device_id
    assert again.session.device_name == "Firefox"
    # The owner's coming in gives the stranger no new guesses.
    with pytest.raises(AccountLocked):
        await world.do.log_in(email=EMAIL, password=PASSWORD)


async def test_a_known_device_has_five_failures_of_its_own(world: Any) -> None:
    member = await world.member()
    device = Device(token=member.device_token)
    for _ in range(FAILURES_MAX):
        with pytest.raises(InvalidCredentials):
            await world.do.log_in(email=EMAIL, password="not the password", device=device)
    with pytest.raises(AccountLocked):
        await world.do.log_in(email=EMAIL, password=PASSWORD, device=device)
    # The address itself was not touched, and a success on the device clears its count.
    await world.do.log_in(email=EMAIL, password=PASSWORD)
    world.clock.advance(900)
    await world.do.log_in(email=EMAIL, password=PASSWORD, device=device)
    for _ in range(FAILURES_MAX - 1):
        with pytest.raises(InvalidCredentials):
            await world.do.log_in(email=EMAIL, password="not the password", device=device)
    await world.do.log_in(email=EMAIL, password=PASSWORD, device=device)


async def test_another_accounts_device_opens_no_lock(world: Any) -> None:
    await world.member()
    other = await world.member("bob@example.com")
    await lock(world)
    for token in (other.device_token, "made up", "A" * 64):
        with pytest.raises(AccountLocked):
            await world.do.log_in(email=EMAIL, password=PASSWORD, device=Device(token=token))


async def test_the_owner_is_told_of_a_lock_once_and_a_stranger_is_not_written_to(world: Any) -> None:
    await world.member()
    await fail(world, EMAIL, FAILURES_MAX + 3)
    await fail(world, "unknown@example.com", FAILURES_MAX + 3)
    await world.settle()
    assert world.notices() == ["account_locked"]
    assert world.notices("unknown@example.com") == []


async def test_locks_grow_for_known_and_unknown_addresses_alike(world: Any) -> None:
    await world.member()
    for email in (EMAIL, "unknown@example.com"):
        await fail(world, email, FAILURES_MAX)
    world.clock.advance(900)
    for email in (EMAIL, "unknown@example.com"):
        await fail(world, email, FAILURES_MAX)
        with pytest.raises(AccountLocked) as refusal:
            await world.do.log_in(email=email, password=PASSWORD)
        assert refusal.value.details == {"retry_after_seconds": "1800"}


async def test_an_imported_account_signs_in_by_its_old_password_which_is_then_kept_in_our_form(
    real_world: Any, mongo: Any
) -> None:
    await real_world.member()
    imported = (
        "$2b$04$K9n9.7QYg/tJGxManv8ZW.BTT4t14olnq8xZzMuKkphc3zo4Wghu2"  # "correct horse battery", by another program
    )
    await mongo.database["users"].update_one({"email": EMAIL}, {"$set": {"password_hash": imported}})
    await fail(real_world, EMAIL)
    assert (await real_world.user()).password_hash == imported
    for _ in range(2):
        await real_world.do.log_in(email=EMAIL, password=PASSWORD)
        assert (await real_world.user()).password_hash.startswith("$argon2id$")
