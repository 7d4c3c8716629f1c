"""An order comes in: is it well-formed, allowed, affordable; whom does it meet; what is left of it."""

from trading.domain.accounts import owner_of_user
from trading.domain.amounts import AMOUNT_MAX
from trading.domain.by_position import by_position
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
from trading.domain.frame import frame_of
from trading.domain.house import reference_age
from trading.domain.identifiers import order_id
from trading.domain.keys import fingerprint_of_order, repeat_of_order
from trading.domain.markets import FeeRates, Market
from trading.domain.matching import (
    COMPLETE,
    EXHAUSTED,
    FILL_LIMIT,
    NOTHING,
    SELF_TRADE,
    Walk,
    best_offer,
    meets_nobody,
    walk,
)
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
from trading.domain.orders import (
    BUY,
    FOK,
    OPEN,
    RESTING_TIMES,
    SELL,
    CloseReason,
    Order,
    Side,
    fill_in_order,
    new_order,
)
from trading.domain.outcomes import Decision
from trading.domain.settlement import TradingDraft, notional_within, with_fee
from trading.domain.state import ExchangeState, Frame, MarketState, Owner, Quotation

_order_placed = by_position(OrderPlaced)
_UNTOUCHED = Walk((), FILL_LIMIT, 0, 0)  # of an order that waits: all of it is still to trade


# What the rules leave of an order: (whom it meets, the worst price it may trade at, whether it rests, what it holds).
_Plan = tuple[Walk, int, bool, int]


def place_order(state: ExchangeState, command: PlaceOrder) -> Decision:
    # Taken apart at once, here and elsewhere on an order's way: by name, each field takes ten times as long to read.
    (
        actor, symbol, side, order_type, time_in_force, quantity, quote_quantity, price, post_only, client_order_id,
        idempotency_key, stop_price, expires_milliseconds,
    ) = command  # fmt: skip
    user_id, now = actor.user_id, state.batch_milliseconds
    owner_name = owner_of_user(user_id)
    fingerprint = fingerprint_of_order(command)
    repeat = repeat_of_order(state.keys, command, owner_name, fingerprint, now)
    if repeat is not None:
        return repeat
    check_shape(command)
    market_state = market_for_orders(state, symbol)
    market = market_state.market
    owner = state.owners.get(owner_name)
    rates = fee_rates(owner, market, now)
    rules = _wait if stop_price else _plan
    result, worst_price, rests, hold = rules(state, market_state, command, owner_name, owner, rates)
    check_funds(market, side, owner, hold)
    number = state.order_number + 1
    maker, taker = rates
    placed = _order_placed(
        order_id(now, number), number, user_id, symbol, side, order_type, time_in_force, post_only, quantity,
        quote_quantity, price, worst_price, maker, taker, market.quote if side is BUY else market.base, hold, rests,
        client_order_id, idempotency_key, fingerprint, owner.sequence + 1 if owner is not None else 1, actor,
        stop_price, expires_milliseconds,
    )  # fmt: skip
    if stop_price or (rests and not result.fills):
        return [placed]
    draft = TradingDraft(state, market_state)
    draft.events.append(placed)
    draft.next_sequence(owner_name)  # the one that is in `placed`
    _take(draft, placed, owner_name, result)
    return draft.events


def _plan(  # noqa: PLR0917 - by position, as all calls on the hot path
    state: ExchangeState,
    market_state: MarketState,
    command: PlaceOrder,
    owner_name: str,
    owner: Owner | None,
    rates: FeeRates,
) -> _Plan:
    """Every rule that can refuse the order, except funds."""
    _, _, side, _, time_in_force, quantity, quote_quantity, price, post_only, _, _, _, expires = command
    market = market_state.market
    now = state.batch_milliseconds
    frame = frame_of(market_state)
    if frame is None:
        raise StalePrice(market=market.symbol, age_milliseconds=None, limit_milliseconds=None)
    reference_price = frame.reference.price
    if expires:
        check_expiry(command, now)
    check_steps(price, quantity, market)
    if price and not frame.lowest_price <= price <= frame.highest_price:
        check_price_band(price, market, reference_price)
    check_size(price, quantity, quote_quantity, market, reference_price)
    quotation = frame.quotation if now <= frame.fresh_until_milliseconds else None
    worst_price = price or _slippage_cap(frame, quotation, side, now)
    if post_only:
        check_post_only(command, market_state, quotation, now)
    budget = notional_within(quote_quantity, rates.taker) if quote_quantity and side is BUY else quote_quantity
    if meets_nobody(market_state, side, worst_price, quotation):
        result = NOTHING
    else:
        taker = (owner_name, side, worst_price, quantity, budget)
        result = walk(market_state, taker, quotation, now, state.limits.fills_per_command)
    fills, stop, _, _ = result
    if time_in_force is FOK or not (price or fills):
        # Any other order may trade what it does, and wait with its rest.
        check_fills(command, market_state, quotation, now, worst_price, rates, result)
    rests = stop is EXHAUSTED and time_in_force in RESTING_TIMES
    if rests or stop is FILL_LIMIT:
        _check_open_orders(state, market, owner)
    if price:
        return result, worst_price, rests, _hold_to_the_limit(market, side, price, quantity, rates)
    return result, worst_price, rests, _hold(command, market, worst_price, budget, rates, result)


