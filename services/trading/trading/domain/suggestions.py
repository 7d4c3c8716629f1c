"""From a refused order to one that would be accepted: the least change that each broken rule asks for, tried out.

A suggestion is proven, not guessed: it went through the same decision as any order, against the same state.
"""

from collections.abc import Callable, Sequence
from typing import Any

from trading.domain import errors
from trading.domain.amounts import AMOUNT_MAX, nearest_multiple, units_of
from trading.domain.commands import PlaceOrder
from trading.domain.errors import Rejection
from trading.domain.events import Event, OrderClosed, Traded
from trading.domain.matching import Stop
from trading.domain.order_rules import price_band, protection_price
from trading.domain.orders import TRIGGERS, CloseReason, OrderType, TimeInForce, waits_for_a_rise
from trading.domain.outcomes import Repeat
from trading.domain.place_order import place_order
from trading.domain.state import ExchangeState
from trading.domain.suggested_figures import (
    at_a_distance,
    distance_at,
    inside_the_band,
    is_paid_at_the_market,
    market_of,
    market_walk,
    measure_of,
    proceeds,
    quantity_for,
    share,
    smallest_quantity,
)

TRIES_MAX = 10  # an order can break several rules, and mending one can break the next
_DAY_MILLISECONDS = 86_400_000

WHY_NONE = {
    "unknown_market": "There is no such market.",
    "market_halted": "The market is halted: no order is taken there now.",
    "market_cancel_only": "The market takes no new orders now.",
    "market_paused": "The market pauses after a jump of the price; send the order again when the pause is over.",
    "stale_price": "There is no fresh price to measure an order by; send it again in a moment.",
    "no_liquidity": "Nobody offers the other side now.",
    "below_min_notional": "At such a price not even the largest order is worth the market's minimum.",
    "too_many_open_orders": "Cancel one of your open orders first.",
    "insufficient_funds": "What you have does not pay for the smallest order.",
    "idempotency_key_reused": "The key stands for another order: send this one under a key of its own.",
    # Never the same without the id: of a retry whose contents changed on the way that would make a second order.
    "client_order_id_reused": "The id names another order of yours: send this one under an id of its own.",
    "market_draining": "The market is busy with an earlier command; send the order again.",
    "expiries_due": "Orders whose time is over are being closed; send the order again.",
}
IS_PLACED = "This very order is placed already, under the same client order id: it is {}."
OWN_ORDER = "Your own order {} stands there, and your orders do not trade with each other: cancel it first."
WHY_NONE_DEFAULT = "No order near this one was found that would be accepted."


def suggest_order(state: ExchangeState, command: PlaceOrder) -> PlaceOrder | str:
    """A command that `place_order` accepts now, as near to the given one as its broken rules allow; or why there is
    none. It carries no idempotency key. Reads only.
    """
    candidate = command._replace(idempotency_key="")
    seen: set[PlaceOrder] = set()
    for _ in range(TRIES_MAX):
        try:
            outcome = place_order(state, candidate)
        except Rejection as refusal:
            seen.add(candidate)
            repair = _REPAIRS.get(type(refusal))
            changed = repair(state, candidate, refusal) if repair is not None else None
            if changed is None or changed in seen:
                return WHY_NONE.get(refusal.reason, WHY_NONE_DEFAULT)
            candidate = changed
        else:
            if isinstance(outcome, Repeat):
                return IS_PLACED.format(outcome.order_ids[0])
            return own_order_in_the_way(state, outcome) or candidate
    return WHY_NONE_DEFAULT


def own_order_in_the_way(state: ExchangeState, events: Sequence[Event]) -> str:
    """Why an order that was accepted ends at once without a fill; empty where no own order ends it."""
    if any(isinstance(event, Traded) for event in events):
        return ""
    for event in events:
        if isinstance(event, OrderClosed) and event.reason is CloseReason.SELF_TRADE:
            market_state = state.markets[event.market]
            book = market_state.asks if event.hold_asset == market_state.market.quote else market_state.bids
            return OWN_ORDER.format(next(book.orders()).order_id)
    return ""


