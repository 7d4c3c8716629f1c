"""What is written down of what people do, who may read it, and that nothing in auth takes it back."""

import asyncio
import re
from pathlib import Path
from typing import Any
from uuid import UUID

import auth
import pyotp
import pytest
from auth.domain.audit import AuditEntry
from auth.domain.audit_chain import StreamHead
from auth.domain.devices import Device
from auth.domain.errors import InvalidCredentials, RefreshTokenReused
from auth.use_cases import chain_deferred
from auth.use_cases.audit_ports import AuditFilter
from auth.use_cases.chain_deferred import ChainDeferred
from auth.use_cases.record_audit_soon import RecordAuditSoon
from chassis.errors import InvalidArgument
from chassis.identity import Caller, NotSignedIn, PermissionMissing, use_caller

EVERYTHING = AuditFilter()
EMAIL, PASSWORD = "ada@example.com", "correct horse battery"
SUPPORT = Caller("gateway", "01890000-0000-7000-8000-0000000000aa", "s", "r", None, frozenset({"audit-logs:read"}))


def caller(session: Any) -> Caller:
    return Caller("gateway", str(session.user.id), str(session.session.id), "request-1", "203.0.113.7")


async def enrolled(world: Any) -> Any:
    """Somebody with a second factor, and a function that makes the app's next code."""
    member = await world.member()
    with use_caller(caller(session=member)):
        proposed = await world.do.set_up_second_factor()

        def code() -> str:
            world.clock.advance(30)
            return pyotp.TOTP(proposed.secret).at(int(world.clock.now().timestamp()))

        await world.do.enable_second_factor(code=code(), password=PASSWORD)
    return member, code


class Died(Exception):
    """The process, between two writes."""


