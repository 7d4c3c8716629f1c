"""Requests as commands of the core: text to numbers, words to enums. What is malformed is refused here."""

from collections.abc import Sequence

from chassis.errors import InvalidArgument
from cryptovault.trading.v1 import trading_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from trading.domain.accounts import Posting
from trading.domain.amounts import SCALE_MAX, parse_amount, parse_at_largest_scale
from trading.domain.commands import (
    Actor,
    AmendOrder,
    CancelAll,
    CancelOrder,
    HoldTransfer,
    PlaceOrder,
    PostTransfer,
    Transfer,
    VoidTransfer,
)
from trading.domain.errors import ExpiryInPast, UnknownAsset, UnknownMarket
from trading.domain.moments import MOMENT_MAX, moment_text
from trading.domain.order_rules import CLIENT_ORDER_ID_LENGTH_MAX, KEY_LENGTH_MAX, POSITIVE
from trading.domain.orders import OrderType, Side, TimeInForce
from trading.domain.state import ExchangeState

ORDER_ID_LENGTH = 36  # a UUID
KIND_LENGTH_MAX = 64
REASON_LENGTH_MAX = 500
LEGS_MAX = 50
ACCOUNT_LENGTH_MAX = 64  # `user:` and a UUID
_NANOS_PER_SECOND = 1_000_000_000

_SIDES = {side.value: side for side in Side}
_TYPES = {order_type.value: order_type for order_type in OrderType}
_TIMES_IN_FORCE = {time.value: time for time in TimeInForce}


def place_order(
    request: trading_pb2.PlaceOrder, state: ExchangeState, actor: Actor, idempotency_key: str
) -> PlaceOrder:
    """Raises `ServiceError`: a field is malformed, or there is no such market."""
    market_state = state.markets.get(request.market)
    if market_state is None:
        raise UnknownMarket(market=request.market)
    market = market_state.market
    side = _SIDES.get(request.side)
    if side is None:
        raise InvalidArgument("A side is buy or sell.", field="side", rule="one_of", limit="buy, sell")
    order_type = _TYPES.get(request.type)
    if order_type is None:
        limit = ", ".join(_TYPES)
        raise InvalidArgument("There is no such type of order.", field="type", rule="one_of", limit=limit)
    return PlaceOrder(
        actor,
        request.market,
        side,
        order_type,
        _time_in_force(request.time_in_force, order_type),
        market.quantity_from_text(request.quantity) if request.quantity else 0,
        market.quote_from_text(request.quote_quantity) if request.quote_quantity else 0,
        market.price_from_text(request.price) if request.price else 0,
        request.post_only,
        _printable(request.client_order_id, "client_order_id", CLIENT_ORDER_ID_LENGTH_MAX),
        _printable(idempotency_key, "idempotency_key", KEY_LENGTH_MAX),
        market.price_from_text(request.stop_price, "stop_price") if request.stop_price else 0,
        _expiry(request.expires_at, state) if request.HasField("expires_at") else 0,
    )


def amend_order(request: trading_pb2.AmendOrder, actor: Actor, idempotency_key: str) -> AmendOrder:
    _check_order_id(request.order_id)
    price, price_scale = _positive(request.price, "price")
    quantity, quantity_scale = _positive(request.quantity, "quantity")
    key = _printable(idempotency_key, "idempotency_key", KEY_LENGTH_MAX)
    return AmendOrder(actor, request.order_id, price, quantity, key, price_scale, quantity_scale)


def cancel_order(request: trading_pb2.CancelOrder, actor: Actor, idempotency_key: str) -> CancelOrder:
    _check_order_id(request.order_id)
    return CancelOrder(actor, request.order_id, _printable(idempotency_key, "idempotency_key", KEY_LENGTH_MAX))


def cancel_orders(request: trading_pb2.CancelOrders, actor: Actor, idempotency_key: str) -> CancelAll:
    return CancelAll(actor, request.market, _printable(idempotency_key, "idempotency_key", KEY_LENGTH_MAX))


def transfer(request: trading_pb2.TransferRequest, state: ExchangeState, actor: Actor) -> Transfer:
    return Transfer(
        actor,
        _printable(request.business_key, "business_key", KEY_LENGTH_MAX),
        _printable(request.kind, "kind", KIND_LENGTH_MAX),
        _postings(request.legs, state),
        request.reason[:REASON_LENGTH_MAX],
    )


def hold_transfer(request: trading_pb2.HoldTransferRequest, state: ExchangeState, actor: Actor) -> HoldTransfer:
    return HoldTransfer(
        actor,
        _printable(request.business_key, "business_key", KEY_LENGTH_MAX),
        _printable(request.kind, "kind", KIND_LENGTH_MAX),
        _postings(request.legs, state),
        milliseconds_of_timestamp(request.expires_at, "expires_at") if request.HasField("expires_at") else 0,
        request.reason[:REASON_LENGTH_MAX],
    )


