"""The public tape: every trade of every market, by its sequence. One document per batch and market."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chassis.mongo import MongoDatabase
from pymongo import DESCENDING

from trading.domain.events import Traded
from trading.domain.identifiers import trade_id
from trading.domain.markets import Market
from trading.storage.documents import TapeDocument
from trading.storage.unwritten import Unwritten

PAGE_SIZE_MAX = 200
PAGE_SIZE_DEFAULT = 50
_SEQUENCE_DIGITS = 16

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TapeTrade:
    """`price` and `quantity` are decimal strings."""

    id: str
    sequence: int
    price: str
    quantity: str
    taker_side: str
    time: datetime


@dataclass(frozen=True, slots=True)
class TapePage:
    trades: Sequence[TapeTrade]  # newest first, without gap
    more: bool  # older ones, younger than the sequence asked after, exist


def tape_row(trades: Sequence[Traded], market: Market, *, batch: int, time: datetime, milliseconds: int) -> Row:
    """The trades of one batch in one market, oldest first."""
    return {
        # Sorts by market, then by the first sequence: no index but the one over ids is needed.
        "_id": tape_id(market.symbol, trades[0].tape_sequence),
        "batch": batch,
        "time": time,
        "trades": [
            {
                "id": trade_id(milliseconds, trade.trade_number),
                "sequence": trade.tape_sequence,
                "price": market.price_text(trade.price),
                "quantity": market.quantity_text(trade.quantity),
                "taker_side": trade.taker_side.value,
            }
            for trade in trades
        ],
    }


def tape_id(market: str, sequence: int) -> str:
    return f"{market}/{sequence:0{_SEQUENCE_DIGITS}x}"


class Tape:
    def __init__(self, database: MongoDatabase, unwritten: Unwritten) -> None:
        self._unwritten = unwritten
        self._collection = database.get_collection(TapeDocument.Settings.name)

    async def page(self, market: str, *, before: int, after: int, limit: int) -> TapePage:
        """Trades with sequences between the two, both excluded; `before` 0 is the newest."""
        size = min(limit or PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)
        last = tape_id(market, before) if before else f"{market}0"  # "0" is what follows "/"
        rows = self._unwritten.tape(market)
        cursor = self._collection.find({"_id": {"$gt": f"{market}/", "$lt": last}}).sort("_id", DESCENDING)
        # One more than needed: every document has at least one trade.
        rows |= {row["_id"]: row for row in await cursor.limit(size + 1).to_list()}
        found: list[TapeTrade] = []
        for name in sorted(rows, reverse=True):
            row = rows[name]
            for trade in reversed(row["trades"]):
                if before and trade["sequence"] >= before:
                    continue
                if trade["sequence"] <= after:
                    return TapePage(found, more=False)
                if len(found) == size:
                    return TapePage(found, more=True)
                found.append(
                    TapeTrade(
                        trade["id"], trade["sequence"], trade["price"], trade["quantity"], trade["taker_side"],
                        row["time"],
                    )
                )  # fmt: skip
        return TapePage(found, more=False)
