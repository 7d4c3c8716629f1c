"""What others read of the journal: never less than a fold needs to go on, never more than the rows can tell of."""

from types import SimpleNamespace
from typing import Any

import pytest
from shell_factory import PRICE, UNIT, MemoryJournal, buy_for, limit, running_shell
from trading.domain.orders import Side
from trading.journal.batch import GENESIS_DIGEST, SealedBatch, seal
from trading.projector import journal_reader
from trading.projector.event_log import EventLog
from trading.projector.fold import Fold
from trading.storage.projection import Changes
from trading.storage.rows import Row


def batch_of(number: int, size: int) -> SealedBatch:
    return seal(
        number=number, epoch=1, writer="w", time_milliseconds=number, users=(), body=b"x" * size,
        previous=GENESIS_DIGEST,
    )  # fmt: skip


def test_a_reply_brings_news_however_large_the_batch_at_the_cursor_is() -> None:
    """A fold asks for the batch it knows and those after it; the first alone would leave it standing for ever."""
    large = journal_reader.REPLY_BODY_BYTES_MAX
    batches = [batch_of(1, large), batch_of(2, large), batch_of(3, 1)]
    assert [batch.number for batch in journal_reader.first_ones(batches)] == [1, 2]
    small = [batch_of(number, 10) for number in range(1, 6)]
    assert journal_reader.first_ones(small) == small


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
    return SimpleNamespace(id=row["_id"], client_order_id=None, fills=fills, **fields)


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
