"""One user's fills, newest first: of one order from its row, of all orders from the journal through its index of users.

The rows hold fills by order, so the newest of them all are nowhere together: finding them there would mean to look into
every order the user ever had, for each page.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chassis.errors import InvalidArgument
from cryptovault.trading.v1 import trading_pb2

from trading.api.messages import fill_message, timestamp
from trading.domain.accounts import owner_of_user
from trading.domain.amounts import format_amount
from trading.domain.events import Traded
from trading.domain.markets import Market
from trading.domain.moments import milliseconds_of
from trading.domain.queries import user_cursor
from trading.domain.state import ExchangeState
from trading.journal.batch import SealedBatch
from trading.journal.codec import decode_events
from trading.journal.history import user_sequences
from trading.journal.store import HistoryArchived, Journal
from trading.projector.projector import Projector
from trading.storage.decimals import to_units
from trading.storage.documents import FillPart, OrderDocument
from trading.storage.order_queries import OrderQueries, page_size

EVENTS_PER_READ = 64  # a page of 50 fills is rarely more events than that
# A page may come back short, with a cursor: who places and cancels all day has few fills among many events.
EVENTS_PER_PAGE_MAX = 1_024
_CURSOR = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)  # fits 63 bits


@dataclass(frozen=True, slots=True)
class FillPage:
    fills: Sequence[trading_pb2.Fill]
    next_cursor: str  # empty at the end


class FillReader:
    """Everything raises `JournalUnreachable`, or `HistoryArchived` where the journal no longer has what is needed."""

    def __init__(self, *, journal: Journal, queries: OrderQueries, projector: Projector) -> None:
        self._journal = journal
        self._queries = queries
        self._projector = projector

    @property
    def _state(self) -> ExchangeState:
        return self._projector.fold.state

    async def page(self, user_id: str, *, market: str, order_id: str, limit: int, cursor: str) -> FillPage:
        """Empty strings: any. May be short though there is more: then it has a cursor."""
        size, below = page_size(limit), _below(cursor)
        if order_id:
            return await self._of_order(user_id, order_id, market, size, below)
        newest = user_cursor(self._state, user_id).sequence
        high = newest if below is None else min(newest, below - 1)
        oldest = max(0, high - EVENTS_PER_PAGE_MAX)
        found: list[trading_pb2.Fill] = []
        while high > oldest:
            low = max(oldest, high - EVENTS_PER_READ)
            for sequence, fill in reversed(await self._fills(user_id, low, high)):
                if market in {"", fill.market}:
                    found.append(fill)
                    if len(found) == size:
                        return FillPage(found, str(sequence) if sequence > 1 else "")
            high = low
        return FillPage(found, str(high + 1) if high > 0 else "")

    async def _fills(self, user_id: str, low: int, high: int) -> list[tuple[int, trading_pb2.Fill]]:
        """(sequence, fill) of the user's events in (low, high], oldest first."""
        batches = await self._journal.of_user(user_id, range(low + 1, high + 1))
        found, events = [], 0
        for batch in batches:
            for sequence, fill in self._within(user_id, batch):
                if low < sequence <= high:
                    events += 1
                    if fill is not None:
                        found.append((sequence, fill))
        if events != high - low:
            raise HistoryArchived
        return found

    def _within(self, user_id: str, batch: SealedBatch) -> Iterator[tuple[int, trading_pb2.Fill | None]]:
        """Each of the user's events in the batch, and the fill where it is one."""
        owner = owner_of_user(user_id)
        for event in decode_events(batch.body):
            for user, sequence in user_sequences((event,)):
                if user != user_id:
                    continue
                fill = None
                if isinstance(event, Traded):
                    side = event.buyer if event.buyer.owner == owner else event.seller
                    market = self._state.markets[event.market].market
                    fill = fill_message(event, side, market, batch.time_milliseconds)
                yield sequence, fill

    async def _of_order(self, user_id: str, order_id: str, market: str, size: int, below: int | None) -> FillPage:
        """Here the cursor counts the exchange's trades."""
        document = await self._queries.get(user_id, order_id)
        if document is None or market not in {"", document.trading_pair}:
            return FillPage((), "")
        fills = [fill for fill in reversed(document.fills) if below is None or fill.number < below]
        page = fills[:size]
        rules = self._state.markets[document.trading_pair].market
        messages = [fill_of_row(document, fill, rules) for fill in page]
        return FillPage(messages, str(page[-1].number) if len(fills) > size else "")


def fill_of_row(document: OrderDocument, fill: FillPart, market: Market) -> trading_pb2.Fill:
    quote, base = market.quote_scale, market.base_scale
    return trading_pb2.Fill(
        id=fill.id,
        order_id=document.id,
        market=market.symbol,
        side=document.side,
        price=format_amount(to_units(fill.price, quote), quote),
        quantity=format_amount(to_units(fill.amount, base), base),
        fee=format_amount(to_units(fill.fee, quote), quote),
        fee_asset=market.quote,
        liquidity=fill.liquidity,
        time=timestamp(milliseconds_of(fill.time)),
    )


def _below(cursor: str) -> int | None:
    if not cursor:
        return None
    if not _CURSOR.fullmatch(cursor):
        raise InvalidArgument("The cursor is not one of ours.", field="cursor", rule="cursor")
    return int(cursor)
