"""Writes what a fold did: new rows in bulk, changed rows only where they changed, the cursor last.

A crash in between leaves rows without a cursor; the next start writes them again. So all writes are repeatable:
a new row that is there already counts as a changed one, and a changed row goes only over an older one.
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, TypeVar

from bson.binary import UUID_SUBTYPE, Binary
from chassis.crash_points import crash_point
from chassis.mongo import MongoDatabase, Transactions
from pymongo import ReplaceOne, UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError

from trading.storage.balance_points import BalancePointDocument
from trading.storage.cursors import ORDERS, Cursor, CursorMoved, Cursors
from trading.storage.documents import OrderDocument, TapeDocument, TransferDocument, UsedKeyDocument
from trading.storage.rows import CHANGING, Row, complete_row

_DUPLICATE_KEY = 11000
SESSIONS = "projection_sessions"  # in which a projector's transactions are, by its cursor's name
# The journal's appends share the database with these writes; a larger write would make every order wait behind it.
ROWS_PER_WRITE = 64
# One of these writes takes a tenth of a second. A look before each of them cost the server a tenth of its work.
LOOK_AGAIN_SECONDS = 0.1
_T = TypeVar("_T")


class HoldOutcome(NamedTuple):
    """What became of a held transfer."""

    state: str
    batch: int


@dataclass(slots=True)
class Changes:
    """What several batches did, coalesced: each row once, as it is after the last of them."""

    new_orders: dict[str, Row] = field(default_factory=dict)
    changed_orders: dict[str, Row] = field(default_factory=dict)
    incomplete: dict[str, int] = field(
        default_factory=dict
    )  # of these, by the batch before which the row knows nothing
    transfers: dict[str, Row] = field(default_factory=dict)  # by business key
    ended_holds: dict[str, HoldOutcome] = field(default_factory=dict)  # by business key, of rows written before
    used_keys: list[Row] = field(default_factory=list)
    tape: list[Row] = field(default_factory=list)
    balance_points: list[Row] = field(default_factory=list)

    @property
    def row_count(self) -> int:
        orders = len(self.new_orders) + len(self.changed_orders)
        transfers = len(self.transfers) + len(self.ended_holds)
        return orders + transfers + len(self.used_keys) + len(self.tape) + len(self.balance_points)

    def end_hold(self, hold_key: str, outcome: HoldOutcome) -> None:
        """The held transfer's row may be one of these batches' own."""
        row = self.transfers.get(hold_key)
        if row is None:
            self.ended_holds[hold_key] = outcome
        else:
            row["state"], row["batch"] = outcome

    def touch(self, row: Row) -> None:
        """The row of an order that was placed in an earlier batch changed, or one of these batches' own."""
        if row["_id"] not in self.new_orders:
            self.changed_orders[row["_id"]] = row


