"""What people wait for is found by an index, however many others there are."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any
from uuid import UUID

import pytest
from auth.domain.audit import AuditEntry
from auth.domain.audit_chain import AuditStream
from auth.domain.email_address import EmailAddress
from auth.domain.users import User
from auth.storage.audit_queries import MongoAuditQueries
from auth.storage.audit_trail import MongoAuditTrail
from auth.storage.documents import DOCUMENTS, UserDocument
from auth.storage.users import MongoUsers
from auth.use_cases.audit_ports import AuditFilter
from chassis.mongo import MongoConnection, init_documents

OTHERS = 3_000
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


async def seconds(work: Callable[[], Awaitable[object]]) -> float:
    taken = []
    for _ in range(7):
        start = time.perf_counter()
        await work()
        taken.append(time.perf_counter() - start)
    return median(taken)


@pytest.fixture
async def users(mongo: MongoConnection) -> MongoUsers:
    await init_documents(mongo.database, DOCUMENTS)
    users = MongoUsers()
    await users.add(User(id=UUID(int=0), email=EmailAddress("0@x"), name="", password_hash="", created_at=NOON))
    rows = UserDocument.get_pymongo_collection()
    row: dict[str, Any] = await rows.find_one({}) or {}
    others = [{**row, "_id": n, "id": UUID(int=n), "email": f"{n}@x"} for n in range(1, OTHERS)]
    await rows.insert_many(others)
    return users


async def test_a_sign_in_does_not_look_at_every_account(users: MongoUsers) -> None:
    plain = await seconds(lambda: users.note_sign_in(UUID(int=OTHERS // 2), NOON))
    assert await seconds(lambda: users.admit(UUID(int=OTHERS // 2), NOON)) < 6 * plain


@pytest.mark.parametrize(("locked_for", "admitted"), [(None, True), (-1, True), (0, True), (1, False)])
async def test_who_is_locked_no_longer_is_let_in(
    mongo: MongoConnection,
    locked_for: int | None,
    admitted: bool,  # noqa: FBT001
) -> None:
    await init_documents(mongo.database, DOCUMENTS)
    users = MongoUsers()
    await users.add(User(id=UUID(int=0), email=EmailAddress("0@x"), name="", password_hash="", created_at=NOON))
    until = None if locked_for is None else NOON + timedelta(milliseconds=locked_for)
    await UserDocument.get_pymongo_collection().update_one({"id": UUID(int=0)}, {"$set": {"locked_until": until}})
    assert await users.admit(UUID(int=0), NOON) is admitted


async def test_a_further_page_of_ones_own_entries_does_not_look_at_everybodys(mongo: MongoConnection) -> None:
    await init_documents(mongo.database, DOCUMENTS)
    trail, queries = MongoAuditTrail(), MongoAuditQueries()
    await trail.open(AuditStream.AUTH)
    # Sixty are ones own, two in each millisecond.
    await trail.append(AuditStream.AUTH, [_entry(n, owner=1 if n % 50 == 0 else 2) for n in range(OTHERS)])
    mine = AuditFilter(user_id=UUID(int=1))
    first = await queries.page(mine, limit=15, cursor="")
    plain = await seconds(lambda: queries.page(mine, limit=15, cursor=""))
    assert await seconds(lambda: queries.page(mine, limit=15, cursor=first.next_cursor)) < 6 * plain
    seen, cursor = [one.entry.id for one in first.entries], first.next_cursor
    while cursor:
        page = await queries.page(mine, limit=15, cursor=cursor)
        seen, cursor = [*seen, *(one.entry.id for one in page.entries)], page.next_cursor
    assert seen == [UUID(int=n) for n in reversed(range(0, OTHERS, 50))]


async def test_the_product_documents_rows_go_when_it_says_and_an_address_is_one_account(mongo: MongoConnection) -> None:
    await init_documents(mongo.database, DOCUMENTS)
    for collection, field, seconds_kept in (
        ("login_attempts", "timestamp", 2_592_000),
        ("blacklisted_tokens", "expires_at", 0),
    ):
        [index] = [
            one for one in (await mongo.database[collection].index_information()).values() if one["key"] == [(field, 1)]
        ]
        assert index["expireAfterSeconds"] == seconds_kept
    for index in (await mongo.database["users"].index_information()).values():
        assert index.get("unique", False) is (index["key"] in ([("email", 1)], [("id", 1)]))


def _entry(number: int, *, owner: int) -> AuditEntry:
    return AuditEntry(
        id=UUID(int=number),
        user_id=UUID(int=owner),
        actor="operator:test",
        action="role_granted",
        resource=None,
        address=None,
        session_id=None,
        request_id="",
        timestamp=NOON + timedelta(milliseconds=number // 100),
    )
