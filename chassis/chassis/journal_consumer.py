"""Folds the exchange's journal into a service's own collections, every batch exactly once and in order."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from prometheus_client import Counter, Gauge
from pymongo.errors import ConnectionFailure, DuplicateKeyError

from chassis.cancellation import end_if_cancelled
from chassis.crash_points import crash_point
from chassis.errors import ErrorKind, RemoteBugError, ServiceError
from chassis.logs import get_logger
from chassis.mongo import MongoDatabase, Transactions

P = TypeVar("P")

COLLECTION = "journal_cursors"
# Several per transaction: a commit costs more than the rows in it, and a row that many of them change is written once.
# The exchange gives as many of them as fit a reply.
BATCHES_PER_READ = 200
# In a stream of batches a round begins this long after the one before, unless somebody waits for it. Each round costs a
# handful of commits and each row it changes: without a pause the folds take whatever CPU the orders leave, and more.
ROUNDS_APART_SECONDS = 0.5
POLL_SECONDS = 1.0  # without the bell; the bus may lose every ring
OUTAGE_PAUSE_SECONDS_MAX = 5.0
POISON_TRIES = 3  # of the one batch that fails, before this consumer stops; a bug fails each time
POISON_PAUSE_SECONDS = 0.2
APPLY_DEADLINE_SECONDS = 20.0  # for one transaction over all that a reply holds, on a busy machine

POSITION = Gauge("cryptovault_journal_consumer_position", "Last batch folded in", ["consumer"])
STALE = Gauge("cryptovault_journal_consumer_stale", "1 when the consumer has stopped and needs a person", ["consumer"])
FAILURES = Counter("cryptovault_journal_consumer_failures", "Failed reads and folds", ["consumer"])

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Entry(Generic[P]):
    """One batch of the journal: its number (1, 2, 3, ...), the digest that chains it, and what it holds."""

    number: int
    digest: bytes
    payload: P


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a consumer has come: the last batch folded in. Number 0 is before the first."""

    number: int
    digest: bytes


class JournalBroken(Exception):
    """The journal is not the one this consumer has folded so far, or a batch is missing: a restore went wrong."""


class _CursorMoved(Exception):
    """Another instance of this consumer has come further meanwhile; nothing of ours was written."""


