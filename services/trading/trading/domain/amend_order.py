"""An order gets another limit or another quantity, and keeps its place in the book where nobody is worse off for it."""

from copy import copy

from trading.domain.accounts import owner_of_user
from trading.domain.amounts import AMOUNT_MAX, format_amount
from trading.domain.cancel_orders import check_key
from trading.domain.commands import AmendOrder
from trading.domain.errors import AmendBelowFilled, InvalidOrder, OrderNotOpen, StalePrice, TooManyAmendments
from trading.domain.events import KeyUsed, OrderAmended, WorkPostponed
from trading.domain.house import fresh_quotation
from trading.domain.keys import fingerprint_of, repeat_of_key
from trading.domain.markets import Market
from trading.domain.matching import Stop, Walk, walk
from trading.domain.order_rules import (
    NONE,
    POSITIVE,
    RANGE,
    check_price_band,
    check_size,
    check_steps,
    market_for_orders,
    protection_price,
)
from trading.domain.orders import LIFE, Order, OrderStatus, OrderStep, Side
from trading.domain.outcomes import Decision
from trading.domain.place_order import check_funds, check_post_only, take
from trading.domain.settlement import TradingDraft, required_hold
from trading.domain.state import ExchangeState, MarketState


def amend_order(state: ExchangeState, command: AmendOrder) -> Decision:
    """The same rules as for a new order, as far as a new figure is concerned. What was filled stays filled."""
    owner = owner_of_user(command.actor.user_id)
    fingerprint = fingerprint_of(command)
    repeat = repeat_of_key(state.keys, owner, command.idempotency_key, fingerprint, state.batch_milliseconds)
    if repeat is not None:
        return repeat
    check_key(command.idempotency_key)
    order = state.orders.get(command.order_id)
    if order is None or order.owner != owner:
        raise OrderNotOpen(order_id=command.order_id)
    market_state = market_for_orders(state, order.market)
    amended = _amended(state, market_state, order, command)
    market = market_state.market
    amended.hold = required_hold(amended, market)
    if amended.hold > order.hold:
        check_funds(market, order.side, state.owners[owner], amended.hold - order.hold)
    leaves = order.resting and (amended.price != order.price or amended.quantity > order.quantity)
    result = _meet(state, market_state, amended) if leaves else None
    draft = TradingDraft(state, market_state)
    draft.events.append(_event(draft, order, amended, command, result))
    if result is not None:
        amended.resting = False
        take(draft, amended, result)
        if result.stop is Stop.FILL_LIMIT:
            draft.events.append(WorkPostponed(order.market))
    if command.idempotency_key:
        draft.events.append(KeyUsed(command.actor.user_id, command.idempotency_key, fingerprint, (order.order_id,)))
    return draft.events


def _amended(state: ExchangeState, market_state: MarketState, order: Order, command: AmendOrder) -> Order:
    """A copy with the new figures, if they pass."""
    market = market_state.market
    amended = copy(order)
    _check_range(command.price, command.quantity)
    if not (command.price or command.quantity):
        raise InvalidOrder(
            "A new price or a new quantity is needed.", field="quantity", rule="price_or_quantity", limit=POSITIVE
        )
    price, quantity = in_minor_units(market, command)
    if command.price and not order.price:
        raise InvalidOrder("This order has no limit.", field="price", rule="only_for_limits", limit=NONE)
    if command.quantity and not order.quantity:
        raise InvalidOrder("This order is by quote amount.", field="quantity", rule="only_by_quantity", limit=NONE)
    if order.amendments >= state.limits.amendments_per_order:
        raise TooManyAmendments(limit=state.limits.amendments_per_order)
    amended.price = price or order.price
    amended.quantity = quantity or order.quantity
    if amended.quantity <= order.filled_quantity:
        raise AmendBelowFilled(
            filled=market.quantity_text(order.filled_quantity),
            given=market.quantity_text(amended.quantity),
            nearest=market.quantity_text(order.filled_quantity + market.lot),
        )
    waits = order.status is OrderStatus.NEW
    measure = order.stop_price if waits else _reference_price(market_state)
    check_steps(amended.price, amended.quantity, market)
    if amended.price != order.price:
        check_price_band(amended.price, market, measure)
    check_size(amended.price, amended.quantity, amended.quote_quantity, market, measure)
    _check_range(amended.price, amended.quantity)  # last: those before it say what would do
    if amended.price:
        amended.protection_price = amended.price
    elif amended.protection_price:
        amended.protection_price = protection_price(market, order.stop_price, order.side)
    return amended


def in_minor_units(market: Market, command: AmendOrder) -> tuple[int, int]:
    """Price and quantity. Digits beyond the market's scale are off its tick or its lot."""
    price, beyond = _rescaled(command.price, command.price_scale, market.quote_scale)
    if beyond:
        raise market.invalid_tick(price, format_amount(command.price, command.price_scale))
    quantity, beyond = _rescaled(command.quantity, command.quantity_scale, market.base_scale)
    if beyond:
        raise market.invalid_lot(quantity, format_amount(command.quantity, command.quantity_scale))
    return price, quantity


def _rescaled(amount: int, given: int, wanted: int) -> tuple[int, int]:
    """At the wanted scale, and what that does not hold."""
    if given <= wanted:
        return amount * int(10 ** (wanted - given)), 0
    return divmod(amount, int(10 ** (given - wanted)))


def _check_range(price: int, quantity: int) -> None:
    if not (0 <= price <= AMOUNT_MAX and 0 <= quantity <= AMOUNT_MAX):
        field = "quantity" if 0 <= price <= AMOUNT_MAX else "price"
        raise InvalidOrder("The number must be above zero and fit 63 bits.", field=field, rule="range", limit=RANGE)


def _reference_price(market_state: MarketState) -> int:
    reference = market_state.reference
    if reference is None:
        raise StalePrice(market=market_state.market.symbol, age_milliseconds=None, limit_milliseconds=None)
    return reference.price


def _meet(state: ExchangeState, market_state: MarketState, amended: Order) -> Walk:
    """Whom it meets at the offers as they were shown, that is, with its old self still in the book."""
    now = state.batch_milliseconds
    quotation = fresh_quotation(market_state.market, market_state.reference, now)
    if amended.post_only:
        check_post_only(amended, market_state, quotation, now)
    taker = (amended.owner, amended.side, amended.price, amended.remaining_quantity, 0)
    return walk(market_state, taker, quotation, now, state.limits.fills_per_command)


def _event(draft: TradingDraft, order: Order, amended: Order, command: AmendOrder, result: Walk | None) -> OrderAmended:
    market = draft.market.market
    return OrderAmended(
        order.order_id,
        order.user_id,
        order.market,
        amended.price,
        amended.quantity,
        amended.protection_price,
        order.price,
        order.quantity,
        draft.state.order_number + 1 if result is not None else 0,
        result is not None and result.stop is Stop.EXHAUSTED,
        market.quote if order.side is Side.BUY else market.base,
        amended.hold - order.hold,
        LIFE[order.status, OrderStep.AMEND],
        draft.next_sequence(order.owner),
        command.actor,
    )
