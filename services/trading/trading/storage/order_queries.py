"""Reads of the orders collection. The owner is in every query."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from beanie import SortDirection
from chassis.errors import InvalidArgument

from trading.storage.documents import OrderDocument

OPEN_STATUSES = ("new", "open", "partially_filled")
PAGE_SIZE_MAX = 200  # one screen of the blotter is 50
PAGE_SIZE_DEFAULT = 50


@dataclass(frozen=True, slots=True)
class OrderPage:
    orders: Sequence[OrderDocument]
    next_cursor: str  # empty at the end


class OrderQueries:
    """Beanie must be initialised."""

    async def get(self, user_id: str, order_id: str) -> OrderDocument | None:
        return await OrderDocument.find_one({"_id": order_id, "user_id": user_id})

    async def by_client_id(self, user_id: str, client_order_id: str) -> OrderDocument | None:
        """The newest, where the id was used again after its key had expired."""
        found = await OrderDocument.find({"user_id": user_id, "client_order_id": client_order_id}).to_list()
        return max(found, key=lambda order: order.placed_batch, default=None)

    async def many(self, order_ids: Sequence[str]) -> dict[str, OrderDocument]:
        """Orders of whomever, for folds."""
        found = await OrderDocument.find({"_id": {"$in": list(order_ids)}}).to_list()
        return {order.id: order for order in found}

    async def page(self, user_id: str, *, market: str, status: str, limit: int, cursor: str) -> OrderPage:
        """Newest first."""
        query: dict[str, Any] = {"user_id": user_id}
        if market:
            query["trading_pair"] = market
        if status:
            query["status"] = {"$in": list(OPEN_STATUSES)} if status == "open" else status
        if cursor:
            time, order_id = _parse_order_cursor(cursor)
            query["$or"] = [{"created_at": {"$lt": time}}, {"created_at": time, "_id": {"$lt": order_id}}]
        size = page_size(limit)
        found = (
            await OrderDocument.find(query)
            .sort([("created_at", SortDirection.DESCENDING), ("_id", SortDirection.DESCENDING)])
            .limit(size + 1)
            .to_list()
        )
        page = found[:size]
        more = len(found) > size
        return OrderPage(page, _order_cursor(page[-1]) if more else "")


def page_size(limit: int) -> int:
    if not 0 <= limit <= PAGE_SIZE_MAX:
        raise InvalidArgument("The page is too large.", field="limit", rule="maximum", limit=str(PAGE_SIZE_MAX))
    return limit or PAGE_SIZE_DEFAULT


def _order_cursor(order: OrderDocument) -> str:
    milliseconds = round(order.created_at.timestamp() * 1000)
    return urlsafe_b64encode(f"{milliseconds}/{order.id}".encode()).decode().rstrip("=")


def _parse_order_cursor(cursor: str) -> tuple[datetime, str]:
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        milliseconds, separator, order_id = text.partition("/")
        if not separator:
            raise _invalid_cursor()
        return datetime.fromtimestamp(int(milliseconds) / 1000, UTC), order_id
    except (ValueError, OverflowError, OSError, binascii.Error):
        raise _invalid_cursor() from None


def _invalid_cursor() -> InvalidArgument:
    return InvalidArgument("The cursor is not one of ours.", field="cursor", rule="cursor")
