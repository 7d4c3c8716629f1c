"""The current prices as ready-made replies: built once per change, sent as they are."""

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson
from chassis.clock import Clock
from cryptovault.market_data.v1 import market_data_pb2 as pb

from gateway.views.times import time_text

# The quote asset whose prices the board knows: market-data prices every asset in it.
QUOTE_ASSET = "USD"
_STALE_AFTER_SECONDS = 5.0  # a broken stream is opened again within 3 s; after this replies say that they may be old
_ETAG_BYTES = 8


@dataclass(frozen=True, slots=True)
class ReadyReply:
    """A body and the headers that belong to it."""

    body: bytes
    etag: bytes
    headers: tuple[tuple[bytes, bytes], ...]


# What the ticker of a market says whose base market-data does not price, or not yet.
_NO_PRICE = dict.fromkeys(("price", "change_24h", "high_24h", "low_24h", "volume_24h", "source", "source_time", "time"))


class PriceBoard:
    """`follow` yields price messages for ever and calls the given function at each break of the stream."""

    def __init__(
        self,
        follow: Callable[[Callable[[], None]], AsyncIterator[pb.StreamPricesResponse]],
        clock: Clock,
    ) -> None:
        self._follow = follow
        self._clock = clock
        self._prices: dict[str, dict[str, Any]] = {}
        self._broken_since: float | None = clock.monotonic()
        self._changed: set[str] = set()
        self._document: ReadyReply | None = None
        self._tickers: dict[str, ReadyReply] = {}
        self._on_change: list[Callable[[], None]] = []

    def on_change(self, listener: Callable[[], None]) -> None:
        self._on_change.append(listener)

    async def run(self) -> None:
        async for message in self._follow(self._on_gap):
            self._take(message)

    @property
    def filled(self) -> bool:
        return bool(self._prices)

    @property
    def may_be_old(self) -> bool:
        broken = self._broken_since
        return broken is not None and self._clock.monotonic() - broken > _STALE_AFTER_SECONDS

    def symbols(self) -> Iterable[str]:
        return self._prices.keys()

    def prices(self) -> list[dict[str, Any]]:
        return list(self._prices.values())

    def take_changed(self) -> list[dict[str, Any]]:
        """The prices that changed since the last call."""
        changed = [self._prices[symbol] for symbol in sorted(self._changed)]
        self._changed.clear()
        return changed

    def document(self) -> ReadyReply | None:
        """The reply of GET /prices; None before the first price."""
        if self._document is None and self._prices:
            items = list(self._prices.values())
            newest = max(price["time"] for price in items)
            self._document = _ready({"items": items, "next_cursor": None, "time": newest})
        return self._document

    def ticker(self, base_asset: str) -> ReadyReply | None:
        """The reply of GET /markets/{base}-USD/ticker, to be asked of markets that there are; None before the first
        price of any.
        """
        ready = self._tickers.get(base_asset)
        if ready is None and self._prices:
            price = self._prices.get(base_asset, _NO_PRICE)
            fields = {name: value for name, value in price.items() if name != "symbol"}
            ready = self._tickers[base_asset] = _ready({"market": f"{base_asset}-{QUOTE_ASSET}", **fields})
        return ready

    def _take(self, message: pb.StreamPricesResponse) -> None:
        self._broken_since = None
        if message.snapshot:
            gone = self._prices.keys() - {price.symbol for price in message.prices}
            for symbol in gone:
                del self._prices[symbol]
                self._tickers.pop(symbol, None)
                self._changed.discard(symbol)
        for price in message.prices:
            self._prices[price.symbol] = price_view(price)
            self._tickers.pop(price.symbol, None)
            self._changed.add(price.symbol)
        self._document = None
        for listener in self._on_change:
            listener()

    def _on_gap(self) -> None:
        if self._broken_since is None:
            self._broken_since = self._clock.monotonic()


def price_view(price: pb.Price) -> dict[str, Any]:
    return {
        "symbol": price.symbol,
        "price": price.price,
        "change_24h": price.change_24h or None,
        "high_24h": price.high_24h or None,
        "low_24h": price.low_24h or None,
        "volume_24h": price.volume_24h or None,
        "source": price.source,
        "source_time": time_text(price.source_time),
        "time": time_text(price.time),
    }


def _ready(document: dict[str, Any]) -> ReadyReply:
    body = orjson.dumps(document)
    # Of the contents, so that all gateways agree.
    etag = f'"{blake2b(body, digest_size=_ETAG_BYTES).hexdigest()}"'.encode()
    return ReadyReply(
        body=body,
        etag=etag,
        headers=(
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"etag", etag),
            (b"cache-control", b"public, max-age=1"),
        ),
    )
