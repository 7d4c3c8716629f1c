"""From a refused amendment to one that would be accepted, in the manner of `suggestions.py`."""

from copy import copy

from trading.domain import errors
from trading.domain.accounts import owner_of_user
from trading.domain.amend_order import amend_order, in_minor_units
from trading.domain.amounts import units_of
from trading.domain.commands import AmendOrder
from trading.domain.errors import Rejection
from trading.domain.markets import Market
from trading.domain.orders import Order, OrderStatus, Side
from trading.domain.queries import balance
from trading.domain.settlement import required_hold
from trading.domain.state import ExchangeState
from trading.domain.suggested_figures import at_a_distance, inside_the_band
from trading.domain.suggestions import TRIES_MAX, WHY_NONE, WHY_NONE_DEFAULT, own_order_in_the_way

_WHY_NONE = WHY_NONE | {
    "order_not_open": "There is no such open order to amend.",
    "too_many_amendments": "Cancel the order and place another.",
    "insufficient_funds": "What you have does not pay for a larger order.",
}
_BY_AMOUNT = "An order by quote amount has neither a limit nor a quantity to amend: cancel it and place another."


def suggest_amendment(state: ExchangeState, command: AmendOrder) -> AmendOrder | str:
    """A command that `amend_order` accepts now, without a key, or why there is none. Reads only."""
    candidate = command._replace(idempotency_key="")
    seen: set[AmendOrder] = set()
    for _ in range(TRIES_MAX):
        try:
            outcome = amend_order(state, candidate)
        except Rejection as refusal:
            seen.add(candidate)
            changed = _repair(state, candidate, refusal)
            if isinstance(changed, str):
                return changed
            if changed is None or changed in seen:
                return _WHY_NONE.get(refusal.reason, WHY_NONE_DEFAULT)
            candidate = changed
        else:
            # No key, no repeat.
            return (isinstance(outcome, list) and own_order_in_the_way(state, outcome)) or candidate
    return WHY_NONE_DEFAULT


def _repair(state: ExchangeState, command: AmendOrder, refusal: Rejection) -> AmendOrder | str | None:
    order = state.orders.get(command.order_id)
    if order is None or order.owner != owner_of_user(command.actor.user_id):
        return None
    market = state.markets[order.market].market
    if isinstance(refusal, errors.InsufficientFunds):
        return _affordable(state, market, order, command)
    if isinstance(refusal, errors.InvalidOrder):
        if not order.quantity:
            return _BY_AMOUNT
        return _well_formed(market, order, command, refusal)
    nearest = _at_the_nearest(market, command, refusal) if "nearest" in refusal.details else None
    reference = state.markets[order.market].reference
    if nearest is None or reference is None:
        return nearest
    price = nearest.price
    if isinstance(refusal, errors.PostOnlyWouldTake):
        price = at_a_distance(market, reference.price, order.side, price)
    elif isinstance(refusal, errors.OutsidePriceBand) and order.status is not OrderStatus.NEW:
        price = inside_the_band(market, reference.price, price)
    return nearest._replace(price=price)


def _at_the_nearest(market: Market, command: AmendOrder, refusal: Rejection) -> AmendOrder | None:
    nearest, field = refusal.details["nearest"], refusal.details.get("field")
    if field == "price":
        return _at_price(market, command, units_of(nearest, market.quote_scale))
    if field == "quantity":
        return _at_quantity(market, command, units_of(nearest, market.base_scale))
    return None


def _well_formed(market: Market, order: Order, command: AmendOrder, refusal: Rejection) -> AmendOrder:
    field, rule = refusal.details["field"], refusal.details["rule"]
    if rule == "range":
        if field == "price":
            return command._replace(price=0)
        return _at_quantity(market, command, market.maximum_quantity)
    if rule == "only_for_limits":
        return command._replace(price=0)
    # Nothing was to change: the order as it is.
    return _at_quantity(market, command, order.quantity)


def _affordable(state: ExchangeState, market: Market, order: Order, command: AmendOrder) -> AmendOrder | None:
    """As much at that price as what is held and what is available pay for."""
    asset = market.quote if order.side is Side.BUY else market.base
    means = order.hold + balance(state, order.user_id, asset).available
    price, quantity = in_minor_units(market, command)
    price, quantity = price or order.price, quantity or order.quantity
    wanted = _with(order, price, quantity)
    remaining = (quantity - order.filled_quantity) * means // required_hold(wanted, market)
    remaining -= remaining % market.lot
    # The fee of a part can round up by a minor unit more than its share of the whole.
    while remaining > 0 and required_hold(_with(order, price, order.filled_quantity + remaining), market) > means:
        remaining -= market.lot
    if remaining <= 0:
        return None
    return _at_quantity(market, command, order.filled_quantity + remaining)


def _with(order: Order, price: int, quantity: int) -> Order:
    changed = copy(order)
    changed.price, changed.quantity = price, quantity
    return changed


def _at_price(market: Market, command: AmendOrder, price: int) -> AmendOrder:
    return command._replace(price=price, price_scale=market.quote_scale)


def _at_quantity(market: Market, command: AmendOrder, quantity: int) -> AmendOrder:
    return command._replace(quantity=quantity, quantity_scale=market.base_scale)