def _on_the_tick(state: ExchangeState, command: PlaceOrder, refusal: Rejection) -> PlaceOrder:
    tick = market_of(state, command).tick
    if refusal.details["field"] == "stop_price":
        return command._replace(stop_price=nearest_multiple(command.stop_price, tick))
    return command._replace(price=nearest_multiple(command.price, tick))


def _on_the_lot(state: ExchangeState, command: PlaceOrder, _: Rejection) -> PlaceOrder:
    return command._replace(quantity=nearest_multiple(command.quantity, market_of(state, command).lot))


def _worth_more(state: ExchangeState, command: PlaceOrder, refusal: Rejection) -> PlaceOrder | None:
    if "nearest" not in refusal.details:
        return _at_a_higher_price(state, command)
    if not command.quote_quantity:
        return command._replace(quantity=smallest_quantity(state, command))
    market = market_of(state, command)
    nearest = units_of(refusal.details["nearest"], market.quote_scale)
    # Where it is not the market's own minimum, it is what one lot costs now.
    return command._replace(quote_quantity=nearest if nearest == market.minimum_notional else nearest + share(nearest))


def _at_a_higher_price(state: ExchangeState, command: PlaceOrder) -> PlaceOrder | None:
    """Where no quantity is worth enough: the lowest price at which this one is, or the largest for this amount. A limit
    stays in proportion to its stop price.
    """
    market, reference = market_of(state, command), state.markets[command.market].reference
    quantity = command.quantity or market.maximum_quantity
    worth = max(command.quote_quantity, market.minimum_notional)
    price = -(-worth * market.base_unit // (quantity * market.tick)) * market.tick
    if not command.stop_price:
        within = command.price and reference is not None and price <= price_band(market, reference.price)[1]
        return command._replace(price=price) if within else None
    if not command.price:
        return command._replace(stop_price=price)
    stop_price = nearest_multiple(command.stop_price * price // command.price, market.tick)
    return command._replace(price=price, stop_price=stop_price)


def _smaller(state: ExchangeState, command: PlaceOrder, _: Rejection) -> PlaceOrder | None:
    market, price = market_of(state, command), measure_of(state, command)
    if command.quote_quantity:
        largest = market.notional(price, market.maximum_quantity)
        if largest < market.minimum_notional:
            return _at_a_higher_price(state, command)
        return command._replace(quote_quantity=largest)
    if command.quantity > market.maximum_quantity:
        return command._replace(quantity=market.maximum_quantity)
    # Its worth, or what has to be held for it, would pass 63 bits.
    affordable = AMOUNT_MAX // 2 * market.base_unit // price
    quantity = min(affordable, command.quantity // 2)
    return command._replace(quantity=quantity - quantity % market.lot) if quantity >= market.lot else None


def _nearest_price(state: ExchangeState, command: PlaceOrder, refusal: Rejection) -> PlaceOrder | None:
    price = units_of(refusal.details.get("nearest", "0"), market_of(state, command).quote_scale)
    return command._replace(price=price) if price else None


def _within_the_band(state: ExchangeState, command: PlaceOrder, refusal: Rejection) -> PlaceOrder | None:
    nearest, reference = _nearest_price(state, command, refusal), state.markets[command.market].reference
    # The band of an order that waits lies around its own stop price: that does not move.
    if nearest is None or reference is None or command.stop_price:
        return nearest
    return nearest._replace(price=inside_the_band(market_of(state, command), reference.price, nearest.price))


def _where_it_rests(state: ExchangeState, command: PlaceOrder, refusal: Rejection) -> PlaceOrder | None:
    nearest, reference = _nearest_price(state, command, refusal), state.markets[command.market].reference
    if nearest is None or reference is None:
        return None
    return nearest._replace(
        price=at_a_distance(market_of(state, command), reference.price, command.side, nearest.price)
    )


def _next_stop_price(state: ExchangeState, command: PlaceOrder, _: Rejection) -> PlaceOrder | None:
    """The first that the reference has not reached, at a distance. A limit goes along."""
    reference = state.markets[command.market].reference
    if reference is None:
        return None
    market = market_of(state, command)
    tick, distance = market.tick, distance_at(market, reference.price)
    if waits_for_a_rise(command.order_type, command.side):
        stop_price = reference.price // tick * tick + tick + distance
    else:
        stop_price = -(-reference.price // tick) * tick - tick - distance
    price = max(tick, command.price + stop_price - command.stop_price) if command.price else 0
    return command._replace(stop_price=stop_price, price=price) if stop_price > 0 else None


def _tomorrow(state: ExchangeState, command: PlaceOrder, _: Rejection) -> PlaceOrder:
    return command._replace(expires_milliseconds=state.batch_milliseconds + _DAY_MILLISECONDS)


def _what_there_is(state: ExchangeState, command: PlaceOrder, refusal: Rejection) -> PlaceOrder:
    """Fill or kill: as much as can be filled at once; where that is too little, an order that need not be."""
    market = market_of(state, command)
    if command.quantity:
        fillable = units_of(refusal.details["limit"], market.base_scale)
        if fillable >= smallest_quantity(state, command):
            return command._replace(quantity=fillable)
    else:
        fillable = units_of(refusal.details["limit"], market.quote_scale)
        fillable -= share(fillable)  # what the book is worth moves with the price
        if fillable >= market.minimum_notional:
            return command._replace(quote_quantity=fillable)
    if command.price:
        return command._replace(time_in_force=TimeInForce.GTC)
    return command._replace(time_in_force=TimeInForce.IOC)


def _as_a_limit(state: ExchangeState, command: PlaceOrder, _: Rejection) -> PlaceOrder | None:
    """Nobody is there up to the slippage cap: rest at it, where the next one comes by."""
    reference = state.markets[command.market].reference
    if reference is None:
        return None
    market = market_of(state, command)
    price = protection_price(market, reference.price, command.side)
    if not price:
        return None  # the market has fallen below its own tick
    price = inside_the_band(market, reference.price, price)  # the cap may be as wide as that
    return command._replace(
        order_type=OrderType.LIMIT, time_in_force=TimeInForce.GTC, price=price, quote_quantity=0,
        quantity=command.quantity or quantity_for(state, command, price),
    )  # fmt: skip


def _affordable(state: ExchangeState, command: PlaceOrder, refusal: Rejection) -> PlaceOrder | None:
    """In proportion: what is taken less of is the part at the worst prices, so it costs no more than its share."""
    market = market_of(state, command)
    scale = state.assets[refusal.details["asset"]].scale
    required = units_of(refusal.details["required"], scale)
    available = units_of(refusal.details["available"], scale)
    at_the_market = is_paid_at_the_market(command)
    if at_the_market:
        available -= share(available)
    if command.quote_quantity:
        if at_the_market:
            worth = proceeds(state, command, available - available % market.lot)
        else:
            worth = command.quote_quantity * available // required
        return command._replace(quote_quantity=worth) if worth >= market.minimum_notional else None
    quantity = command.quantity
    if at_the_market:
        taken = market_walk(state, command, quantity)
        # What the book does not have is not held for. What is postponed is.
        quantity = quantity if taken.stop is Stop.FILL_LIMIT else taken.quantity
    quantity = quantity * available // required
    quantity -= quantity % market.lot
    # Below the smallest order the money is what lacks, not the size.
    return command._replace(quantity=quantity) if quantity >= smallest_quantity(state, command) else None


def _at_once(state: ExchangeState, command: PlaceOrder, _: Rejection) -> PlaceOrder | None:
    """An order that would rest has no room; one that takes what is there needs none."""
    if command.order_type is not OrderType.LIMIT or command.post_only:
        return None
    candidate = command._replace(time_in_force=TimeInForce.IOC, expires_milliseconds=0)
    try:
        events = place_order(state, candidate)
    except Rejection:
        return None
    trades = isinstance(events, list) and any(isinstance(event, Traded) for event in events)
    return candidate if trades else None


def _well_formed(state: ExchangeState, command: PlaceOrder, refusal: Rejection) -> PlaceOrder | None:
    """Fields that do not go together."""
    field = refusal.details["field"]
    repair = _FIELDS.get(field)
    return repair(state, command, refusal.details["rule"]) if repair is not None else None


def _mend_quantity(state: ExchangeState, command: PlaceOrder, rule: str) -> PlaceOrder:
    if rule == "range":
        return command._replace(quantity=market_of(state, command).maximum_quantity if command.quantity > 0 else 0)
    if command.quantity and command.quote_quantity:
        return command._replace(quote_quantity=0)
    return command._replace(quantity=smallest_quantity(state, command))


def _mend_quote_quantity(state: ExchangeState, command: PlaceOrder, rule: str) -> PlaceOrder | None:
    if rule == "range" or command.quantity:
        return command._replace(quote_quantity=0)
    price = command.stop_price if rule == "not_for_waiting_sells" else command.price
    if not price:
        return _mend_price(state, command, rule)  # first: by it the amount becomes a quantity
    return command._replace(quote_quantity=0, quantity=quantity_for(state, command, price))


def _mend_price(state: ExchangeState, command: PlaceOrder, rule: str) -> PlaceOrder | None:
    if rule in {"not_for_market_orders", "only_for_limits"}:
        return command._replace(price=0)
    market, reference = market_of(state, command), state.markets[command.market].reference
    measure = command.stop_price or (reference.price if reference is not None else 0)
    return command._replace(price=nearest_multiple(measure, market.tick)) if measure > 0 else None


def _mend_stop_price(state: ExchangeState, command: PlaceOrder, rule: str) -> PlaceOrder | None:
    if rule == "only_for_triggers":
        return command._replace(stop_price=0)
    reference = state.markets[command.market].reference
    # The next one that would wait is found by the rule that comes after this one.
    return None if reference is None else command._replace(stop_price=max(1, reference.price))


def _mend_time_in_force(_: ExchangeState, command: PlaceOrder, __: str) -> PlaceOrder:
    waits = command.order_type in TRIGGERS
    return command._replace(time_in_force=TimeInForce.GTC if waits else TimeInForce.IOC, expires_milliseconds=0)


def _mend_post_only(_: ExchangeState, command: PlaceOrder, rule: str) -> PlaceOrder:
    if rule == "must_rest":
        return command._replace(time_in_force=TimeInForce.GTC, expires_milliseconds=0)
    return command._replace(post_only=False)


def _mend_expires_at(state: ExchangeState, command: PlaceOrder, rule: str) -> PlaceOrder:
    expires = 0 if rule == "only_for_gtd" else state.batch_milliseconds + _DAY_MILLISECONDS
    return command._replace(expires_milliseconds=expires)


_FIELDS: dict[str, Callable[[ExchangeState, PlaceOrder, str], PlaceOrder | None]] = {
    "quantity": _mend_quantity,
    "quote_quantity": _mend_quote_quantity,
    "price": _mend_price,
    "stop_price": _mend_stop_price,
    "time_in_force": _mend_time_in_force,
    "post_only": _mend_post_only,
    "expires_at": _mend_expires_at,
    "client_order_id": lambda _, command, __: command._replace(client_order_id=""),
}
_REPAIRS: dict[type[Rejection], Callable[[ExchangeState, PlaceOrder, Any], PlaceOrder | None]] = {
    errors.InvalidOrder: _well_formed,
    errors.InvalidTick: _on_the_tick,
    errors.InvalidLot: _on_the_lot,
    errors.BelowMinNotional: _worth_more,
    errors.AboveMaxQuantity: _smaller,
    errors.AmountTooLarge: _smaller,
    errors.OutsidePriceBand: _within_the_band,
    errors.StopPriceReached: _next_stop_price,
    errors.ExpiryInPast: _tomorrow,
    errors.PostOnlyWouldTake: _where_it_rests,
    errors.FillOrKillUnfilled: _what_there_is,
    errors.NoLiquidity: _as_a_limit,
    errors.InsufficientFunds: _affordable,
    errors.TooManyOpenOrders: _at_once,
}
