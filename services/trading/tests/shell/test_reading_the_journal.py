"""What others read of the journal: never less than a fold needs to go on, never more than the rows can tell of."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from shell_factory import PRICE, UNIT, MemoryJournal, Shell, buy_for, limit, running_shell
from trading.domain.orders import Side
from trading.journal.batch import SealedBatch
from trading.projector import journal_reader
from trading.projector.event_log import EventLog
from trading.projector.fold import Fold
from trading.projector.journal_reader import JournalReader
from trading.storage.projection import Changes
from trading.storage.rows import Row

from chassis import journal_consumer


def test_a_reply_brings_news_however_large_the_batch_at_the_cursor_is() -> None:
    """A fold asks for the batch it knows and those after it; the first alone would leave it standing for ever."""
    large = journal_reader.REPLY_BODY_BYTES_MAX
    assert journal_reader.how_many_fit([large, large, 1]) == 2
    assert journal_reader.how_many_fit([10] * 5) == 5
    assert journal_reader.how_many_fit([large]) == 1


def test_a_fold_that_asks_for_as_many_as_it_may_knows_a_full_reply_when_it_sees_one() -> None:
    assert journal_consumer.BATCHES_PER_READ <= journal_reader.BATCHES_MAX


class CountingJournal(MemoryJournal):
    def __init__(self) -> None:
        super().__init__()
        self.read_numbers: list[int] = []

    async def read_after(self, number: int, limit: int) -> list[SealedBatch]:
        found = await super().read_after(number, limit)
        await asyncio.sleep(0)  # as a database would, it lets the others go on
        self.read_numbers += [batch.number for batch in found]
        return found


async def followed(shell: Shell, journal: MemoryJournal) -> tuple[Any, int]:
    """A reader over a journal of five deposits, and its newest batch."""
    fold = Fold()
    for _ in range(5):
        await shell.deposit("ann", "USD", UNIT)
    for number in sorted(journal.batches):
        fold.apply(journal.batches[number], Changes())
    projector = SimpleNamespace(fold=fold, batch=fold.cursor.batch)
    reader = JournalReader(journal=journal, queries=RowsAsWritten(), projector=projector)  # type: ignore[arg-type]
    return reader, projector.batch


async def test_others_get_their_turn_while_many_batches_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_reader, "TURN_SECONDS", 0)
    journal = MemoryJournal()
    async with running_shell(journal) as shell:
        reader, newest = await followed(shell, journal)
        reading = asyncio.create_task(reader.read(0, 200))
        turns = 0
        while not reading.done():
            turns += 1
            await asyncio.sleep(0)
        assert len(reading.result()) == newest
        assert turns > 2 * newest


async def test_followers_are_told_the_same_and_the_journal_is_read_once() -> None:
    journal = CountingJournal()
    async with running_shell(journal) as shell:
        reader, newest = await followed(shell, journal)
        journal.read_numbers.clear()
        replies = await asyncio.gather(*(reader.read(0, 200) for _ in range(3)))
        assert journal.read_numbers == list(range(1, newest + 1))
        fresh, _ = await followed(shell, journal)
        assert replies == [(await fresh.read(0, newest))] * 3
        # Who is elsewhere gets what follows there, whether it is kept or not.
        assert [batch.number for batch in await reader.read(2, 2)] == [3, 4]
        assert await reader.read(newest, 200) == []


@pytest.mark.parametrize("by_count", [False, True])
async def test_what_is_kept_of_the_journal_has_limits(monkeypatch: pytest.MonkeyPatch, *, by_count: bool) -> None:
    journal = CountingJournal()
    async with running_shell(journal) as shell:
        reader, newest = await followed(shell, journal)
        size = len(journal.batches[newest].body) + len(journal.batches[newest - 1].body)
        monkeypatch.setattr(journal_reader, *(("KEPT_BATCHES_MAX", 2) if by_count else ("KEPT_BODY_BYTES_MAX", size)))
        first = await reader.read(0, 200)
        journal.read_numbers.clear()
        assert await reader.read(0, 200) == first
        assert journal.read_numbers == list(range(1, newest + 1))  # the newest are kept; a read begins with the oldest
        journal.read_numbers.clear()
        assert await reader.read(newest - 2, 200) == first[-2:]
        assert journal.read_numbers == []


async def test_what_was_kept_and_is_told_again_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    journal = CountingJournal()
    async with running_shell(journal) as shell:
        reader, _ = await followed(shell, journal)
        everything = sum(len(batch.body) for batch in journal.batches.values())
        monkeypatch.setattr(journal_reader, "KEPT_BODY_BYTES_MAX", everything)
        await reader.read(2, 200)
        await reader.read(0, 200)
        journal.read_numbers.clear()
        await reader.read(0, 200)
        assert journal.read_numbers == []


class RowsAsWritten:
    """`OrderQueries` over the rows of a fold, as they were at the last `write`."""

    def __init__(self) -> None:
        self.rows: dict[str, Any] = {}
        self.asked: list[str] = []

    def write(self, changes: Changes) -> None:
        self.rows |= {
            order_id: _document(row) for order_id, row in (changes.new_orders | changes.changed_orders).items()
        }

    async def many(self, order_ids: list[str]) -> dict[str, Any]:
        self.asked += order_ids
        return {order_id: self.rows[order_id] for order_id in order_ids if order_id in self.rows}


def _document(row: Row) -> SimpleNamespace:
    def plain(value: Any) -> Any:
        return value.to_decimal() if hasattr(value, "to_decimal") else value

    fields = {name: plain(value) for name, value in row.items() if name != "fills"}
    fills = [SimpleNamespace(**{name: plain(value) for name, value in fill.items()}) for fill in row["fills"]]
    return SimpleNamespace(client_order_id=None, fills=fills, **fields)


async def test_the_log_ends_where_the_rows_end_though_the_fold_is_ahead() -> None:
    """Until its rows are written, an order's row is an older one, or none: no event may be told from it."""
    journal = MemoryJournal()
    fold, rows = Fold(), RowsAsWritten()
    projector = SimpleNamespace(fold=fold, batch=0)
    log: Any = EventLog(journal=journal, queries=rows, projector=projector)  # type: ignore[arg-type]

    def folded() -> Changes:
        changes = Changes()
        while fold.cursor.batch + 1 in journal.batches:
            fold.apply(journal.batches[fold.cursor.batch + 1], changes)
        return changes

    def write(changes: Changes) -> None:
        rows.write(changes)
        projector.batch = fold.cursor.batch

    async with running_shell(journal) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        await shell.deposit("bob", "USD", 1_000 * UNIT)
        await shell.send(limit("ann", Side.BUY, UNIT // 100, PRICE - 1_000 * UNIT))
        write(folded())
        # The reference falls below ann's limit: she is filled. And she buys once more.
        shell.clock.advance(1)
        shell.tick(PRICE - 2_000 * UNIT)
        await shell.send(buy_for("bob", 100 * UNIT))
        await shell.send(buy_for("ann", 100 * UNIT))
        ahead = folded()
        page = await log.read("ann", after=0, limit=50)
        assert [event.sequence for event in page.events] == [1, 2]
        assert not page.more
        assert page.events[-1].order.status == "open"
        write(ahead)
        page = await log.read("ann", after=2, limit=50)
        assert [event.sequence for event in page.events] == [3, 4, 5]
        assert [event.order.status for event in page.events] == ["filled", "open", "filled"]
        bobs = {order.id for order in rows.rows.values() if order.user_id == "bob"}
        assert bobs
        assert not bobs & set(rows.asked)


@pytest.mark.parametrize("limit_of_page", [1, 2])
async def test_a_page_within_the_rows_says_that_there_is_more(limit_of_page: int) -> None:
    journal = MemoryJournal()
    fold, rows = Fold(), RowsAsWritten()
    async with running_shell(journal) as shell:
        for _ in range(3):
            await shell.deposit("ann", "USD", UNIT)
        for number in sorted(journal.batches):
            fold.apply(journal.batches[number], Changes())
        projector = SimpleNamespace(fold=fold, batch=fold.cursor.batch)
        log: Any = EventLog(journal=journal, queries=rows, projector=projector)  # type: ignore[arg-type]
        page = await log.read("ann", after=0, limit=limit_of_page)
        assert len(page.events) == limit_of_page
        assert page.more
