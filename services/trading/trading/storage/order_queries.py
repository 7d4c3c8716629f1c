"""Reads of orders: what is not written yet from the fold's memory, the others from their collection. The owner is in
every query of a user.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

import bson
from chassis.errors import InvalidArgument
from chassis.mongo import CODEC_OPTIONS

from trading.domain.moments import MOMENT_MAX, milliseconds_of, time_of
from trading.domain.orders import Order
from trading.domain.state import Owner
from trading.storage.balance_points import BalancePoints
from trading.storage.documents import OrderDocument
from trading.storage.rows import Row
from trading.storage.time_windows import TimeWindows, Window
from trading.storage.unwritten import Unwritten

OPEN_STATUSES = ("new", "open", "partially_filled")
PAGE_SIZE_MAX = 200  # one screen of the blotter is 50
PAGE_SIZE_DEFAULT = 50
EVENTS_PER_ORDER = 2  # it is placed and it ends; who has more events by order is asked twice, which costs little
# A page may come back short: a filter that finds little must not read a whole history in one call.
ROWS_PER_PAGE_MAX = 1_000
WINDOWS_PER_PAGE_MAX = 32  # also where there is nothing in them: who has many fills by order
ROWS_PER_ANSWER = 10_000  # all that a window has, so that nobody asks twice for it
IDS_PER_QUESTION = 64  # a server may hold every row against every id of the list
MILLISECOND = timedelta(milliseconds=1)
# Milliseconds and an order id; without an id it is of all before that time.
_CURSOR = re.compile(r"(0|[1-9][0-9]{0,14})/([!-~]{0,64})", re.ASCII)

Place = tuple[datetime, str]  # when an order was created, and its id: the order of all lists


@dataclass(frozen=True, slots=True)
class OrderPage:
    orders: Sequence[OrderDocument]
    next_cursor: str  # empty at the end


class OrderQueries:
    """Beanie must be initialised."""

    def __init__(self, unwritten: Unwritten, owner: Callable[[str], Owner | None]) -> None:
        """`owner` gives a user's account holder as of the newest batch; None where nothing has happened to them."""
        self._unwritten = unwritten
        self._owner = owner
        self._points = BalancePoints()

    async def get(self, user_id: str, order_id: str) -> OrderDocument | None:
        row = self._unwritten.order(order_id)
        if row is not None:
            return _document(row) if row["user_id"] == user_id else None
        return await OrderDocument.find_one({"_id": order_id, "user_id": user_id})

    async def by_client_id(self, user_id: str, client_order_id: str) -> OrderDocument | None:
        """The newest, where the id was used again after its key had expired."""
        unwritten = self._unwritten.orders_of(user_id)
        stored = await OrderDocument.find({"user_id": user_id, "client_order_id": client_order_id}).to_list()
        found = [order for order in stored if order.id not in unwritten]
        found += [_document(row) for row in unwritten.values() if row.get("client_order_id") == client_order_id]
        return max(found, key=lambda order: order.placed_batch, default=None)

    async def many(self, order_ids: Sequence[str]) -> dict[str, OrderDocument]:
        """Orders of whomever, for folds."""
        rows = {order_id: self._unwritten.order(order_id) for order_id in order_ids}
        found = {order_id: _document(row) for order_id, row in rows.items() if row is not None}
        stored = [order_id for order_id in order_ids if order_id not in found]
        for first in range(0, len(stored), IDS_PER_QUESTION):
            some = stored[first : first + IDS_PER_QUESTION]
            found |= {order.id: order for order in await OrderDocument.find({"_id": {"$in": some}}).to_list()}
        return found

    async def page(self, user_id: str, *, market: str, status: str, limit: int, cursor: str) -> OrderPage:
        """Newest first. May be short, even empty, though there is more: then it has a cursor."""
        wanted = _Wanted.of(market, status, cursor)
        size = page_size(limit)
        owner = self._owner(user_id)
        if owner is None:
            return OrderPage((), "")
        if wanted.statuses and set(wanted.statuses) <= set(OPEN_STATUSES):
            found, reached = self._open(owner, wanted), None
        else:
            found, reached = await self._search(owner, wanted, size)
        found.sort(reverse=True)
        documents = await self.many([order_id for _, order_id in found[:size]])
        page = [documents[order_id] for _, order_id in found[:size] if order_id in documents]
        if wanted.statuses:  # an order may have been closed since
            page = [document for document in page if document.status in wanted.statuses]
        last = found[size - 1] if len(found) > size else reached
        return OrderPage(page, _order_cursor(last) if last is not None else "")

    def _open(self, owner: Owner, wanted: "_Wanted") -> list[Place]:
        """All, from memory: they may be few among many, and a list of them with holes would be a wrong one."""
        return [
            place
            for place, market, status in map(_order_facts, owner.orders.values())
            if wanted.takes(place, market, status)
        ]

    async def _search(self, owner: Owner, wanted: "_Wanted", size: int) -> tuple[list[Place], Place | None]:
        """At least one more than the page has, or all down to a place, which is None at the beginning."""
        # Memory first: what is written in between is then found twice, never missed.
        unwritten = self._unwritten.orders_of(owner.user_id)
        found = {_place(row) for row in unwritten.values() if wanted.takes(*_row_facts(row))}
        windows = TimeWindows(
            self._points,
            owner.user_id,
            newest=owner.sequence,
            until=wanted.until,
            events=EVENTS_PER_ORDER * (size + 1),
        )
        rows_read = 0
        for _ in range(WINDOWS_PER_PAGE_MAX):
            window = await windows.next()
            rows = await self._rows_within(owner.user_id, window)
            rows_read += len(rows)
            found |= {_place(row) for row in rows if row["_id"] not in unwritten and wanted.takes(*_row_facts(row))}
            if window.since is None:
                return list(found), None
            reached = (window.since, "")
            known = [place for place in found if place > reached]
            if len(known) > size or rows_read >= ROWS_PER_PAGE_MAX:
                break
        return known, reached

    async def _rows_within(self, user_id: str, window: Window) -> list[Row]:
        """What tells which are wanted. The server is not asked for a market or a status: the local one would leave the
        index of times for it.
        """
        query: dict[str, Any] = {"user_id": user_id}
        if window.query:
            query["created_at"] = window.query
        fields = {"created_at": 1, "trading_pair": 1, "status": 1}
        found = OrderDocument.get_pymongo_collection().find(query, fields, batch_size=ROWS_PER_ANSWER)
        return await found.to_list()


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Empty or None: any."""

    market: str
    statuses: tuple[str, ...]
    before: Place | None

    @classmethod
    def of(cls, market: str, status: str, cursor: str) -> Self:
        statuses = OPEN_STATUSES if status == "open" else (status,) if status else ()
        return cls(market, statuses, _parse_order_cursor(cursor) if cursor else None)

    @property
    def until(self) -> datetime | None:
        """All that is wanted was created before that time."""
        if self.before is None:
            return None
        time, order_id = self.before
        # Of the moment of an order itself some may be to come.
        return time + MILLISECOND if order_id else time

    def takes(self, place: Place, market: str, status: str) -> bool:
        return (
            self.market in {"", market}
            and (not self.statuses or status in self.statuses)
            and (self.before is None or place < self.before)
        )


def _place(row: Row) -> Place:
    return row["created_at"], row["_id"]


def _row_facts(row: Row) -> tuple[Place, str, str]:
    return _place(row), row["trading_pair"], row["status"]


def _order_facts(order: Order) -> tuple[Place, str, str]:
    return (time_of(order.created_milliseconds), order.order_id), order.market, order.status.value


def _document(row: Row) -> OrderDocument:
    """Of a row that was not stored yet: as the database would give it back."""
    stored: dict[str, Any] = bson.decode(bson.encode(row, codec_options=CODEC_OPTIONS), CODEC_OPTIONS)
    document: OrderDocument = OrderDocument.model_validate(stored)
    return document


def page_size(limit: int) -> int:
    if not 0 <= limit <= PAGE_SIZE_MAX:
        raise InvalidArgument("The page is too large.", field="limit", rule="maximum", limit=str(PAGE_SIZE_MAX))
    return limit or PAGE_SIZE_DEFAULT


def _order_cursor(place: Place) -> str:
    time, order_id = place
    return urlsafe_b64encode(f"{milliseconds_of(time)}/{order_id}".encode()).decode().rstrip("=")


def _parse_order_cursor(cursor: str) -> Place:
    try:
        match = _CURSOR.fullmatch(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii"))
    except ValueError:
        raise _invalid_cursor() from None
    if match is None or int(match.group(1)) >= MOMENT_MAX:
        raise _invalid_cursor()
    place = time_of(int(match.group(1))), match.group(2)
    # What is not of its alphabet, base64 is read without.
    if _order_cursor(place) != cursor:
        raise _invalid_cursor()
    return place


def _invalid_cursor() -> InvalidArgument:
    return InvalidArgument("The cursor is not one of ours.", field="cursor", rule="cursor")