def _slippage_cap(frame: Frame, quotation: Quotation | None, side: Side, now: int) -> int:
    if quotation is None:
        age, limit = reference_age(frame.market, frame.reference, now)
        raise StalePrice(market=frame.market.symbol, age_milliseconds=age, limit_milliseconds=limit)
    return frame.worst_price_of_buys if side is BUY else frame.worst_price_of_sells


def _wait(
    state: ExchangeState,
    market_state: MarketState,
    command: PlaceOrder,
    _owner_name: str,
    owner: Owner | None,
    rates: FeeRates,
) -> _Plan:
    """The rules for an order that waits for its stop price. Whom it then meets is not looked at now."""
    market = market_state.market
    reference = market_state.reference
    if reference is None:
        raise StalePrice(market=market.symbol, age_milliseconds=None, limit_milliseconds=None)
    check_expiry(command, state.batch_milliseconds)
    check_stop_price(command, market, reference.price)
    check_steps(command.price, command.quantity, market)
    if command.price:
        check_price_band(command.price, market, command.stop_price)
    check_size(command.price, command.quantity, command.quote_quantity, market, command.stop_price)
    worst_price = command.price
    if not worst_price and command.side is BUY and command.quantity:
        worst_price = protection_price(market, command.stop_price, command.side)
    _check_open_orders(state, market, owner)
    if command.price:
        hold = _hold_to_the_limit(market, command.side, command.price, command.quantity, rates)
    else:
        hold = _hold(command, market, worst_price, 0, rates, _UNTOUCHED)
    return _UNTOUCHED, worst_price, False, hold


def check_post_only(command: Terms, market_state: MarketState, quotation: Quotation | None, now: int) -> None:
    market = market_state.market
    best = best_offer(market_state, command.side, quotation, now)
    if best is not None and (command.price >= best if command.side is BUY else command.price <= best):
        nearest = best - market.tick if command.side is BUY else best + market.tick
        raise PostOnlyWouldTake(
            best_opposite=market.price_text(best),
            given=market.price_text(command.price),
            nearest=market.price_text(nearest) if nearest > 0 else "",
        )


def check_fills(  # noqa: PLR0917 - by position, as all calls on the hot path
    command: Terms,
    market_state: MarketState,
    quotation: Quotation | None,
    now: int,
    worst_price: int,
    rates: FeeRates,
    result: Walk,
) -> None:
    """Raises where the walk that a taker has made is not what it asked for."""
    market = market_state.market
    if command.time_in_force is FOK and result.stop is not COMPLETE:
        raise FillOrKillUnfilled(
            fillable=_fillable(command, market, rates, result),
            given=_wanted(command, market),
            # More may be there: then one walk takes as many as one order may.
            fills_max=len(result.fills) if result.stop is FILL_LIMIT else 0,
        )
    if result.fills or command.price or result.stop is SELF_TRADE:
        return
    if result.stop is COMPLETE:
        # What the first lot that it could have costs: the budget did not reach it, a quantity does.
        first = walk(market_state, ("", command.side, worst_price, market.lot, 0), quotation, now, 1)
        lot = first.notional
        if command.side is BUY:
            lot = with_fee(lot, rates.taker)
        raise BelowMinNotional(
            field="quote_quantity",
            limit=market.quote_text(lot),
            given=market.quote_text(command.quote_quantity),
            nearest=market.quote_text(lot),
        )
    raise NoLiquidity(market=market.symbol, worst_price=market.price_text(worst_price), given=_wanted(command, market))


