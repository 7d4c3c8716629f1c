"""Orders that wait for the reference price: who is reached, and what becomes of whom.

One order is triggered per command: each meets the book as the one before it has left it. The first to be reached goes
first; those that waited for a fall go before those that waited for a rise, which one reference seldom reaches together.
"""

from copy import copy

from trading.domain.errors import Rejection
from trading.domain.events import OrderTriggered, ReferencePriceSet
from trading.domain.house import fresh_quotation
from trading.domain.markets import FeeRates, Market
from trading.domain.matching import Stop, Walk, walk
from trading.domain.order_rules import check_price_band, protection_price
from trading.domain.orders import CloseReason, Order, OrderStatus, OrderStep, Side
from trading.domain.place_order import check_fills, check_post_only, take
from trading.domain.settlement import TradingDraft, notional_within
from trading.domain.state import MarketState


def first_reached(market_state: MarketState, reference: ReferencePriceSet | None, now: int) -> Order | None:
    """The next order to be triggered. None while the reference is stale or the market is not open: then all wait on."""
    if reference is None or not reaches_a_trigger(market_state, reference.price):
        return None
    market = market_state.market
    if not market_state.trades_at(now) or fresh_quotation(market, reference, now) is None:
        return None
    falling = market_state.waiting_for_a_fall
    if falling.first_key is not None and falling.first_key <= -reference.price:
        return falling.first
    return market_state.waiting_for_a_rise.first


def reaches_a_trigger(market_state: MarketState, price: int) -> bool:
    fall, rise = market_state.waiting_for_a_fall.first_key, market_state.waiting_for_a_rise.first_key
    return (fall is not None and fall <= -price) or (rise is not None and rise <= price)


def pull_trigger(draft: TradingDraft, waiting: Order, reference: ReferencePriceSet) -> None:
    """From waiting to trading, resting or its end, at the reference that `first_reached` found it by."""
    market_state = draft.market
    order = copy(waiting)
    try:
        order.protection_price = _worst_price(market_state.market, order, reference.price)
        result = _meet(draft, order, reference)
    except Rejection as refusal:
        draft.close(order, CloseReason(refusal.reason), None, OrderStep.REFUSE)
        return
    draft.events.append(
        OrderTriggered(
            order.order_id,
            order.user_id,
            order.market,
            reference.price,
            order.protection_price,
            draft.state.order_number + 1,
            result.stop is Stop.EXHAUSTED and order.may_rest,
            draft.next_sequence(order.owner),
        )
    )
    order.status = OrderStatus.OPEN
    take(draft, order, result)


def _worst_price(market: Market, order: Order, reference_price: int) -> int:
    """The limit, or the slippage cap around the price that it was triggered at.

    A buy by quantity never passes what its hold was taken for. Raises `OutsidePriceBand`: the limit is far from a
    reference that has jumped over the stop price.
    """
    if order.price:
        check_price_band(order.price, market, reference_price)
        return order.price
    worst_price = protection_price(market, reference_price, order.side)
    return min(worst_price, order.protection_price) if order.protection_price else worst_price


def _meet(draft: TradingDraft, order: Order, reference: ReferencePriceSet) -> Walk:
    market_state, now = draft.market, draft.state.batch_milliseconds
    quotation = fresh_quotation(market_state.market, reference, now)
    if order.post_only:
        check_post_only(order, market_state, quotation, now)
    budget = order.quote_quantity
    if budget and order.side is Side.BUY:
        budget = notional_within(budget, order.taker_fee_basis_points)
    taker = (order.owner, order.side, order.protection_price, order.quantity, budget)
    result = walk(market_state, taker, quotation, now, draft.state.limits.fills_per_command)
    rates = FeeRates(order.maker_fee_basis_points, order.taker_fee_basis_points)
    check_fills(order, market_state, quotation, now, order.protection_price, rates, result)
    return result
