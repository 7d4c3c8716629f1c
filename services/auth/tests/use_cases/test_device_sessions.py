import asyncio
from typing import Any
from uuid import UUID

import pytest
from auth.domain.devices import Device
from auth.domain.errors import (
    AccountFrozen,
    FreezeLinkExpired,
    InvalidCredentials,
    SessionEnded,
    SessionNotFound,
)
from auth.use_cases.open_session import SignedIn
from chassis.identity import Caller, NotSignedIn, use_caller

EMAIL = "ada@example.com"
PASSWORD = "correct horse battery"
NEW_PASSWORD = "a new battery staple"


def caller(session: SignedIn | None = None, address: str = "203.0.113.7") -> Caller:
    return Caller(
        service="gateway",
        user_id=str(session.user.id) if session else None,
        session_id=str(session.session.id) if session else None,
        request_id="r",
        address=address,
    )


async def log_in(world: Any, device: Device, *, address: str = "203.0.113.7") -> SignedIn:
    with use_caller(caller(address=address)):
        signed_in: SignedIn = await world.do.log_in(email=EMAIL, password=PASSWORD, device=device)
    await world.settle()
    return signed_in


def freeze_ticket(world: Any) -> str:
    return next(str(mail.code) for mail in reversed(world.courier.mails) if mail.facts.get("event") == "new_device")


async def test_sessions_show_their_device_address_and_last_use(world: Any) -> None:
    member = await world.member()
    world.clock.advance(60)
    phone = await log_in(world, Device(name="Firefox on Android"), address="198.51.100.9")
    await world.member("bob@example.com")
    with use_caller(caller(member)):
        listed = await world.do.list_sessions()
    assert [session.id for session in listed] == [phone.session.id, member.session.id]
    assert (listed[0].device_name, listed[0].address) == ("Firefox on Android", "198.51.100.9")
    world.clock.advance(60)
    with use_caller(caller(address="192.0.2.1")):
        await world.do.refresh_session(refresh_token=member.refresh_token)
    with use_caller(caller(member)):
        first = (await world.do.list_sessions())[0]
    assert (first.id, first.address, first.rotated_at) == (member.session.id, "192.0.2.1", world.clock.now())
    with pytest.raises(NotSignedIn):
        await world.do.list_sessions()


async def test_one_device_is_signed_out_and_the_others_stay(world: Any) -> None:
    member = await world.member()
    phone = await log_in(world, Device(name="Phone"))
    stranger = await world.member("bob@example.com")
    with use_caller(caller(member)):
        for unknown in (stranger.session.id, UUID(int=1)):
            with pytest.raises(SessionNotFound):
                await world.do.end_session(session_id=unknown)
        await world.do.end_session(session_id=phone.session.id)
        await world.do.end_session(session_id=phone.session.id)
        assert [session.id for session in await world.do.list_sessions()] == [member.session.id]
    assert await world.is_blacklisted(phone.session.id)
    assert not await world.is_blacklisted(stranger.session.id)
    with pytest.raises(SessionEnded):
        await world.do.refresh_session(refresh_token=phone.refresh_token)


async def test_the_owner_hears_of_a_device_not_seen_before_and_only_of_such(world: Any) -> None:
    member = await world.member()
    assert world.notices() == []
    await log_in(world, Device(name="Known", token=member.device_token), address="198.51.100.1")
    assert world.notices() == []
    await log_in(world, Device(name="New"), address="198.51.100.2")
    assert world.notices() == ["new_device"]
    mail = world.courier.mails[-1]
    assert (mail.facts["device"], mail.facts["address"]) == ("New", "198.51.100.2")
    assert mail.facts["link"].endswith("/freeze")
    # A program that signs in again and again from one place keeps no device token, and is no news.
    await log_in(world, Device(name="New"), address="198.51.100.2")
    assert world.notices() == ["new_device"]
    await log_in(world, Device(name="Other"), address="198.51.100.2")
    await log_in(world, Device(name="New"), address="198.51.100.3")
    assert world.notices() == ["new_device"] * 3


