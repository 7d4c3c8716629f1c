"""The projection's rows against the journal: what a rebuild would write, and what is there."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any

import bson

from trading.command_line.open_exchange import OpenExchange
from trading.command_line.report import Report
from trading.domain.keys import ORDER_KEY_SECONDS
from trading.domain.orders import TERMINAL
from trading.projector.fold import Fold
from trading.storage.balance_points import BalancePointDocument
from trading.storage.cursors import Cursor
from trading.storage.documents import PENDING, OrderDocument, TapeDocument, TransferDocument, UsedKeyDocument
from trading.storage.projection import Changes
from trading.storage.rows import Row

BATCHES_PER_LOOK = 64
ROWS_PER_READ = 256
DIFFERENCES_SHOWN_MAX = 20  # a lost collection is as many as it had rows; the rest is counted

ORDERS = OrderDocument.Settings.name
TRANSFERS = TransferDocument.Settings.name
USED_KEYS = UsedKeyDocument.Settings.name
TAPE = TapeDocument.Settings.name
BALANCE_POINTS = BalancePointDocument.Settings.name
# Of the rows that never go away by themselves: the field that says since which batch a row is there.
_SINCE = {ORDERS: "placed_batch", TRANSFERS: "first_batch", TAPE: "batch", BALANCE_POINTS: "batch"}
_ENDED = {status.value for status in TERMINAL}


async def compare_rows(exchange: OpenExchange, report: Report, cursor: Cursor) -> None:
    """Of all up to the projection's cursor; the exchange and its projector may go on meanwhile. In memory are the rows
    that may still change, as many as there are open orders and pending transfers.
    """
    fold, comparison = Fold(), _Comparison(exchange, report, cursor.batch)
    changes, waiting = Changes(), 0
    with report.progress("comparing rows", cursor.batch) as progress:
        async for batch in exchange.batches(0, cursor.batch):
            fold.apply(batch, changes)
            progress.update(1)
            waiting += 1
            if waiting == BATCHES_PER_LOOK:
                await comparison.take(changes)
                changes, waiting = Changes(), 0
    await comparison.take(changes)
    await comparison.finish()


class _Comparison:
    def __init__(self, exchange: OpenExchange, report: Report, last: int) -> None:
        self._database = exchange.mongo.database
        self._report = report
        self._last = last
        self._open: dict[str, Row] = {}
        self._pending: dict[str, Row] = {}
        self._rows: Counter[str] = Counter()
        self._missing: Counter[str] = Counter()
        self._differences = 0

    async def take(self, changes: Changes) -> None:
        """Compares what will not change again."""
        orders = changes.new_orders | changes.changed_orders
        self._open |= orders
        await self._compare(
            ORDERS, {name: self._open.pop(name) for name, row in orders.items() if row["status"] in _ENDED}
        )
        self._pending |= changes.transfers
        for hold_key, outcome in changes.ended_holds.items():
            row = self._pending[hold_key]
            row["state"], row["batch"] = outcome
        touched = changes.transfers.keys() | changes.ended_holds.keys()
        await self._compare(
            TRANSFERS, {key: self._pending.pop(key) for key in touched if self._pending[key]["state"] != PENDING}
        )
        await self._compare(USED_KEYS, _by_id(changes.used_keys))
        await self._compare(TAPE, _by_id(changes.tape))
        await self._compare(BALANCE_POINTS, _by_id(changes.balance_points))

    async def finish(self) -> None:
        await self._compare(ORDERS, self._open, may_have_changed=True)
        await self._compare(TRANSFERS, self._pending, may_have_changed=True)
        for name, since in _SINCE.items():
            stored = await self._database.get_collection(name).count_documents({since: {"$lte": self._last}})
            unknown = stored - (self._rows[name] - self._missing[name])
            if unknown > 0:
                self._differs(f"{name} has {unknown} rows that the journal does not know")
        self._report.fact("rows_compared", self._rows.total())
        if self._differences > DIFFERENCES_SHOWN_MAX:
            self._report.wrong(f"and {self._differences - DIFFERENCES_SHOWN_MAX} more such differences of rows")

    async def _compare(self, name: str, rows: Mapping[str, Row], *, may_have_changed: bool = False) -> None:
        """Rows are written before the cursor moves: one that may still change may be ahead of it."""
        self._rows[name] += len(rows)
        wanted = list(rows)
        for first in range(0, len(wanted), ROWS_PER_READ):
            some = wanted[first : first + ROWS_PER_READ]
            found = await self._database.get_collection(name).find({"_id": {"$in": some}}).to_list()
            stored = _by_id(found)
            for row_id in some:
                if row_id not in stored:
                    self._miss(name, rows[row_id])
                elif not (may_have_changed and stored[row_id].get("batch", 0) > self._last):
                    self._compare_row(name, rows[row_id], stored[row_id])

    def _miss(self, name: str, row: Row) -> None:
        if name == USED_KEYS and _may_have_expired(row):
            return
        self._missing[name] += 1
        self._differs(f"{name} {row['_id']!r} is missing")

    def _compare_row(self, name: str, row: Row, stored: Row) -> None:
        if name == USED_KEYS and stored.get("batch", 0) > row["batch"]:
            return  # the key was free again, and has been used again
        # As it would be read back: amounts are decimals of another kind.
        row = bson.decode(bson.encode(row), self._database.codec_options)
        if name == BALANCE_POINTS:
            # In the order in which their writer came to know the assets: another one for who began with a snapshot.
            row, stored = _sorted_balances(row), _sorted_balances(stored)
        for field in _differing(row, stored):
            told = f"{field} is {stored.get(field)!r}, by the journal {row.get(field)!r}"
            self._differs(f"{name} {row['_id']!r}: {told}")

    def _differs(self, difference: str) -> None:
        self._differences += 1
        if self._differences <= DIFFERENCES_SHOWN_MAX:
            self._report.wrong(difference)


def _by_id(rows: list[Row]) -> dict[str, Row]:
    return {row["_id"]: row for row in rows}


def _sorted_balances(row: Row) -> Row:
    return row | {"balances": sorted(row.get("balances", []), key=itemgetter("asset"))}


def _may_have_expired(row: Row) -> bool:
    oldest: Any = datetime.now(UTC) - timedelta(seconds=2 * ORDER_KEY_SECONDS)
    return bool(row["created_at"] <= oldest)


def _differing(row: Row, stored: Row) -> list[str]:
    """The fields that do. What an older release did not write yet is absent, and has its default."""
    absent = [name for name in row if name not in stored and row[name] not in (None, 0, [])]
    return absent + [name for name in stored if name not in row or stored[name] != row[name]]
