import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from chassis.errors import RemoteBugError, Unavailable
from chassis.journal_consumer import Entry, JournalConsumer
from chassis.mongo import MongoConnection, MongoDatabase
from chassis.testing import eventually

from chassis import journal_consumer


class Journal:
    """A journal in memory, which can lose its end, its middle or its history, and go away."""

    def __init__(self) -> None:
        self.entries: list[Entry[str]] = []
        self.away: Exception | None = None
        self.reads = 0

    def append(self, *payloads: str) -> None:
        for payload in payloads:
            before = self.entries[-1].digest if self.entries else b""
            digest = hashlib.sha256(before + payload.encode()).digest()
            self.entries.append(Entry(len(self.entries) + 1, digest, payload))

    async def read(self, after: int, limit: int) -> Sequence[Entry[str]]:
        self.reads += 1
        if self.away:
            raise self.away
        return [entry for entry in self.entries if entry.number > after][:limit]


class Fold:
    """Writes one row per batch; fails on `poison`, and as often as `failures` says."""

    def __init__(self, database: MongoDatabase) -> None:
        self.rows = database["folded"]
        self.poison = ""
        self.failures = 0

    async def __call__(self, entries: Sequence[Entry[str]]) -> None:
        for entry in entries:
            # No unique number: a batch that is folded twice shows as two rows.
            await self.rows.insert_one({"number": entry.number, "payload": entry.payload})
            if entry.payload == self.poison or self.failures:
                self.failures = max(0, self.failures - 1)
                raise ValueError("cannot fold this")

    async def payloads(self) -> list[str]:
        return [row["payload"] for row in await self.rows.find().sort("number", 1).to_list()]


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def fold(mongo_database: MongoDatabase) -> Fold:
    return Fold(mongo_database)


@asynccontextmanager
async def running(journal: Journal, fold: Fold, mongo: MongoConnection) -> AsyncIterator[JournalConsumer[str]]:
    consumer = JournalConsumer(
        "test", read=journal.read, apply=fold, transactions=mongo.transactions, database=mongo.database
    )
    task = asyncio.create_task(consumer.run())
    try:
        yield consumer
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_every_batch_is_folded_in_order_and_the_bell_brings_the_next(
    journal: Journal, fold: Fold, mongo: MongoConnection
) -> None:
    journal.append("a", "b", "c")
    async with running(journal, fold, mongo) as consumer:
        assert await consumer.reached(3, 5.0)
        reads = journal.reads
        await eventually(lambda: journal.reads > reads)  # found nothing more, and waits for the bell
        journal.append("d")
        consumer.ring()
        await eventually(lambda: consumer.position == 4, 0.9)
    assert await fold.payloads() == ["a", "b", "c", "d"]


async def test_without_the_bell_it_looks_by_itself(journal: Journal, fold: Fold, mongo: MongoConnection) -> None:
    async with running(journal, fold, mongo) as consumer:
        await eventually(lambda: journal.reads > 0)
        journal.append("a")
        await eventually(lambda: consumer.position == 1)


async def test_in_a_stream_of_batches_a_round_takes_what_gathered_unless_somebody_waits(
    journal: Journal, fold: Fold, mongo: MongoConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_consumer, "ROUNDS_APART_SECONDS", 60)
    async with running(journal, fold, mongo) as consumer:
        journal.append("a")
        consumer.ring()
        await eventually(lambda: consumer.position == 1)
        for payload in "bcd":
            journal.append(payload)
            consumer.ring()
            await asyncio.sleep(0.05)
        assert consumer.position == 1
        assert await consumer.reached(3, 5.0)
        assert consumer.position == 4
        # Also who came while a round was under way that did not find their batch.
        waiting = asyncio.create_task(consumer.reached(6, 5.0))
        await asyncio.sleep(0)
        journal.append("e")
        await eventually(lambda: consumer.position == 5)
        journal.append("f")
        consumer.ring()
        assert await waiting


async def test_who_was_served_leaves_no_hurry_behind(
    journal: Journal, fold: Fold, mongo: MongoConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_consumer, "ROUNDS_APART_SECONDS", 60)
    async with running(journal, fold, mongo) as consumer:
        journal.append("a")
        assert await consumer.reached(1, 5.0)
        journal.append("b")
        consumer.ring()
        await asyncio.sleep(0.2)
        assert (journal.reads, consumer.position) == (1, 1)


async def test_who_waits_needs_no_bell(
    journal: Journal, fold: Fold, mongo: MongoConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_consumer, "POLL_SECONDS", 60)
    async with running(journal, fold, mongo) as consumer:
        await eventually(lambda: journal.reads > 0)
        journal.append("a")
        assert await consumer.reached(1, 5.0)


async def test_what_fills_a_read_is_gone_on_with_at_once(
    journal: Journal, fold: Fold, mongo: MongoConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_consumer, "ROUNDS_APART_SECONDS", 60)
    monkeypatch.setattr(journal_consumer, "BATCHES_PER_READ", 2)
    journal.append("a", "b", "c", "d", "e")
    async with running(journal, fold, mongo) as consumer:
        await eventually(lambda: consumer.position == 5)