class JournalConsumer(Generic[P]):
    """Reads whole batches after its cursor and applies them in the transaction that moves the cursor.

    The bus only rings the bell (`ring`); without it the consumer looks every second. Who waits for a batch (`reached`)
    hurries it. On a batch it cannot apply, or a journal that does not continue its own, it stops, marks itself stale
    and alarms: it never skips.
    """

    def __init__(
        self,
        name: str,
        *,
        read: Callable[[int, int], Awaitable[Sequence[Entry[P]]]],
        apply: Callable[[Sequence[Entry[P]]], Awaitable[None]],
        transactions: Transactions,
        database: MongoDatabase,
    ) -> None:
        """`read(after, limit)` gives at most `limit` batches after that number, in order.

        `apply(entries)` runs inside the transaction, perhaps more than once: database calls only.
        """
        self._name = name
        self._read = read
        self._apply = apply
        self._transactions = transactions
        self._cursors = database[COLLECTION]
        self._cursor = Cursor(0, b"")
        self._bell = asyncio.Event()
        self._hurry = asyncio.Event()
        self._wanted = 0  # the newest batch that somebody has waited for
        self._moved = asyncio.Condition()
        self._stale = False

    @property
    def stale(self) -> bool:
        """True once it has stopped: what was folded stays readable, but is no longer current."""
        return self._stale

    @property
    def position(self) -> int:
        """The last batch that this instance knows to be folded in."""
        return self._cursor.number

    def ring(self) -> None:
        """Says that the journal grew. May be called any number of times, or never."""
        self._bell.set()

    async def reached(self, number: int, timeout_seconds: float) -> bool:
        """Waits until that batch is folded in, and has it looked for at once; False when it takes too long or the
        consumer has stopped.
        """
        if self._cursor.number < number:
            self._wanted = max(self._wanted, number)
            self._hurry.set()
            self._bell.set()
        try:
            async with asyncio.timeout(timeout_seconds), self._moved:
                await self._moved.wait_for(lambda: self._cursor.number >= number or self._stale)
        except TimeoutError:
            return False
        return self._cursor.number >= number

    async def run(self) -> None:
        """Runs until cancelled, or returns when it has to stop for a person. Outages only delay it."""
        STALE.labels(self._name).set(0)
        outages = 0
        while not self._stale:
            end_if_cancelled()
            self._bell.clear()
            begun = asyncio.get_running_loop().time()
            try:
                if outages or not self._cursor.number:
                    await self._load_cursor()
                read, folded = await self._advance()
                outages = 0
            except JournalBroken as error:
                await self._stop(str(error))
                return
            except Exception as error:  # noqa: BLE001 - sorted by whether waiting can help
                if not _is_outage(error):
                    await self._stop(f"the journal cannot be read: {error!r}", error)
                    return
                outages += 1
                FAILURES.labels(self._name).inc()
                log.warning("Journal waits", event="journal_waits", consumer=self._name, problem=repr(error))
                await asyncio.sleep(min(0.1 * 2**outages, OUTAGE_PAUSE_SECONDS_MAX))
                continue
            if not folded:
                await self._wait_for_bell()
            elif read < BATCHES_PER_READ:
                await self._gather(begun + ROUNDS_APART_SECONDS)

    async def _advance(self) -> tuple[int, int]:
        """Reads on and folds in what there is; how many batches were read, and how many of them are new."""
        cursor = self._cursor
        # The batch at the cursor comes along, so that a journal that was cut off or rewritten is seen before the
        # first batch after it is folded in.
        overlap = 1 if cursor.number else 0
        entries = await self._read(cursor.number - overlap, BATCHES_PER_READ)
        self._check(entries, cursor)
        news = entries[overlap:]
        if not news:
            return len(entries), 0
        try:
            await self._fold(cursor, news)
        except _CursorMoved:
            await self._load_cursor()
        except Exception as error:
            if _is_outage(error):
                raise
            # A bug in `apply`: go as far as it can be gone, and find the one batch that shows it.
            await self._fold_one_by_one(news)
        return len(entries), len(news)

    def _check(self, entries: Sequence[Entry[P]], cursor: Cursor) -> None:
        if cursor.number and not entries:
            raise JournalBroken(f"the journal ends before batch {cursor.number}, which was folded in already")
        first = cursor.number or 1
        for expected, entry in enumerate(entries, start=first):
            if entry.number != expected:
                raise JournalBroken(f"batch {entry.number} follows where {expected} was expected")
        if cursor.number and entries[0].digest != cursor.digest:
            raise JournalBroken(f"batch {cursor.number} is not the one that was folded in: its digest differs")

    async def _fold(self, cursor: Cursor, entries: Sequence[Entry[P]]) -> None:
        target = Cursor(entries[-1].number, entries[-1].digest)

        async def work() -> None:
            # The cursor first: of two instances the later one conflicts here, before it has done any work.
            moved = await self._cursors.update_one(
                {"_id": self._name, "number": cursor.number, "digest": cursor.digest},
                {"$set": {"number": target.number, "digest": target.digest}},
            )
            if moved.matched_count != 1:
                raise _CursorMoved
            await self._apply(entries)
            crash_point("journal_consumer_before_commit")

        await self._transactions.run(work, deadline_seconds=APPLY_DEADLINE_SECONDS)
        await self._set_cursor(target)

    async def _fold_one_by_one(self, entries: Sequence[Entry[P]]) -> None:
        for entry in entries:
            if not await self._fold_or_stop(entry):
                return

    async def _fold_or_stop(self, entry: Entry[P]) -> bool:
        for tries_left in reversed(range(POISON_TRIES)):
            try:
                await self._fold(self._cursor, [entry])
            except _CursorMoved:
                await self._load_cursor()
                return False
            except Exception as error:
                if _is_outage(error):
                    raise
                if not tries_left:
                    await self._stop(f"batch {entry.number} cannot be applied: {error!r}", error)
                    return False
            else:
                return True
            FAILURES.labels(self._name).inc()
            await asyncio.sleep(POISON_PAUSE_SECONDS)
        return False

    async def _load_cursor(self) -> None:
        row = await self._cursors.find_one({"_id": self._name})
        if row is None:
            try:
                await self._cursors.insert_one({"_id": self._name, "number": 0, "digest": b""})
            except DuplicateKeyError:
                row = await self._cursors.find_one({"_id": self._name})
        if row is not None:
            await self._set_cursor(Cursor(row["number"], bytes(row["digest"])))

    async def _set_cursor(self, cursor: Cursor) -> None:
        async with self._moved:
            self._cursor = cursor
            self._moved.notify_all()
        POSITION.labels(self._name).set(cursor.number)

    async def _wait_for_bell(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._bell.wait()
        except TimeoutError:
            return

    async def _gather(self, until: float) -> None:
        """Lets more batches come, where nobody waits for one."""
        if self._wanted > self._cursor.number:
            return
        self._hurry.clear()
        try:
            async with asyncio.timeout_at(until):
                await self._hurry.wait()
        except TimeoutError:
            return

    async def _stop(self, problem: str, error: BaseException | None = None) -> None:
        FAILURES.labels(self._name).inc()
        STALE.labels(self._name).set(1)
        log.error(
            "Journal consumer stopped",
            event="journal_consumer_stale",
            consumer=self._name,
            position=self._cursor.number,
            problem=problem,
            exc_info=error,
        )
        async with self._moved:
            self._stale = True
            self._moved.notify_all()


def _is_outage(error: Exception) -> bool:
    """True where something is away and waiting helps; anything else is a bug or a broken journal."""
    if isinstance(error, ServiceError):
        return error.kind is ErrorKind.UNAVAILABLE
    # A neighbour's bug may be its database that is away; to ask again harms nobody, to stop would need a person.
    return isinstance(error, ConnectionFailure | RemoteBugError)
