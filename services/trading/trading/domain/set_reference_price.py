"""The reference price moves: resting orders that it crosses fill at their own limit against the house. Waiting orders
that it reaches are triggered one by one, by the `Continue` commands that follow.
"""

from trading.domain.amounts import AMOUNT_MAX
from trading.domain.commands import SetReferencePrice
from trading.domain.errors import InvalidReferencePrice, MarketDraining, UnknownMarket
from trading.domain.events import ReferencePriceSet, TradingPaused, WorkPostponed
from trading.domain.expire_orders import check_no_expiry_due
from trading.domain.house import crossed_orders, fresh_quotation, price_source
from trading.domain.markets import BASIS_POINTS, Market
from trading.domain.outcomes import Decision
from trading.domain.settlement import TradingDraft
from trading.domain.state import ExchangeState, MarketState
from trading.domain.triggers import first_reached

# How far a source's clock may be ahead of ours: more would keep an old price fresh for longer than its source deserves.
SOURCE_CLOCK_AHEAD_MILLISECONDS_MAX = 5_000


def set_reference_price(state: ExchangeState, command: SetReferencePrice) -> Decision:
    market_state = state.markets.get(command.market)
    if market_state is None:
        raise UnknownMarket(market=command.market)
    if market_state.postponed:
        raise MarketDraining(market=command.market)
    check_no_expiry_due(market_state, state.batch_milliseconds)
    reference = ReferencePriceSet(
        command.market, command.price, command.source, command.source_milliseconds, command.received_milliseconds
    )
    _check(reference, market_state.market, market_state.reference, state.batch_milliseconds)
    jumped_from = jump(market_state, command, state.batch_milliseconds)
    if jumped_from is not None:
        # The new price is what the source says, so it is kept; but nobody trades on it before the pause is over.
        until = state.batch_milliseconds + market_state.market.breaker.pause_milliseconds
        return [TradingPaused(command.market, until, jumped_from, command.price), reference]
    draft = TradingDraft(state, market_state)
    draft.events.append(reference)
    more = fill_crossed(draft, reference)
    if more or first_reached(market_state, reference, state.batch_milliseconds) is not None:
        draft.events.append(WorkPostponed(command.market))
    return draft.events


def jump(market_state: MarketState, command: SetReferencePrice, time_milliseconds: int) -> int | None:
    """The price of the circuit breaker's window that the new price is too far from; None where all is calm, or where
    nothing trades anyway.
    """
    breaker = market_state.market.breaker
    if not breaker.move_basis_points or not market_state.trades_at(time_milliseconds):
        return None
    lowest, highest = command.lowest or command.price, command.highest or command.price
    known = market_state.reference
    since = max(time_milliseconds - breaker.window_milliseconds, market_state.paused_until_milliseconds)
    if known is not None and known.received_milliseconds >= since:
        # A process that has just started has no ticks of its own yet.
        lowest, highest = min(lowest, known.price), max(highest, known.price)
    if command.price * BASIS_POINTS > lowest * (BASIS_POINTS + breaker.move_basis_points):
        return lowest
    if command.price * BASIS_POINTS < highest * (BASIS_POINTS - breaker.move_basis_points):
        return highest
    return None


def fill_crossed(draft: TradingDraft, reference: ReferencePriceSet | None) -> bool:
    """Adds the trades; true where the limit of fills left some undone. A stale reference fills nothing."""
    market_state = draft.market
    market = market_state.market
    now = draft.state.batch_milliseconds
    quotation = fresh_quotation(market, reference, now)
    if quotation is None or not market_state.trades_at(now):
        return False
    left = draft.state.limits.fills_per_command
    for order, quantity in crossed_orders(market_state, quotation, now):
        if left == 0:
            return True
        draft.house_takes(order, quantity)
        left -= 1
    return False


def _check(reference: ReferencePriceSet, market: Market, known: ReferencePriceSet | None, now: int) -> None:
    source = price_source(market, reference.source)
    if source is None:
        raise InvalidReferencePrice(
            "This market takes no prices from that source.",
            market=market.symbol, rule="source", given=reference.source[:32],
        )  # fmt: skip
    if not 0 < reference.price <= AMOUNT_MAX:
        raise InvalidReferencePrice(
            "A price must be above zero and fit 63 bits.",
            market=market.symbol, rule="range", given=market.price_text(reference.price),
        )  # fmt: skip
    ahead = reference.source_milliseconds - now
    if reference.received_milliseconds > now or ahead > SOURCE_CLOCK_AHEAD_MILLISECONDS_MAX:
        raise InvalidReferencePrice(
            "The price is from the future.",
            market=market.symbol, rule="time", given=str(reference.source_milliseconds),
        )  # fmt: skip
    if known is not None and reference.received_milliseconds < known.received_milliseconds:
        raise InvalidReferencePrice(
            "A younger price is already known.",
            market=market.symbol, rule="order", given=str(reference.received_milliseconds),
        )  # fmt: skip
