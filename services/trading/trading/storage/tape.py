"""The public tape: every trade of every market, by its sequence. One document per batch and market."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chassis.mongo import MongoDatabase

from trading.domain.events import Traded
from trading.domain.identifiers import trade_id
from trading.domain.markets import Market
from trading.storage.documents import TapeDocument
from trading.storage.unwritten import Unwritten

PAGE_SIZE_MAX = 200
PAGE_SIZE_DEFAULT = 50
NAMES_PER_QUESTION = 64  # the local server holds every row against every name of the list
NAMES_PER_QUESTION_MAX = 1_024
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

    async def page(self, market: str, *, before: int, after: int, limit: int, newest: int) -> TapePage:
        """Trades with sequences between the two, both excluded; `before` 0 is from the newest on, which is `newest`."""
        size = min(limit or PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)
        end = min(before, newest + 1) if before else newest + 1
        rows = await self._rows(market, end=end, after=after, size=size)
        found: list[TapeTrade] = []
        for row in rows:
            for trade in reversed(row["trades"]):
                if trade["sequence"] >= end:
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

    async def _rows(self, market: str, *, end: int, after: int, size: int) -> list[Row]:
        """Newest first: with more trades below `end` than `size`, or all that follow `after`.

        Asked for by name. Sequences have no gap, so each is a row's first or within the row before; for a range of ids
        the local server reads the whole tape of all markets.
        """
        rows = self._unwritten.tape(market)
        oldest = min((row["trades"][0]["sequence"] for row in rows.values()), default=end)
        start, width = end, NAMES_PER_QUESTION
        while start > 1 and oldest > after + 1 and end - oldest <= size:
            names = [tape_id(market, sequence) for sequence in range(max(1, start - width), start)]
            stored = await self._collection.find({"_id": {"$in": names}}, batch_size=len(names)).to_list()
            rows |= {row["_id"]: row for row in stored}
            oldest = min((row["trades"][0]["sequence"] for row in rows.values()), default=end)
            start = max(1, start - width)
            # A batch may have hundreds of trades in a market.
            width = NAMES_PER_QUESTION if stored else min(2 * width, NAMES_PER_QUESTION_MAX)
        return [rows[name] for name in sorted(rows, reverse=True)]