def post_transfer(request: trading_pb2.PostTransferRequest, state: ExchangeState, actor: Actor) -> PostTransfer:
    return PostTransfer(
        actor,
        _printable(request.business_key, "business_key", KEY_LENGTH_MAX),
        _printable(request.hold_key, "hold_key", KEY_LENGTH_MAX),
        _postings(request.legs, state) if request.legs else (),
        request.reason[:REASON_LENGTH_MAX],
    )


def void_transfer(request: trading_pb2.VoidTransferRequest, actor: Actor) -> VoidTransfer:
    return VoidTransfer(
        actor,
        _printable(request.business_key, "business_key", KEY_LENGTH_MAX),
        _printable(request.hold_key, "hold_key", KEY_LENGTH_MAX),
        request.reason[:REASON_LENGTH_MAX],
    )


def _postings(legs: Sequence[trading_pb2.TransferLeg], state: ExchangeState) -> tuple[Posting, ...]:
    """Legs of one account and asset are added up: the core takes one posting for each."""
    if not 1 <= len(legs) <= LEGS_MAX:
        raise InvalidArgument("A transfer has at least one leg.", field="legs", rule="length", limit=str(LEGS_MAX))
    sums: dict[tuple[str, str], int] = {}
    for leg in legs:
        asset = state.assets.get(leg.asset)
        if asset is None:
            raise UnknownAsset(asset=leg.asset)
        amount = parse_amount(leg.amount, asset.scale, field="amount")
        if amount == 0:
            raise InvalidArgument("A leg moves something.", field="amount", rule="positive")
        for owner, change in ((leg.debit_account, -amount), (leg.credit_account, amount)):
            account = _printable(owner, "account", ACCOUNT_LENGTH_MAX)
            sums[account, leg.asset] = sums.get((account, leg.asset), 0) + change
    return tuple(Posting(owner, asset, amount) for (owner, asset), amount in sums.items() if amount)


def _time_in_force(text: str, order_type: OrderType) -> TimeInForce:
    if not text:
        return TimeInForce.IOC if order_type is OrderType.MARKET else TimeInForce.GTC
    known = _TIMES_IN_FORCE.get(text)
    if known is None:
        limit = ", ".join(_TIMES_IN_FORCE)
        raise InvalidArgument("There is no such time in force.", field="time_in_force", rule="one_of", limit=limit)
    return known


def _positive(text: str, field: str) -> tuple[int, int]:
    """An amount, and the largest scale at which it fits; 0 where there is none."""
    if not text:
        return 0, SCALE_MAX
    amount, scale = parse_at_largest_scale(text, field=field)
    if not amount:
        raise InvalidArgument("The number must be above zero.", field=field, rule="positive", limit=POSITIVE)
    return amount, scale


def _expiry(moment: Timestamp, state: ExchangeState) -> int:
    if moment.seconds * 1_000 + moment.nanos // 1_000_000 <= 0:
        # Before 1970, which is as past as yesterday.
        raise ExpiryInPast(limit=moment_text(state.batch_milliseconds), given=text_of_timestamp(moment))
    return milliseconds_of_timestamp(moment, "expires_at")


def text_of_timestamp(moment: Timestamp) -> str:
    """Of any, also one that no calendar has."""
    try:
        return moment.ToJsonString()
    except ValueError:
        return f"{moment.seconds} s {moment.nanos} ns since 1970"


def milliseconds_of_timestamp(moment: Timestamp, field: str, *, earliest: int = 1) -> int:
    """Since 1970. What is within a millisecond counts as its beginning: nothing lives longer than was said.

    Raises `InvalidArgument` for what is before `earliest` or after the year 9999. 1970's own first millisecond is
    nobody's expiry: 0 says there that there is none.
    """
    milliseconds = moment.seconds * 1_000 + moment.nanos // 1_000_000
    if not (earliest <= milliseconds <= MOMENT_MAX and 0 <= moment.nanos < _NANOS_PER_SECOND):
        raise InvalidArgument(
            "There is no such moment.",
            field=field, rule="range", limit=moment_text(earliest if milliseconds < earliest else MOMENT_MAX),
            given=text_of_timestamp(moment),
        )  # fmt: skip
    return milliseconds


def _check_order_id(order_id: str) -> None:
    if len(order_id) != ORDER_ID_LENGTH:
        raise InvalidArgument("An order id is a UUID.", field="order_id", rule="uuid", limit="a UUID")


def _printable(text: str, field: str, length_max: int) -> str:
    if len(text) > length_max or not (text.isascii() and text.isprintable()):
        raise InvalidArgument(
            f"At most {length_max} printable ASCII characters.", field=field, rule="printable", limit=str(length_max)
        )
    return text
