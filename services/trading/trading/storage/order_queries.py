"""Reads of orders: what is not written yet from the fold's memory, the others from their collection. The owner is in
every query of a user.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import bson
from chassis.errors import InvalidArgument
from chassis.mongo import CODEC_OPTIONS
from pymongo import DESCENDING

from trading.domain.moments import milliseconds_of, time_of
from trading.storage.documents import OrderDocument
from trading.storage.rows import Row
from trading.storage.unwritten import Unwritten

OPEN_STATUSES = ("new", "open", "partially_filled")
PAGE_SIZE_MAX = 200  # one screen of the blotter is 50
PAGE_SIZE_DEFAULT = 50


@dataclass(frozen=True, slots=True)
class OrderPage:
    orders: Sequence[OrderDocument]
    next_cursor: str  # empty at the end


class OrderQueries:
    """Beanie must be initialised."""

    def __init__(self, unwritten: Unwritten) -> None:
        self._unwritten = unwritten

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
        if stored:
            found |= {order.id: order for order in await OrderDocument.find({"_id": {"$in": stored}}).to_list()}
        return found

    async def page(self, user_id: str, *, market: str, status: str, limit: int, cursor: str) -> OrderPage:
        """Newest first."""
        wanted = _Wanted.of(market, status, cursor)
        size = page_size(limit)
        unwritten = self._unwritten.orders_of(user_id)
        # As many more as may have to make way for their newer selves.
        stored = (
            await OrderDocument.get_pymongo_collection()
            .find({"user_id": user_id, **wanted.query})
            .sort([("created_at", DESCENDING), ("_id", DESCENDING)])
            .limit(size + 1 + len(unwritten))
            .to_list()
        )
        rows = [row for row in stored if row["_id"] not in unwritten]
        rows += [row for row in unwritten.values() if wanted.takes(row)]
        rows.sort(key=_place, reverse=True)
        page = [_document(row) if row["_id"] in unwritten else OrderDocument.model_validate(row) for row in rows[:size]]
        return OrderPage(page, _order_cursor(page[-1]) if len(rows) > size else "")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Empty or None: any."""

    market: str
    statuses: tuple[str, ...]
    before: tuple[datetime, str] | None

    @classmethod
    def of(cls, market: str, status: str, cursor: str) -> Self:
        statuses = OPEN_STATUSES if status == "open" else (status,) if status else ()
        return cls(market, statuses, _parse_order_cursor(cursor) if cursor else None)

    @property
    def query(self) -> dict[str, Any]:
        query: dict[str, Any] = {}
        if self.market:
            query["trading_pair"] = self.market
        if self.statuses:
            query["status"] = {"$in": list(self.statuses)}
        if self.before is not None:
            time, order_id = self.before
            query["$or"] = [{"created_at": {"$lt": time}}, {"created_at": time, "_id": {"$lt": order_id}}]
        return query

    def takes(self, row: Row) -> bool:
        """As the database answers `query`."""
        return (
            self.market in {"", row["trading_pair"]}
            and (not self.statuses or row["status"] in self.statuses)
            and (self.before is None or _place(row) < self.before)
        )


def _place(row: Row) -> tuple[datetime, str]:
    return row["created_at"], row["_id"]


def _document(row: Row) -> OrderDocument:
    """Of a row that was not stored yet: as the database would give it back."""
    stored: dict[str, Any] = bson.decode(bson.encode(row, codec_options=CODEC_OPTIONS), CODEC_OPTIONS)
    document: OrderDocument = OrderDocument.model_validate(stored)
    return document


def page_size(limit: int) -> int:
    if not 0 <= limit <= PAGE_SIZE_MAX:
        raise InvalidArgument("The page is too large.", field="limit", rule="maximum", limit=str(PAGE_SIZE_MAX))
    return limit or PAGE_SIZE_DEFAULT


def _order_cursor(order: OrderDocument) -> str:
    return urlsafe_b64encode(f"{milliseconds_of(order.created_at)}/{order.id}".encode()).decode().rstrip("=")


def _parse_order_cursor(cursor: str) -> tuple[datetime, str]:
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        milliseconds, separator, order_id = text.partition("/")
        if not separator:
            raise _invalid_cursor()
        return time_of(int(milliseconds)), order_id
    except (ValueError, OverflowError, binascii.Error):
        raise _invalid_cursor() from None


def _invalid_cursor() -> InvalidArgument:
    return InvalidArgument("The cursor is not one of ours.", field="cursor", rule="cursor")
