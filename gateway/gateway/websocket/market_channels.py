"""The channels of which every subscription names a market."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from gateway.errors import not_found
from gateway.websocket.book_channel import BookChannel
from gateway.websocket.messages import BOOK
from gateway.websocket.trade_channel import TradeChannel


@dataclass(frozen=True, slots=True)
class MarketChannels:
    """`markets` knows the symbols that there are."""

    book: BookChannel
    trades: TradeChannel
    markets: Callable[[], Awaitable[Collection[str]]]

    def of(self, channel: str) -> BookChannel | TradeChannel:
        return self.book if channel == BOOK else self.trades

    async def check(self, market: str) -> None:
        """PublicError 404 where there is no such market; errors as of a call to trading."""
        if market not in await self.markets():
            raise not_found("There is no such market.", reason="unknown_market")
