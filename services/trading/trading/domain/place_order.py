"""An order comes in: is it well-formed, allowed, affordable; whom does it meet; what is left of it."""

from typing import NamedTuple

from trading.domain.accounts import owner_of_user
from trading.domain.amounts import AMOUNT_MAX, format_amount
from trading.domain.commands import PlaceOrder
from trading.domain.errors import (
    AmountTooLarge,
    BelowMinNotional,
    FillOrKillUnfilled,
    InsufficientFunds,
    NoLiquidity,
    PostOnlyWouldTake,
    StalePrice,
    TooManyOpenOrders,
)
from trading.domain.events import OrderPlaced, WorkPostponed
from trading.domain.fees import fee_rates
from trading.domain.house import quotation_now, reference_age
from trading.domain.identifiers import order_id
from trading.domain.keys import fingerprint_of, repeat_of_order
from trading.domain.markets import FeeRates, Market
from trading.domain.matching import COMPLETE, EXHAUSTED, FILL_LIMIT, SELF_TRADE, Taker, Walk, best_offer, walk
from trading.domain.order_rules import (
    Terms,
    check_expiry,
    check_price_band,
    check_shape,
    check_size,
    check_steps,
    check_stop_price,
    market_for_orders,
    protection_price,
)
from trading.domain.orders import BUY, FOK, MARKET, OPEN, RESTING_TIMES, CloseReason, Order, Side
from trading.domain.outcomes import Decision
from trading.domain.settlement import TradingDraft, notional_within, with_fee
from trading.domain.state import ExchangeState, MarketState, Quotation

_UNTOUCHED = Walk((), FILL_LIMIT, 0, 0)  # of an order that waits: all of it is still to trade


class _Plan(NamedTuple):
    walk: Walk
    worst_price: int
    rests: bool
    hold: int
    rates: FeeRates


def place_order(state: ExchangeState, command: PlaceOrder) -> Decision:
    owner = owner_of_user(command.actor.user_id)
    fingerprint = fingerprint_of(command)
    repeat = repeat_of_order(state.keys, command, owner, fingerprint)
    if repeat is not None:
        return repeat
    check_shape(command)
    market_state = market_for_orders(state, command.market)
    plan = (
        _wait(state, market_state, command, owner) if command.stop_price else _plan(state, market_state, command, owner)
    )
    check_funds(state, market_state.market, command.side, owner, plan.hold)
    draft = TradingDraft(state, market_state)
    placed = _placed(draft, command, owner, fingerprint, plan)
    draft.events.append(placed)
    if plan.walk.fills or not (plan.rests or command.stop_price):
        _take(draft, placed, owner, plan.walk)
    return draft.events


def _plan(state: ExchangeState, market_state: MarketState, command: PlaceOrder, owner: str) -> _Plan:
    """Every rule that can refuse the order, except funds."""
    market = market_state.market
    now = state.batch_milliseconds
    reference = market_state.reference
    if reference is None:
        raise StalePrice(market=market.symbol, age_milliseconds=None, limit_milliseconds=None)
    check_expiry(command, now)
    check_steps(command, market)
    if command.price:
        check_price_band(command.price, market, reference.price)
    check_size(command, market, reference.price)
    quotation = quotation_now(market_state, now)
    if command.order_type is MARKET:
        if quotation is None:
            age, limit = reference_age(market, reference, now)
            raise StalePrice(market=market.symbol, age_milliseconds=age, limit_milliseconds=limit)
        worst_price = protection_price(market, reference.price, command.side)
    else:
        worst_price = command.price
    if command.post_only:
        check_post_only(command, market_state, quotation, now)
    rates = fee_rates(state.owners.get(owner), market, now)
    budget = command.quote_quantity
    if budget and command.side is BUY:
        budget = notional_within(budget, rates.taker)
    taker = Taker(owner, command.side, worst_price, command.quantity, budget)
    result = walk(market_state, taker, quotation, now, state.limits.fills_per_command)
    check_fills(command, market, worst_price, rates, result)
    rests = result.stop is EXHAUSTED and command.time_in_force in RESTING_TIMES
    if rests or result.stop is FILL_LIMIT:
        _check_open_orders(state, market, owner)
    return _Plan(result, worst_price, rests, _hold(command, market, worst_price, budget, rates, result), rates)


def _wait(state: ExchangeState, market_state: MarketState, command: PlaceOrder, owner: str) -> _Plan:
    """The rules for an order that waits for its stop price. Whom it then meets is not looked at now."""
    market = market_state.market
    reference = market_state.reference
    if reference is None:
        raise StalePrice(market=market.symbol, age_milliseconds=None, limit_milliseconds=None)
    check_expiry(command, state.batch_milliseconds)
    check_stop_price(command, market, reference.price)
    check_steps(command, market)
    if command.price:
        check_price_band(command.price, market, command.stop_price)
    check_size(command, market, command.stop_price)
    worst_price = command.price
    if not worst_price and command.side is BUY and command.quantity:
        worst_price = protection_price(market, command.stop_price, command.side)
    _check_open_orders(state, market, owner)
    rates = fee_rates(state.owners.get(owner), market, state.batch_milliseconds)
    hold = _hold(command, market, worst_price, 0, rates, _UNTOUCHED)
    return _Plan(_UNTOUCHED, worst_price, rests=False, hold=hold, rates=rates)


def check_post_only(command: Terms, market_state: MarketState, quotation: Quotation | None, now: int) -> None:
    market = market_state.market
    best = best_offer(market_state, command.side, quotation, now)
    if best is not None and (command.price >= best if command.side is BUY else command.price <= best):
        nearest = best - market.tick if command.side is BUY else best + market.tick
        raise PostOnlyWouldTake(
            best_opposite=market.price_text(best),
            given=market.price_text(command.price),
            nearest=market.price_text(nearest),
        )