async def test_a_step_up_is_written_down_with_it_or_neither_happens(
    real_world: Any, mongo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    member, code = await enrolled(real_world)

    async def dies(_stream: str, _entries: object) -> None:
        raise Died

    with use_caller(caller(session=member)):
        with monkeypatch.context() as patch:
            patch.setattr(real_world.adapters.audit_trail, "append", dies)
            with pytest.raises(Died):
                await real_world.do.step_up(code=code())
        row = await mongo.database["sessions"].find_one({"_id": member.session.id})
        assert row["stepped_up_until"] is None
        await real_world.do.step_up(code=code())
    row = await mongo.database["sessions"].find_one({"_id": member.session.id})
    assert row["stepped_up_until"] is not None
    assert [action for action, _, _ in await real_world.audited()] == ["two_factor_enabled", "stepped_up"]


def chain(world: Any, transactions: Any = None) -> ChainDeferred:
    """What the service does twice a second."""
    own = world.adapters
    return ChainDeferred(
        deferred=own.deferred_audit, audit_trail=own.audit_trail, transactions=transactions or own.in_turn
    )


async def test_sign_ins_and_ended_sessions_are_in_the_trail_with_who_did_it_and_why(world: Any) -> None:
    member = await world.member()
    second = await world.do.log_in(email=EMAIL, password=PASSWORD, device=Device(name="Firefox"))
    with pytest.raises(InvalidCredentials):
        await world.do.log_in(email=EMAIL, password="not the password")
    await world.do.refresh_session(refresh_token=second.refresh_token)
    with pytest.raises(RefreshTokenReused):
        await world.do.refresh_session(refresh_token=second.refresh_token)
    with use_caller(caller(session=member)):
        for _ in range(2):
            await world.do.log_out(refresh_token="")
    # Nobody waited for the chain.
    assert await world.audited() == []
    assert not await chain(world)()
    owner, ones, seconds = f"user:{member.user.id}", *(f"session:{one.session.id}" for one in (member, second))
    page = await world.adapters.audit_queries.page(EVERYTHING, limit=50, cursor="")
    sealed = sorted(page.entries, key=lambda one: one.sequence)
    assert [(one.entry.action, one.entry.actor, one.entry.resource, dict(one.entry.details)) for one in sealed] == [
        ("signed_in", owner, ones, {"by": "code to the mailbox", "device": ""}),
        ("signed_in", owner, seconds, {"by": "password", "device": "Firefox"}),
        ("session_ended", "", seconds, {"why": "refresh_token_reused"}),
        ("session_ended", owner, ones, {"why": "logged_out"}),
    ]
    assert {one.entry.user_id for one in sealed} == {member.user.id}
    assert [one.entry.session_id for one in sealed[:2]] == [str(member.session.id), str(second.session.id)]
    assert not await chain(world)()
    assert len(await world.audited()) == 4


async def test_what_cannot_be_written_down_does_not_happen(
    real_world: Any, mongo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = await real_world.member()

    async def dies(_entry: object) -> None:
        raise Died

    monkeypatch.setattr(real_world.adapters.deferred_audit, "add", dies)
    with pytest.raises(Died):
        await real_world.do.log_in(email=EMAIL, password=PASSWORD)
    with use_caller(caller(session=member)), pytest.raises(Died):
        await real_world.do.log_out(refresh_token="")
    row = await mongo.database["sessions"].find_one({"_id": member.session.id})
    assert row["revoked_at"] is None
    assert not await real_world.is_blacklisted(member.session.id)


async def test_of_two_processes_that_chain_at_once_each_entry_is_chained_once_and_in_order(
    real_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain_deferred, "BATCH_MAX", 7)
    member = await real_world.member()
    record = RecordAuditSoon(
        deferred=real_world.adapters.deferred_audit, clock=real_world.clock, ids=real_world.adapters.ids
    )
    for number in range(40):
        await record.session_ended(member.session, why=str(number))

    async def run(one: ChainDeferred) -> None:
        while await one():
            pass

    mine = chain(real_world)
    await asyncio.gather(run(mine), run(chain(real_world, real_world.adapters.transactions)))
    await run(mine)
    page = await real_world.adapters.audit_queries.page(AuditFilter(action="session_ended"), limit=200, cursor="")
    sealed = sorted(page.entries, key=lambda one: one.sequence)
    assert [one.entry.details["why"] for one in sealed] == [str(number) for number in range(40)]
    assert await real_world.adapters.deferred_audit.oldest(1) == []
    assert await real_world.adapters.audit_trail.heads() == [StreamHead("auth", 41, sealed[-1].hash)]


async def test_everybody_reads_their_own_entries_newest_first_and_page_by_page(real_world: Any) -> None:
    ada = await real_world.member()
    bob = await real_world.member("bob@example.com")
    for who, count in ((ada, 5), (bob, 2)):
        with use_caller(caller(session=who)):
            for number in range(count):
                real_world.clock.advance(number == 1)  # the others in the same moment, over the end of a page
                await real_world.do.create_api_key(name=f"k{number}", scopes=["read"], networks=[], expires_at=None)
    with use_caller(caller(session=ada)):
        found, cursor = [], ""
        for _ in range(3):
            page = await real_world.do.list_audit_entries(EVERYTHING, limit=2, cursor=cursor)
            found += [one.entry for one in page.entries]
            cursor = page.next_cursor
        assert cursor == ""
        whole = await real_world.do.list_audit_entries(EVERYTHING, limit=0, cursor="")
        assert [one.entry for one in whole.entries] == found
        bobs = await real_world.do.list_audit_entries(AuditFilter(user_id=bob.user.id), limit=0, cursor="")
        assert bobs == whole
        since = AuditFilter(since=found[4].timestamp, until=found[0].timestamp)
        between = await real_world.do.list_audit_entries(since, limit=0, cursor="")
        assert [one.entry for one in between.entries] == found[4:]
        for cursor in ("x", "AAAA", "é", "MTIz"):
            with pytest.raises(InvalidArgument):
                await real_world.do.list_audit_entries(EVERYTHING, limit=2, cursor=cursor)
    assert len({one.id for one in found}) == 5
    assert [one.timestamp for one in found] == sorted((one.timestamp for one in found), reverse=True)
    assert {one.user_id for one in found} == {ada.user.id}
    assert {one.actor for one in found} == {f"user:{ada.user.id}"}


async def test_an_owner_does_not_hear_who_of_the_staff_acted_nor_their_words(real_world: Any, mongo: Any) -> None:
    ada = await real_world.member()
    by_staff = AuditEntry(
        id=UUID(int=1), user_id=ada.user.id, actor="user:01890000-0000-7000-8000-0000000000aa", action="user_fees_set",
        resource="user", address="198.51.100.9", session_id="staff's", request_id="r",
        timestamp=real_world.clock.now(), details={"change": "{}", "reason": "between us"},
    )  # fmt: skip
    await mongo.transactions.run(lambda: real_world.adapters.audit_trail.append("auth", [by_staff]))
    with use_caller(caller(session=ada)):
        (seen,) = (await real_world.do.list_audit_entries(EVERYTHING, limit=0, cursor="")).entries
    assert (seen.entry.actor, seen.entry.address, seen.entry.session_id) == ("staff", None, None)
    assert seen.entry.details == {"change": "{}"}
    with use_caller(SUPPORT):
        (whole,) = (await real_world.do.search_audit_trail(EVERYTHING, limit=0, cursor="")).entries
    assert (whole.entry.actor, whole.entry.details["reason"]) == (by_staff.actor, "between us")


async def test_the_whole_trail_is_for_those_with_the_permission(real_world: Any) -> None:
    ada = await real_world.member()
    with use_caller(caller(session=ada)):
        await real_world.do.create_api_key(name="k", scopes=["read"], networks=[], expires_at=None)
        with pytest.raises(PermissionMissing):
            await real_world.do.search_audit_trail(EVERYTHING, limit=0, cursor="")
    for read in (real_world.do.search_audit_trail, real_world.do.list_audit_entries):
        with pytest.raises(NotSignedIn):
            await read(EVERYTHING, limit=0, cursor="")
    with use_caller(SUPPORT):
        for wanted, count in (
            (EVERYTHING, 1),
            (AuditFilter(user_id=ada.user.id, action="api_key_created"), 1),
            (AuditFilter(action="api_key_revoked"), 0),
            (AuditFilter(user_id=UUID(int=1)), 0),
        ):
            assert len((await real_world.do.search_audit_trail(wanted, limit=0, cursor="")).entries) == count
        with pytest.raises(InvalidArgument):
            await real_world.do.search_audit_trail(EVERYTHING, limit=201, cursor="")


async def test_rows_that_stand_in_no_chain_are_shown_to_nobody(real_world: Any, mongo: Any) -> None:
    ada = await real_world.member()
    await mongo.database["audit_logs"].insert_one({"id": UUID(int=7), "user_id": ada.user.id, "action": "role_granted"})
    with use_caller(caller(session=ada)):
        assert not (await real_world.do.list_audit_entries(EVERYTHING, limit=0, cursor="")).entries


async def test_no_entry_holds_a_secret(real_world: Any, mongo: Any) -> None:
    member, code = await enrolled(real_world)
    codes = []
    with use_caller(caller(session=member)):
        codes = list(await real_world.do.renew_recovery_codes(code=code()))
        await real_world.do.step_up(code=codes[0])
        created = await real_world.do.create_api_key(name="k", scopes=["read"], networks=[], expires_at=None)
        await real_world.do.change_password(current_password=PASSWORD, password="a new battery staple")
    await real_world.do.request_password_reset(email=EMAIL)
    await real_world.settle()
    reset = real_world.last_code()
    await real_world.do.reset_password(email=EMAIL, code=reset, password="one more battery staple")
    kept = repr(await mongo.database["audit_logs"].find({}).to_list())
    assert "password_reset" in kept
    hashed = (await real_world.user()).password_hash
    for secret in (
        PASSWORD, "a new battery staple", "one more battery staple", hashed, created.secret, *codes, f"'{reset}'",
        member.access_token, member.refresh_token, member.device_token,
    ):  # fmt: skip
        assert secret not in kept


def test_nothing_in_auth_changes_or_removes_what_was_written() -> None:
    """Of the rows and checkpoints; the one thing that moves is each stream's end, and that is in one place."""
    package = Path(auth.__file__).parent
    about_the_trail = re.compile(r"AuditLogDocument|AuditCheckpointDocument|[\"']audit_(logs|checkpoints)[\"']")
    takes_back = re.compile(r"\.((?:update|delete|replace|find_one_and|bulk_write|drop|rename|save|upsert)\w*|set)\(")
    touching = {
        path.relative_to(package).as_posix(): takes_back.findall(path.read_text(encoding="utf-8"))
        for path in package.rglob("*.py")
        if about_the_trail.search(path.read_text(encoding="utf-8"))
    }
    assert "storage/audit_trail.py" in touching
    assert {name: calls for name, calls in touching.items() if calls} == {"storage/audit_trail.py": ["update_one"]}
