"""Requests as commands of the core: text to numbers, words to enums. What is malformed is refused here."""

from collections.abc import Sequence

from chassis.errors import InvalidArgument
from cryptovault.trading.v1 import trading_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from trading.domain.accounts import Posting
from trading.domain.amounts import parse_amount
from trading.domain.commands import (
    Actor,
    CancelAll,
    CancelOrder,
    HoldTransfer,
    PlaceOrder,
    PostTransfer,
    Transfer,
    VoidTransfer,
)
from trading.domain.errors import UnknownAsset, UnknownMarket
from trading.domain.order_rules import CLIENT_ORDER_ID_LENGTH_MAX, KEY_LENGTH_MAX
from trading.domain.orders import OrderType, Side, TimeInForce
from trading.domain.state import ExchangeState

ORDER_ID_LENGTH = 36  # a UUID
KIND_LENGTH_MAX = 64
REASON_LENGTH_MAX = 500
LEGS_MAX = 50
ACCOUNT_LENGTH_MAX = 64  # `user:` and a UUID
MILLISECONDS_MAX = 253_402_300_799_999  # the year 9999, where times as text end

_SIDES = {side.value: side for side in Side}
_TYPES = {order_type.value: order_type for order_type in OrderType}
_TIMES_IN_FORCE = {time.value: time for time in TimeInForce}
_DEFAULT_TIME_IN_FORCE = {OrderType.MARKET: TimeInForce.IOC, OrderType.LIMIT: TimeInForce.GTC}


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
        raise InvalidArgument("A side is buy or sell.", field="side", rule="one_of", allowed="buy, sell")
    order_type = _TYPES.get(request.type)
    if order_type is None:
        raise InvalidArgument("Orders are market or limit.", field="type", rule="one_of", allowed=", ".join(_TYPES))
    if request.stop_price:
        raise InvalidArgument("Only a stop order has a stop price.", field="stop_price", rule="only_for_stop_orders")
    if request.HasField("expires_at"):
        raise InvalidArgument("Only a gtd order expires.", field="expires_at", rule="only_for_gtd")
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
    )


def cancel_order(request: trading_pb2.CancelOrder, actor: Actor, idempotency_key: str) -> CancelOrder:
    if len(request.order_id) != ORDER_ID_LENGTH:
        raise InvalidArgument("An order id is a UUID.", field="order_id", rule="uuid")
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
        _milliseconds(request.expires_at, "expires_at") if request.HasField("expires_at") else 0,
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


def _milliseconds(time: Timestamp, field: str) -> int:
    milliseconds = time.seconds * 1000 + time.nanos // 1_000_000
    if not 0 < milliseconds <= MILLISECONDS_MAX:
        raise InvalidArgument("There is no such time.", field=field, rule="range")
    return milliseconds


def _time_in_force(text: str, order_type: OrderType) -> TimeInForce:
    if not text:
        return _DEFAULT_TIME_IN_FORCE[order_type]
    known = _TIMES_IN_FORCE.get(text)
    if known is None:
        raise InvalidArgument(
            "The time in force is gtc, ioc or fok.", field="time_in_force", rule="one_of", allowed="gtc, ioc, fok"
        )
    return known


def _printable(text: str, field: str, length_max: int) -> str:
    if len(text) > length_max or not (text.isascii() and text.isprintable()):
        raise InvalidArgument(
            f"At most {length_max} printable ASCII characters.", field=field, rule="printable", limit=str(length_max)
        )
    return text
