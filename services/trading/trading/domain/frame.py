"""What follows from a market's rules and its reference price, worked out once for all orders that come meanwhile."""

from trading.domain.events import ReferencePriceSet
from trading.domain.house import price_source, quotation_around
from trading.domain.markets import Market
from trading.domain.order_rules import price_band, protection_price
from trading.domain.orders import BUY, SELL
from trading.domain.state import Frame, MarketState


def frame_of(state: MarketState) -> Frame | None:
    """None without a reference price."""
    market, reference, frame = state.market, state.reference, state.frame
    if frame is not None and frame.market is market and frame.reference is reference:
        return frame
    # It follows from the two, so a fold need not make it and a snapshot need not hold it.
    state.frame = frame = _frame(market, reference) if reference is not None else None
    return frame


def _frame(market: Market, reference: ReferencePriceSet) -> Frame:
    quotation, fresh_until = None, 0
    source = price_source(market, reference.source)
    if source is not None:
        half_spread = market.house.half_spread_basis_points + source.extra_half_spread_basis_points
        quotation = quotation_around(market, reference.price, half_spread)
        fresh_until = min(
            reference.received_milliseconds + market.silence_limit_milliseconds,
            reference.source_milliseconds + source.maximum_age_milliseconds,
        )
    lowest, highest = price_band(market, reference.price)
    return Frame(
        market,
        reference,
        quotation,
        fresh_until,
        lowest,
        highest,
        protection_price(market, reference.price, BUY),
        protection_price(market, reference.price, SELL),
    )