async def test_the_link_in_the_mail_freezes_and_a_new_password_opens_again(world: Any) -> None:
    member = await world.member()
    thief = await log_in(world, Device(name="Thief"))
    await world.do.freeze_account(ticket=freeze_ticket(world))
    for session in (member, thief):
        assert await world.is_blacklisted(session.session.id)
        with pytest.raises(SessionEnded):
            await world.do.refresh_session(refresh_token=session.refresh_token)
    with pytest.raises(AccountFrozen):
        await world.do.log_in(email=EMAIL, password=PASSWORD)
    with pytest.raises(InvalidCredentials):
        await world.do.log_in(email=EMAIL, password="not the password")
    await world.do.request_password_reset(email=EMAIL)
    await world.settle()
    await world.do.reset_password(email=EMAIL, code=world.last_code(), password=NEW_PASSWORD)
    assert await world.do.log_in(email=EMAIL, password=NEW_PASSWORD)
    await world.settle()
    assert world.notices()[:4] == ["new_device", "account_frozen", "account_unfrozen", "password_reset"]
    assert [action for action, _, _ in await world.audited()] == [
        "account_frozen",
        "account_unfrozen",
        "password_reset",
    ]


async def test_a_thief_who_changes_the_password_does_not_void_the_owners_link_but_a_reset_does(world: Any) -> None:
    await world.member()
    thief = await log_in(world, Device(name="Thief"))
    ticket = freeze_ticket(world)
    with use_caller(caller(thief)):
        await world.do.change_password(current_password=PASSWORD, password="the thief's own choice")
    await world.settle()
    changed = world.courier.mails[-1]
    assert (changed.facts["event"], changed.facts["link"].endswith("/freeze")) == ("password_changed", True)
    for link in (ticket, changed.code):
        await world.do.freeze_account(ticket=link)
        assert (await world.user()).frozen_at is not None
        await world.adapters.users.unfreeze((await world.user()).id)
    await world.do.request_password_reset(email=EMAIL)
    await world.settle()
    await world.do.reset_password(email=EMAIL, code=world.last_code(), password=NEW_PASSWORD)
    for link in (ticket, changed.code):
        with pytest.raises(FreezeLinkExpired):
            await world.do.freeze_account(ticket=link)


async def test_after_a_reset_by_mailbox_a_device_of_before_is_a_strangers(world: Any) -> None:
    await world.member()
    thief = await log_in(world, Device(name="Thief"), address="198.51.100.66")
    await world.do.request_password_reset(email=EMAIL)
    await world.settle()
    await world.do.reset_password(email=EMAIL, code=world.last_code(), password=NEW_PASSWORD)
    await world.settle()
    told = len(world.notices())
    known = Device(name="Thief", token=thief.device_token)
    with use_caller(caller(address="198.51.100.66")):
        again = await world.do.log_in(email=EMAIL, password=NEW_PASSWORD, device=known)
    await world.settle()
    assert world.notices()[told:] == ["new_device"]
    assert again.session.device_id != thief.session.device_id


async def test_a_link_is_good_for_a_week_and_one_account(world: Any) -> None:
    await world.member()
    await log_in(world, Device(name="New"))
    ticket = freeze_ticket(world)
    for damaged in ("x", ticket[:-4], "A" * 75, ticket + "AAAA"):
        with pytest.raises(FreezeLinkExpired):
            await world.do.freeze_account(ticket=damaged)
    # A sign-in's challenge is signed alike, and is no link.
    with pytest.raises(FreezeLinkExpired):
        await world.do.freeze_account(ticket=world.adapters.challenges.issue(await world.user(), world.clock.now()))
    world.clock.advance(7 * 86_400)
    with pytest.raises(FreezeLinkExpired):
        await world.do.freeze_account(ticket=ticket)
    assert await log_in(world, Device())


async def test_the_owner_freezes_from_a_session_and_twice_is_once(world: Any) -> None:
    member = await world.member()
    with use_caller(caller(member)):
        await asyncio.gather(*(world.do.freeze_account(ticket="") for _ in range(4)))
    assert [action for action, _, _ in await world.audited()] == ["account_frozen"]
    with pytest.raises(AccountFrozen):
        await world.do.log_in(email=EMAIL, password=PASSWORD)
    with pytest.raises(NotSignedIn):
        await world.do.freeze_account(ticket="")
