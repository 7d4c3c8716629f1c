"""What happens in each market, for operators: metrics and log lines, of durable batches alone. Nothing personal."""

from chassis.logs import get_logger
from prometheus_client import Counter, Gauge

from trading.domain.commands import AddMarket, ResumeMarket, SetMarket, SetReferencePrice
from trading.domain.events import Event, MarketSet, Traded, TradingPaused, TradingResumed
from trading.domain.markets import MarketStatus
from trading.domain.state import ExchangeState, MarketState
from trading.sequencer.open_batch import FinishedBatch

TRADES = Counter("cryptovault_market_trades", "Trades", ["market"])
TURNOVER = Counter("cryptovault_market_turnover", "Traded quote amount, in whole units", ["market"])
PAUSES = Counter("cryptovault_market_pauses", "Times that the circuit breaker tripped", ["market"])
PAUSED_UNTIL = Gauge("cryptovault_market_paused_until_seconds", "When the newest pause ends, Unix time", ["market"])
STATUS = Gauge("cryptovault_market_status", "1 for the status that the operator set", ["market", "status"])
HOUSE_POSITION = Gauge("cryptovault_house_position", "The house's position, in whole base units", ["market"])

_OPERATE = (SetReferencePrice, SetMarket, AddMarket, ResumeMarket)

log = get_logger(__name__)


class MarketMetrics:
    """Call it with every durable batch, after `begin`."""

    def begin(self, state: ExchangeState) -> None:
        """What is so before the first batch of this process."""
        for market in state.markets.values():
            _show_rules(market)
            _show_position(market)

    def __call__(self, batch: FinishedBatch, state: ExchangeState) -> None:
        traded: dict[str, None] = {}
        for event in batch.events:
            if type(event) is Traded:
                market = state.markets[event.market].market
                TRADES.labels(event.market).inc()
                TURNOVER.labels(event.market).inc(event.notional / 10**market.quote_scale)
                traded[event.market] = None
        for symbol in traded:
            _show_position(state.markets[symbol])
        for entry in batch.entries:
            if type(entry.command) in _OPERATE:
                for event in entry.events:
                    _tell(event, state)


def _tell(event: Event, state: ExchangeState) -> None:
    if isinstance(event, TradingPaused):
        market = state.markets[event.market].market
        PAUSES.labels(event.market).inc()
        PAUSED_UNTIL.labels(event.market).set(event.until_milliseconds / 1000)
        log.warning(
            "Circuit breaker tripped",
            event="market_paused",
            market=event.market,
            price_before=market.price_text(event.price_before),
            price=market.price_text(event.price),
            until_milliseconds=event.until_milliseconds,
        )
    elif isinstance(event, TradingResumed):
        PAUSED_UNTIL.labels(event.market).set(event.time_milliseconds / 1000)
        log.warning("Operator ended a pause", event="market_resumed", market=event.market, reason=event.reason)
    elif isinstance(event, MarketSet):
        _show_rules(state.markets[event.market.symbol])
        log.info(
            "Market's rules set",
            event="market_set",
            market=event.market.symbol,
            status=event.market.status,
            version=event.version,
            reason=event.reason,
        )


def _show_rules(state: MarketState) -> None:
    symbol = state.market.symbol
    for status in MarketStatus:
        STATUS.labels(symbol, status).set(int(state.market.status is status))
    PAUSED_UNTIL.labels(symbol).set(state.paused_until_milliseconds / 1000)


def _show_position(state: MarketState) -> None:
    HOUSE_POSITION.labels(state.market.symbol).set(state.house_position / state.market.base_unit)
