"""What a refused order's caller is told beside the rule: `suggested`, an order's whole body (JSON, in the public names)
that would be accepted now, or in `no_suggestion` why there is none.
"""

from copy import deepcopy
from typing import Any

import orjson
from chassis.errors import InvalidArgument, ServiceError
from chassis.logs import get_logger
from cryptovault.trading.v1 import trading_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from trading.api import parsing
from trading.domain.amounts import format_amount
from trading.domain.commands import Actor, AmendOrder, PlaceOrder
from trading.domain.errors import ClientOrderIdReused, IdempotencyKeyReused, Rejection
from trading.domain.markets import Market
from trading.domain.moments import moment_text
from trading.domain.order_rules import EITHER
from trading.domain.state import ExchangeState
from trading.domain.suggest_amendment import suggest_amendment
from trading.domain.suggestions import WHY_NONE, WHY_NONE_DEFAULT, suggest_order

_TEXTS_MAX = 6  # the fields of an order that hold a number or a moment, and the order itself
_GIVEN_LENGTH_MAX = 64
_UNCLEAR = "What is meant by {} is not clear; nobody else can say it."

log = get_logger(__name__)


def teach(
    error: Rejection | InvalidArgument,
    request: trading_pb2.PlaceOrder | trading_pb2.AmendOrder,
    state: ExchangeState,
    actor: Actor,
) -> None:
    """Adds to the refusal's details; `state` is what the request would meet if it came again now. Never raises."""
    _say_what_was_given(error, request)
    if isinstance(error, IdempotencyKeyReused):
        # Whatever the body, the key that comes with it is taken.
        error.details["no_suggestion"] = WHY_NONE[error.reason]
        return
    try:
        suggested = _suggest(request, state, actor)
    except Exception:
        # The refusal stands without it, and whoever waits for the refusal must not suffer.
        log.exception("No suggestion could be made", event="suggestion_failed", reason=error.reason)
        return
    if isinstance(error, ClientOrderIdReused) and not isinstance(suggested, str):
        # The id has left memory, which would take the order; its row, which has not, refuses that one too.
        suggested = WHY_NONE[error.reason]
    if isinstance(suggested, str):
        error.details["no_suggestion"] = suggested
    else:
        error.details["suggested"] = orjson.dumps(suggested).decode()


def _say_what_was_given(error: ServiceError, request: trading_pb2.PlaceOrder | trading_pb2.AmendOrder) -> None:
    """As it came, where the rule itself does not say: the core knows numbers, not their text."""
    field = error.details.get("field", "")
    if error.details.get("rule") == EITHER and _is_by_amount(request):
        field = error.details["field"] = "quote_quantity"
    if "given" in error.details or field not in request.DESCRIPTOR.fields_by_name:
        return
    value = getattr(request, field)
    if isinstance(value, Timestamp):
        text = parsing.text_of_timestamp(value) if value.ByteSize() else ""
    else:
        text = value if isinstance(value, str) else str(value).lower()
    error.details["given"] = text[:_GIVEN_LENGTH_MAX] or "none"


def _is_by_amount(request: trading_pb2.PlaceOrder | trading_pb2.AmendOrder) -> bool:
    return isinstance(request, trading_pb2.PlaceOrder) and bool(request.quote_quantity) and not request.quantity


def _suggest(
    request: trading_pb2.PlaceOrder | trading_pb2.AmendOrder, state: ExchangeState, actor: Actor
) -> dict[str, Any] | str:
    """A body, or why there is none."""
    given = deepcopy(request)
    for _ in range(_TEXTS_MAX):
        try:
            if isinstance(given, trading_pb2.PlaceOrder):
                command = parsing.place_order(given, state, actor, "")
                if _is_by_amount(given) and not command.quote_quantity:
                    command = command._replace(quote_quantity=1)  # near an amount of zero are orders by amount
                order = suggest_order(state, command)
                return order if isinstance(order, str) else _order_body(order, state)
            amendment = suggest_amendment(state, parsing.amend_order(given, actor, ""))
            return amendment if isinstance(amendment, str) else _amendment_body(amendment)
        except (Rejection, InvalidArgument) as refusal:
            if not _mend_text(given, refusal):
                unclear = _UNCLEAR.format(refusal.details.get("field", ""))
                return WHY_NONE.get(refusal.reason, unclear)
    return WHY_NONE_DEFAULT


def _mend_text(given: trading_pb2.PlaceOrder | trading_pb2.AmendOrder, refusal: ServiceError) -> bool:
    """What stands in the way before there is a command to mend: digits and moments beyond what can be counted."""
    details = refusal.details
    field = details.get("field", "")
    if isinstance(given, trading_pb2.PlaceOrder) and field == "expires_at":
        # No moment that can be counted becomes one that is over: the rule that comes after this one knows a better one.
        given.expires_at.FromMilliseconds(1)
    elif "nearest" in details:
        setattr(given, field, details["nearest"])
    elif details.get("rule") == "positive":
        setattr(given, field, "")  # an amendment's figure: as it is
    else:
        return False
    return True


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
    figures = (
        ("price", command.price, command.price_scale),
        ("quantity", command.quantity, command.quantity_scale),
    )
    return {name: format_amount(amount, scale) for name, amount, scale in figures if amount}