def check_fills(command: Terms, market: Market, worst_price: int, rates: FeeRates, result: Walk) -> None:
    if command.time_in_force is FOK and result.stop is not COMPLETE:
        by_quantity = command.quantity > 0
        raise FillOrKillUnfilled(
            fillable=market.quantity_text(result.quantity) if by_quantity else market.quote_text(result.notional),
            given=market.quantity_text(command.quantity) if by_quantity else market.quote_text(command.quote_quantity),
        )
    if result.fills or command.price or result.stop is SELF_TRADE:
        return
    if result.stop is COMPLETE:
        lot = market.notional(worst_price, market.lot)
        if command.side is BUY:
            lot = with_fee(lot, rates.taker)
        raise BelowMinNotional(
            field="quote_quantity",
            limit=market.quote_text(lot),
            given=market.quote_text(command.quote_quantity),
            nearest=market.quote_text(lot),
        )
    raise NoLiquidity(market=market.symbol, worst_price=market.price_text(worst_price))


def _check_open_orders(state: ExchangeState, market: Market, owner: str) -> None:
    known = state.owners.get(owner)
    if known is None:
        return
    limit = state.limits.open_orders_per_user
    if len(known.orders) >= limit:
        raise TooManyOpenOrders(limit=limit, given=len(known.orders) + 1)
    if len(known.orders) < market.maximum_open_orders:
        return
    # Counted only for the few who have that many over all markets.
    here = sum(1 for order in known.orders.values() if order.market == market.symbol)
    if here >= market.maximum_open_orders:
        raise TooManyOpenOrders(limit=market.maximum_open_orders, given=here + 1, market=market.symbol)


def _hold(  # noqa: PLR0917 - what an order and its walk are made of
    command: PlaceOrder, market: Market, worst_price: int, budget: int, rates: FeeRates, result: Walk
) -> int:
    """A limit order holds for its limit. A market order holds for its fills and the worst of what is postponed: so does
    one that waits, whose whole quantity is to come.
    """
    postponed = result.stop is FILL_LIMIT
    if command.side is BUY:
        if command.quote_quantity:
            return command.quote_quantity
        if command.price:
            return with_fee(command.price * command.quantity // market.base_unit, max(rates))
        rest = market.notional(worst_price, command.quantity - result.quantity) if postponed else 0
        return with_fee(result.notional + rest, rates.taker)
    if command.quantity:
        return command.quantity
    if not postponed:
        return result.quantity
    lots = -(-(budget - result.notional) * market.base_unit // (worst_price * market.lot))
    return result.quantity + lots * market.lot


def check_funds(state: ExchangeState, market: Market, side: Side, owner: str, hold: int) -> None:
    """Raises where that much cannot be held."""
    buying = side is BUY
    asset, scale = (market.quote, market.quote_scale) if buying else (market.base, market.base_scale)
    if hold > AMOUNT_MAX:
        raise AmountTooLarge(limit=format_amount(AMOUNT_MAX, scale), given=format_amount(hold, scale))
    known = state.owners.get(owner)
    account = known.accounts.get(asset) if known is not None else None
    available = account.available if account is not None else 0
    if hold > available:
        raise InsufficientFunds(
            asset=asset, required=format_amount(hold, scale), available=format_amount(available, scale)
        )


def _placed(draft: TradingDraft, command: PlaceOrder, owner: str, fingerprint: str, plan: _Plan) -> OrderPlaced:
    state = draft.state
    market = draft.market.market
    number = state.order_number + 1
    return OrderPlaced(
        order_id(state.batch_milliseconds, number),
        number,
        command.actor.user_id,
        market.symbol,
        command.side,
        command.order_type,
        command.time_in_force,
        command.post_only,
        command.quantity,
        command.quote_quantity,
        command.price,
        plan.worst_price,
        plan.rates.maker,
        plan.rates.taker,
        market.quote if command.side is BUY else market.base,
        plan.hold,
        plan.rests,
        command.client_order_id,
        command.idempotency_key,
        fingerprint,
        draft.next_sequence(owner),
        command.actor,
        command.stop_price,
        command.expires_milliseconds,
    )


def _take(draft: TradingDraft, placed: OrderPlaced, owner: str, result: Walk) -> None:
    order = Order(
        placed.order_id,
        placed.order_number,
        placed.user_id,
        owner,
        placed.client_order_id,
        placed.market,
        placed.side,
        placed.order_type,
        placed.time_in_force,
        placed.post_only,
        placed.quantity,
        placed.quote_quantity,
        placed.price,
        placed.protection_price,
        placed.maker_fee_basis_points,
        placed.taker_fee_basis_points,
        placed.hold,
        OPEN,
        False,  # it does not rest
        draft.state.batch_milliseconds,
        draft.state.batch_milliseconds,
    )
    take(draft, order, result)
    if result.stop is FILL_LIMIT:
        draft.events.append(WorkPostponed(placed.market))


def take(draft: TradingDraft, order: Order, result: Walk) -> None:
    """The trades of a walk, and the end of the order where it neither rests nor is postponed. Moves `order` along."""
    last = len(result.fills) - 1
    complete = result.stop is COMPLETE
    for index, fill in enumerate(result.fills):
        draft.trade(fill, order, taker_done=complete and index == last)
    if result.stop is SELF_TRADE:
        draft.close(order, CloseReason.SELF_TRADE, None)
    elif result.stop is EXHAUSTED and not order.may_rest:
        draft.close(order, CloseReason.IMMEDIATE_OR_CANCEL if order.price else CloseReason.NO_LIQUIDITY, None)
