"""The exchange's journal in the trail: each batch once, whoever folds it and whenever it dies."""

import asyncio
import contextlib
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from auth.domain.audit import AuditEntry
from auth.domain.audit_chain import AuditStream
from auth.storage.audit_records import MongoAuditRecords
from auth.storage.audit_trail import MongoAuditTrail
from auth.storage.documents import DOCUMENTS
from auth.use_cases.fold_journal import BatchActs, FoldJournal
from auth.use_cases.verify_audit_trail import VerifyAuditTrail
from chassis.ids import RandomIds
from chassis.journal_consumer import BATCHES_PER_READ, Entry, JournalConsumer
from chassis.mongo import MongoConnection, init_documents
from chassis.testing import eventually

BATCHES = 2 * BATCHES_PER_READ + 50  # three transactions
IDS = RandomIds()


def batch(number: int) -> Entry[BatchActs]:
    """As many acts as its number leaves when divided by four."""
    acts = [
        AuditEntry(
            id=IDS.new(), user_id=None, actor="trading", action="order_placed", resource=f"order:{number}/{index}",
            address=None, session_id=None, request_id="r", timestamp=datetime.now(UTC),
        )
        for index in range(number % 4)
    ]  # fmt: skip
    return Entry(number, hashlib.sha256(str(number).encode()).digest(), acts)


JOURNAL = [batch(number) for number in range(1, BATCHES + 1)]
EXPECTED = [act.resource for one in JOURNAL for act in one.payload]


async def read(after: int, limit: int) -> Sequence[Entry[BatchActs]]:
    return JOURNAL[after : after + limit]


@pytest.fixture
async def trail(mongo: MongoConnection) -> MongoAuditTrail:
    await init_documents(mongo.database, DOCUMENTS)
    trail = MongoAuditTrail()
    await trail.open(AuditStream.TRADING)
    return trail


def consumer(mongo: MongoConnection, fold: FoldJournal) -> JournalConsumer[BatchActs]:
    return JournalConsumer(
        "audit-trail", read=read, apply=fold, transactions=mongo.transactions, database=mongo.database
    )


async def test_two_processes_that_fold_at_once_write_each_act_once_and_in_order(
    mongo: MongoConnection, trail: MongoAuditTrail
) -> None:
    consumers = [consumer(mongo, FoldJournal(audit_trail=trail)) for _ in range(2)]
    tasks = [asyncio.create_task(one.run()) for one in consumers]
    await eventually(lambda: all(one.position == BATCHES for one in consumers), timeout_seconds=120)
    await stopped(tasks)
    await assert_all_is_told_once(mongo, trail)


async def test_a_process_that_dies_in_the_middle_of_a_fold_leaves_nothing_half(
    mongo: MongoConnection, trail: MongoAuditTrail
) -> None:
    class DiesOnce(FoldJournal):
        died = False

        async def __call__(self, batches: Sequence[Entry[BatchActs]]) -> None:
            await super().__call__(batches)
            if batches[0].number > 1 and not self.died:
                self.died = True
                raise asyncio.CancelledError

    dying = DiesOnce(audit_trail=trail)
    with pytest.raises(asyncio.CancelledError):
        await consumer(mongo, dying).run()
    assert dying.died
    task = asyncio.create_task(consumer(mongo, dying).run())
    await eventually(lambda: _told(mongo, len(EXPECTED)), timeout_seconds=120)
    await stopped([task])
    await assert_all_is_told_once(mongo, trail)


async def stopped(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _told(mongo: MongoConnection, count: int) -> bool:
    return await mongo.database["audit_logs"].count_documents({}) == count


async def assert_all_is_told_once(mongo: MongoConnection, trail: MongoAuditTrail) -> None:
    rows = await mongo.database["audit_logs"].find({"stream": "trading"}).sort("sequence", 1).to_list()
    assert [row["resource"] for row in rows] == EXPECTED
    verify = VerifyAuditTrail(audit_trail=trail, records=MongoAuditRecords(), is_signed=lambda _: True)
    verdict = await verify([], lambda: None)
    assert (verdict.findings, verdict.entries) == ([], {"trading": len(EXPECTED)})
