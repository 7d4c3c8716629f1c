"""Reference prices: follows market-data's stream and keeps the newest ticks."""

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

from chassis.grpc_client import follow
from chassis.logs import get_logger
from cryptovault.market_data.v1 import market_data_pb2, market_data_pb2_grpc

from trading.domain.amounts import AMOUNT_MAX
from trading.domain.state import ExchangeState
from trading.sequencer.journal_time import JournalTime
from trading.sequencer.reference_prices import ReferencePrices, Tick

PRICES_ARE_IN = "USD"  # market-data's; a market with another quote asset has no reference

log = get_logger(__name__)


class PriceStream:
    """`run` for good; an outage leaves the ticks to age, and the exchange refuses what depends on a stale one."""

    def __init__(
        self,
        *,
        stub: "market_data_pb2_grpc.MarketDataServiceAsyncStub",  # the stubs name it, the generated module does not
        prices: ReferencePrices,
        state: Callable[[], ExchangeState],
        time: JournalTime,
    ) -> None:
        self._stub = stub
        self._prices = prices
        self._state = state
        self._time = time

    async def run(self) -> None:
        messages = follow(
            lambda: self._stub.StreamPrices(market_data_pb2.StreamPricesRequest()), name="reference-prices"
        )
        async for message in messages:
            self.take(message)

    def take(self, message: market_data_pb2.StreamPricesResponse) -> None:
        """One message of the stream; of every asset, with a market or without: one that is added has its price."""
        scale = self._state().assets[PRICES_ARE_IN].scale
        received = self._time.now()
        ticks = {}
        for price in message.prices:
            symbol = f"{price.symbol}-{PRICES_ARE_IN}"
            units = price_units(price.price, scale)
            if units is None:
                log.warning("Price cannot be read", event="price_unreadable", market=symbol)
                continue
            stated = self._time.of_wall(price.source_time.seconds * 1000 + price.source_time.nanos // 1_000_000)
            # No price is younger than its arrival: a source whose clock is ahead would otherwise stay fresh for longer.
            ticks[symbol] = Tick(units, price.source, min(stated, received))
        self._prices.update(ticks, received_milliseconds=received, whole=message.snapshot)


def price_units(text: str, scale: int) -> int | None:
    """The price in minor units, rounded half-even: a reference need not lie on a tick. None for what is no price."""
    try:
        units = Decimal(text).scaleb(scale).to_integral_value(rounding=ROUND_HALF_EVEN)
    except InvalidOperation:
        return None
    return int(units) if units.is_finite() and 0 < units <= AMOUNT_MAX else None