def _fillable(command: Terms, market: Market, rates: FeeRates, result: Walk) -> str:
    """In the unit that the order is in: a buy's quote amount includes the fee."""
    if command.quantity:
        return market.quantity_text(result.quantity)
    return market.quote_text(with_fee(result.notional, rates.taker) if command.side is BUY else result.notional)


def _wanted(command: Terms, market: Market) -> str:
    return market.quantity_text(command.quantity) if command.quantity else market.quote_text(command.quote_quantity)


def _check_open_orders(state: ExchangeState, market: Market, owner: Owner | None) -> None:
    if owner is None:
        return
    count, limit = len(owner.orders), state.limits.open_orders_per_user
    if count >= limit:
        raise TooManyOpenOrders(limit=limit, given=count + 1)
    if count < market.maximum_open_orders:
        return
    # Counted only for the few who have that many over all markets.
    here = sum(1 for order in owner.orders.values() if order.market == market.symbol)
    if here >= market.maximum_open_orders:
        raise TooManyOpenOrders(limit=market.maximum_open_orders, given=here + 1, market=market.symbol)


def _hold_to_the_limit(market: Market, side: Side, price: int, quantity: int, rates: FeeRates) -> int:
    if side is SELL:
        return quantity
    maker, taker = rates
    rate = maker if maker > taker else taker  # noqa: FURB136 - a tenth of max()'s time
    return with_fee(price * quantity // market.base_unit, rate)


def _hold(  # noqa: PLR0917 - what an order and its walk are made of
    command: PlaceOrder, market: Market, worst_price: int, budget: int, rates: FeeRates, result: Walk
) -> int:
    """A market order holds for its fills and the worst of what is postponed: so does one that waits, whose whole
    quantity is to come.
    """
    postponed = result.stop is FILL_LIMIT
    if command.side is BUY:
        if command.quote_quantity:
            return command.quote_quantity
        rest = market.notional(worst_price, command.quantity - result.quantity) if postponed else 0
        return with_fee(result.notional + rest, rates.taker)
    if command.quantity:
        return command.quantity
    if not postponed:
        return result.quantity
    lots = -(-(budget - result.notional) * market.base_unit // (worst_price * market.lot))
    return result.quantity + lots * market.lot


def check_funds(market: Market, side: Side, owner: Owner | None, hold: int) -> None:
    """Raises where that much cannot be held."""
    if hold > AMOUNT_MAX:
        raise AmountTooLarge(limit=_held_text(market, side, AMOUNT_MAX), given=_held_text(market, side, hold))
    asset = market.quote if side is BUY else market.base
    account = owner.accounts.get(asset) if owner is not None else None
    available = account.available if account is not None else 0
    if hold > available:
        raise InsufficientFunds(
            asset=asset, required=_held_text(market, side, hold), available=_held_text(market, side, available)
        )


def _held_text(market: Market, side: Side, amount: int) -> str:
    return market.quote_text(amount) if side is BUY else market.quantity_text(amount)


def _take(draft: TradingDraft, placed: OrderPlaced, owner: str, result: Walk) -> None:
    (
        order_id, number, user_id, market, side, order_type, time_in_force, post_only, quantity, quote_quantity, price,
        protection_price, maker_fee, taker_fee, _, hold, _, client_order_id, *_,
    ) = placed  # fmt: skip
    now = draft.state.batch_milliseconds
    order = new_order(Order)
    fill_in_order(
        order, order_id, number, user_id, owner, client_order_id, market, side, order_type, time_in_force, post_only,
        quantity, quote_quantity, price, protection_price, maker_fee, taker_fee, hold, OPEN, False, now, now,
    )  # fmt: skip
    take(draft, order, result)
    if result.stop is FILL_LIMIT:
        draft.events.append(WorkPostponed(placed.market))


def take(draft: TradingDraft, order: Order, result: Walk) -> None:
    """The trades of a walk, and the end of the order where it neither rests nor is postponed. Moves `order` along."""
    fills, stop, _, _ = result
    last = len(fills) - 1
    complete = stop is COMPLETE
    for index, fill in enumerate(fills):
        draft.trade(fill, order, taker_done=complete and index == last)
    if stop is SELF_TRADE:
        draft.close(order, CloseReason.SELF_TRADE, None)
    elif stop is EXHAUSTED and not order.may_rest:
        draft.close(order, CloseReason.IMMEDIATE_OR_CANCEL if order.price else CloseReason.NO_LIQUIDITY, None)