class Projection:
    def __init__(self, database: MongoDatabase, suffix: str = "") -> None:
        """`suffix` is of the collections of a projection that is being built anew beside the one in use."""
        self._orders = database.get_collection(OrderDocument.Settings.name + suffix)
        self._transfers = database.get_collection(TransferDocument.Settings.name + suffix)
        self._used_keys = database.get_collection(UsedKeyDocument.Settings.name + suffix)
        self._tape = database.get_collection(TapeDocument.Settings.name + suffix)
        self._balance_points = database.get_collection(BalancePointDocument.Settings.name + suffix)
        self._client = database.client
        self._transactions = Transactions(self._client)
        self._sessions = database.get_collection(SESSIONS)
        self._cursors = Cursors(database)
        self._cursor_name = ORDERS + suffix
        self._seen_at, self._seen_time = Cursor(), -math.inf

    async def take_over(self) -> None:
        """From whoever wrote here before."""
        await self.free_rows()
        session = self._client.start_session()
        own = bytes(session.session_id["id"])
        await self._sessions.replace_one({"_id": self._cursor_name}, {"session": own}, upsert=True)
        self._transactions = Transactions(self._client, session)

    async def free_rows(self) -> None:
        """Gives up what whoever wrote here last has open. The server would keep the rows of a process that died from
        everybody else for a minute; one that lives begins again, and sees where its cursor is.
        """
        left = await self._sessions.find_one({"_id": self._cursor_name})
        if left is not None:
            await self._client.admin.command("killSessions", [{"id": Binary(left["session"], UUID_SUBTYPE)}])

    async def cursor(self) -> Cursor:
        return await self._cursors.read(self._cursor_name)

    async def complete(self, changes: Changes) -> None:
        """Gives the incomplete rows what they had before. Once: what was completed is taken off the list, so that a
        repeated call adds nothing twice.
        """
        wanted = list(changes.incomplete)
        for first in range(0, len(wanted), ROWS_PER_WRITE):
            some = wanted[first : first + ROWS_PER_WRITE]
            stored = {row["_id"]: row for row in await self._orders.find({"_id": {"$in": some}}).to_list()}
            for order_id in some:
                # A row that is not there: somebody dropped it under a cursor that says it is. KeyError stops us.
                complete_row(
                    changes.changed_orders[order_id], stored[order_id], before=changes.incomplete.pop(order_id)
                )

    async def write(self, changes: Changes, *, before: Cursor, after: Cursor) -> None:
        """Rows may be ahead of `after`: the fold goes on meanwhile, and a row is always whole batches.

        Raises `CursorMoved` where another projector is at work: this one must stop.
        """
        await self._insert(self._orders, list(changes.new_orders.values()), before)
        for rows in _portions(list(changes.changed_orders.values())):
            # Together: apart, each update waits for a commit of its own, which costs more than the update.
            await self._transactions.run(partial(self._update_orders, rows, before))
        await self._insert(self._transfers, list(changes.transfers.values()), before)
        for ended in _portions(list(changes.ended_holds.items())):
            await self._stands_at(before)
            await self._transfers.bulk_write(
                [
                    UpdateOne(
                        {"_id": hold_key, "batch": {"$lt": outcome.batch}},
                        {"$set": {"state": outcome.state, "batch": outcome.batch}},
                    )
                    for hold_key, outcome in ended
                ],
                ordered=False,
            )
        await self._insert(self._used_keys, changes.used_keys, before)
        await self._insert(self._tape, changes.tape, before)
        await self._insert(self._balance_points, changes.balance_points, before)
        crash_point("projection_before_cursor")
        await self._cursors.move(self._cursor_name, before=before, after=after)

    async def _insert(self, collection: AsyncCollection[dict[str, Any]], rows: Sequence[Row], before: Cursor) -> None:
        for portion in _portions(rows):
            await self._stands_at(before)
            try:
                await collection.insert_many(portion, ordered=False)
            except BulkWriteError as error:
                problems = (error.details or {}).get("writeErrors", [])
                if any(problem["code"] != _DUPLICATE_KEY for problem in problems):
                    raise
                known = [portion[problem["index"]] for problem in problems]
                await collection.bulk_write(
                    [ReplaceOne({"_id": row["_id"], "batch": {"$lt": row["batch"]}}, row) for row in known],
                    ordered=False,
                )

    async def _update_orders(self, rows: Sequence[Row], before: Cursor) -> None:
        await self._stands_at(before)
        updates = [
            UpdateOne(
                {"_id": row["_id"], "batch": {"$lt": row["batch"]}},
                # The fills as a whole: pushing them one by one could push one twice.
                {"$set": {**{name: row[name] for name in CHANGING}, "fills": row["fills"]}},
            )
            for row in rows
        ]
        await self._orders.bulk_write(updates, ordered=False)

    async def _stands_at(self, before: Cursor) -> None:
        """Looked at before each write of rows, if not just now: whoever moved it may drop these, and must not have to
        wait for who writes them. Raises `CursorMoved`.
        """
        now = time.monotonic()
        if before == self._seen_at and now - self._seen_time < LOOK_AGAIN_SECONDS:
            return
        if await self.cursor() != before:
            raise CursorMoved.from_where_it_was(self._cursor_name, before)
        self._seen_at, self._seen_time = before, now


def _portions(rows: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for first in range(0, len(rows), ROWS_PER_WRITE):
        yield rows[first : first + ROWS_PER_WRITE]