async def test_a_restart_goes_on_where_it_stopped(journal: Journal, fold: Fold, mongo: MongoConnection) -> None:
    journal.append("a", "b")
    async with running(journal, fold, mongo) as consumer:
        assert await consumer.reached(2, 5.0)
    journal.append(*(str(number) for number in range(120)))
    async with running(journal, fold, mongo) as consumer:
        assert await consumer.reached(122, 10.0)
    assert await fold.payloads() == ["a", "b", *(str(number) for number in range(120))]


async def test_reached_says_no_when_it_takes_too_long(journal: Journal, fold: Fold, mongo: MongoConnection) -> None:
    async with running(journal, fold, mongo) as consumer:
        assert not await consumer.reached(1, 0.05)


async def test_two_instances_fold_every_batch_once(journal: Journal, fold: Fold, mongo: MongoConnection) -> None:
    async with running(journal, fold, mongo) as first, running(journal, fold, mongo) as second:
        for number in range(20):
            journal.append(str(number))
            first.ring()
            second.ring()
            assert await first.reached(number + 1, 5.0)
            assert await second.reached(number + 1, 5.0)
    assert await fold.payloads() == [str(number) for number in range(20)]


@pytest.mark.parametrize("problem", [Unavailable("The journal does not answer."), RemoteBugError("internal")])
async def test_an_outage_of_the_journal_only_delays(
    journal: Journal, fold: Fold, mongo: MongoConnection, problem: Exception
) -> None:
    journal.away = problem
    journal.append("a")
    async with running(journal, fold, mongo) as consumer:
        await eventually(lambda: journal.reads > 1)
        assert not consumer.stale
        journal.away = None
        assert await consumer.reached(1, 5.0)


async def test_a_journal_that_cannot_be_read_stops_it(journal: Journal, fold: Fold, mongo: MongoConnection) -> None:
    journal.away = ValueError("an event of an unknown kind")
    async with running(journal, fold, mongo) as consumer:
        await eventually(lambda: consumer.stale)


async def test_a_failure_that_passes_is_tried_again(journal: Journal, fold: Fold, mongo: MongoConnection) -> None:
    fold.failures = 2
    journal.append("a", "b")
    async with running(journal, fold, mongo) as consumer:
        assert await consumer.reached(2, 5.0)
    assert await fold.payloads() == ["a", "b"]


async def test_poison_stops_the_consumer_at_that_batch_and_marks_it_stale(
    journal: Journal, fold: Fold, mongo: MongoConnection
) -> None:
    journal.append("a", "b", "poison", "d")
    fold.poison = "poison"
    async with running(journal, fold, mongo) as consumer:
        await eventually(lambda: consumer.stale)
        assert consumer.position == 2
        assert not await consumer.reached(3, 1.0)
    assert await fold.payloads() == ["a", "b"]


async def test_a_gap_stops_it(journal: Journal, fold: Fold, mongo: MongoConnection) -> None:
    journal.append("a", "b", "c")
    del journal.entries[1]
    async with running(journal, fold, mongo) as consumer:
        await eventually(lambda: consumer.stale)
    assert await fold.payloads() == []


async def test_a_journal_that_ends_before_the_cursor_stops_it(
    journal: Journal, fold: Fold, mongo: MongoConnection
) -> None:
    journal.append("a", "b")
    async with running(journal, fold, mongo) as consumer:
        assert await consumer.reached(2, 5.0)
        journal.entries.pop()
        consumer.ring()
        await eventually(lambda: consumer.stale)


async def test_a_rewritten_journal_stops_it_before_anything_of_it_is_folded_in(
    journal: Journal, fold: Fold, mongo: MongoConnection
) -> None:
    journal.append("a", "b")
    async with running(journal, fold, mongo) as consumer:
        assert await consumer.reached(2, 5.0)
    journal.entries.clear()
    journal.append("a", "other", "c")
    async with running(journal, fold, mongo) as consumer:
        await eventually(lambda: consumer.stale)
    assert await fold.payloads() == ["a", "b"]


async def test_a_process_killed_before_the_commit_folds_the_batch_once(
    journal: Journal, fold: Fold, mongo: MongoConnection, mongo_url: str
) -> None:
    program = textwrap.dedent(
        f"""
        import asyncio
        from chassis.crash_points import arm_crash_point
        from chassis.journal_consumer import Entry, JournalConsumer
        from chassis.mongo import connect

        async def main():
            arm_crash_point("journal_consumer_before_commit")
            connection = connect({mongo_url!r}, {mongo.database.name!r})

            async def read(after, limit):
                return [Entry(1, b"first", "a")] if not after else []

            async def apply(entries):
                await connection.database["folded"].insert_one({{"number": 1, "payload": "a"}})

            await JournalConsumer("test", read=read, apply=apply, transactions=connection.transactions,
                                  database=connection.database).run()

        asyncio.run(main())
        """
    )
    killed = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], check=False, timeout=120, env=os.environ
    )
    assert killed.returncode == -signal.SIGKILL
    assert await fold.payloads() == []
    # The dead process's open transaction holds the cursor's row until the server's limit for transactions (60 s by
    # default); this is the same, sooner.
    await mongo.client.admin.command("killAllSessions", [])
    journal.entries.append(Entry(1, b"first", "a"))
    async with running(journal, fold, mongo) as consumer:
        assert await consumer.reached(1, 10.0)
    assert await fold.payloads() == ["a"]
