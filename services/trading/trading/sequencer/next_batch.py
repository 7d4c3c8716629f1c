"""The exchange as its next batch would find it, for looking only."""

from dataclasses import replace

from trading.domain.state import ExchangeState
from trading.sequencer.reference_prices import ReferencePrices


def as_next_batch(state: ExchangeState, symbol: str, prices: ReferencePrices, now_milliseconds: int) -> ExchangeState:
    """At the present time, and with the newest tick of that market, which enters before the market's next order. Shares
    everything else with `state`.
    """
    time = max(now_milliseconds, state.batch_milliseconds)
    market = state.markets.get(symbol)
    if market is None:
        return replace(state, batch_milliseconds=time)
    tick, known = prices.as_reference(symbol, time), market.reference
    if tick is not None and (known is None or tick.received_milliseconds >= known.received_milliseconds):
        market = replace(market, reference=tick)
    return replace(state, batch_milliseconds=time, markets={**state.markets, symbol: market})
