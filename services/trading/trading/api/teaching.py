"""What a refused order's caller is told beside the rule: `suggested`, an order's whole body (JSON, in the public names)
that would be accepted now, or in `no_suggestion` why there is none.
"""

from typing import Any

import orjson
from chassis.errors import ServiceError
from chassis.logs import get_logger
from cryptovault.trading.v1 import trading_pb2

from trading.api import parsing
from trading.domain.amounts import SCALE_MAX, format_amount
from trading.domain.commands import Actor, AmendOrder, PlaceOrder
from trading.domain.errors import IdempotencyKeyReused, InvalidLot, InvalidTick, Rejection, TooManyDecimals
from trading.domain.markets import Market
from trading.domain.moments import moment_text
from trading.domain.state import ExchangeState
from trading.domain.suggest_amendment import suggest_amendment
from trading.domain.suggestions import WHY_NONE, WHY_NONE_DEFAULT, suggest_order

_TEXTS_MAX = 5  # the fields of an order that hold a number

log = get_logger(__name__)


def teach(
    error: Rejection,
    request: trading_pb2.PlaceOrder | trading_pb2.AmendOrder,
    state: ExchangeState,
    actor: Actor,
) -> None:
    """Adds to the refusal's details; `state` is what the request would meet if it came again now. Never raises."""
    if isinstance(error, IdempotencyKeyReused):
        # Whatever the body, the key that comes with it is taken.
        error.details["no_suggestion"] = WHY_NONE[error.reason]
        return
    try:
        if isinstance(request, trading_pb2.PlaceOrder):
            suggested = _suggest_order(request, state, actor)
        else:
            suggested = _suggest_amendment(request, state, actor)
    except Exception:
        # The refusal stands without it, and whoever waits for the refusal must not suffer.
        log.exception("No suggestion could be made", event="suggestion_failed", reason=error.reason)
        return
    if isinstance(suggested, str):
        error.details["no_suggestion"] = suggested
    else:
        error.details["suggested"] = orjson.dumps(suggested).decode()


def _suggest_order(request: trading_pb2.PlaceOrder, state: ExchangeState, actor: Actor) -> dict[str, Any] | str:
    given = trading_pb2.PlaceOrder()
    given.CopyFrom(request)
    for _ in range(_TEXTS_MAX):
        try:
            command = parsing.place_order(given, state, actor, "")
        except (InvalidTick, InvalidLot, TooManyDecimals) as refusal:
            # Digits beyond what the market counts in: as text, before there is an amount to mend.
            setattr(given, refusal.details["field"], refusal.details["nearest"])
        except ServiceError as refusal:
            return WHY_NONE.get(refusal.reason, WHY_NONE_DEFAULT)
        else:
            suggested = suggest_order(state, command)
            return suggested if isinstance(suggested, str) else _order_body(suggested, state)
    return WHY_NONE_DEFAULT


def _suggest_amendment(request: trading_pb2.AmendOrder, state: ExchangeState, actor: Actor) -> dict[str, Any] | str:
    given = trading_pb2.AmendOrder()
    given.CopyFrom(request)
    for _ in range(_TEXTS_MAX):
        try:
            command = parsing.amend_order(given, actor, "")
        except TooManyDecimals as refusal:
            setattr(given, refusal.details["field"], refusal.details["nearest"])
        except ServiceError as refusal:
            return WHY_NONE.get(refusal.reason, WHY_NONE_DEFAULT)
        else:
            suggested = suggest_amendment(state, command)
            return suggested if isinstance(suggested, str) else _amendment_body(suggested)
    return WHY_NONE_DEFAULT


def _order_body(command: PlaceOrder, state: ExchangeState) -> dict[str, Any]:
    market: Market = state.markets[command.market].market
    body: dict[str, Any] = {
        "market": command.market,
        "side": command.side.value,
        "type": command.order_type.value,
        "time_in_force": command.time_in_force.value,
    }
    if command.quantity:
        body["quantity"] = market.quantity_text(command.quantity)
    if command.quote_quantity:
        body["quote_quantity"] = market.quote_text(command.quote_quantity)
    if command.price:
        body["price"] = market.price_text(command.price)
    if command.stop_price:
        body["stop_price"] = market.price_text(command.stop_price)
    if command.expires_milliseconds:
        body["expires_at"] = moment_text(command.expires_milliseconds)
    if command.post_only:
        body["post_only"] = True
    if command.client_order_id:
        body["client_order_id"] = command.client_order_id
    return body


def _amendment_body(command: AmendOrder) -> dict[str, Any]:
    figures = (("price", command.price), ("quantity", command.quantity))
    return {name: format_amount(amount, SCALE_MAX) for name, amount in figures if amount}
