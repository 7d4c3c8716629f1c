"""What travels over `/ws`, both ways."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import orjson
from cryptovault.trading.v1 import trading_pb2 as pb
from pydantic import Field, TypeAdapter, ValidationError

from gateway.edge.json_shape import check_shape
from gateway.errors import PublicError, error_of_problem
from gateway.schemas.fields import RULES, TOKEN_PATTERN, MarketSymbol, RequestBody
from gateway.views.times import time_text
from gateway.views.trading import balance_view, fill_view, order_view

PRICES = "prices"
# And the permission that each needs.
PRIVATE_CHANNELS = {"orders": "orders:read", "fills": "orders:read", "balances": "wallet:read"}
BOOK, TRADES = "book", "trades"
MARKET_CHANNELS = (BOOK, TRADES)  # each subscription names one market
CHANNELS = (PRICES, *MARKET_CHANNELS, *PRIVATE_CHANNELS)
_SEQUENCE_MAX = 2**53  # what every client's numbers hold exactly

Channel = Literal["prices", "book", "trades", "orders", "fills", "balances"]


class Authenticate(RequestBody):
    op: Literal["auth"]
    token: Annotated[str, Field(pattern=TOKEN_PATTERN)]


class Subscribe(RequestBody):
    op: Literal["subscribe"]
    channel: Channel
    market: MarketSymbol | None = None
    after: Annotated[int, Field(ge=0, le=_SEQUENCE_MAX)] | None = None


class Unsubscribe(RequestBody):
    op: Literal["unsubscribe"]
    channel: Channel
    market: MarketSymbol | None = None


class Ping(RequestBody):
    op: Literal["ping"]


ClientMessage = Authenticate | Subscribe | Unsubscribe | Ping
_ADAPTER: TypeAdapter[ClientMessage] = TypeAdapter(Annotated[ClientMessage, Field(discriminator="op")])
PONG = '{"op":"pong"}'


def read_message(text: str) -> ClientMessage:
    """PublicError 400 where it is no message of ours."""
    check_shape(text.encode())
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError as error:
        raise error_of_problem(_as_typed(error.errors(include_url=False)[0]), rules=RULES) from None


def _as_typed(problem: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same with the field's name as the client wrote it: pydantic puts the kind of message in front."""
    match problem["type"]:
        case "union_tag_not_found":
            return {**problem, "type": "missing", "loc": ("op",)}
        case "union_tag_invalid":
            expected = {"expected": problem["ctx"]["expected_tags"]}
            return {"type": "literal_error", "loc": ("op",), "ctx": expected, "input": problem["input"]["op"]}
    return {**problem, "loc": problem["loc"][1:]}


def channel_message(channel: str, *, seq: int, kind: Literal["snapshot", "update"], time: str, data: Any) -> str:
    return orjson.dumps({"channel": channel, "seq": seq, "type": kind, "time": time, "data": data}).decode()


def market_message(
    channel: str, market: str, *, seq: int, kind: Literal["snapshot", "update"], time: str, data: Any
) -> str:
    document = {"channel": channel, "market": market, "seq": seq, "type": kind, "time": time, "data": data}
    return orjson.dumps(document).decode()


def event_message(channel: str, event: pb.UserEvent) -> str:
    """One event as a channel's subscriber sees it. `data` is null where the event does not concern the channel: every
    channel of a user counts the same sequence, so a gap shows in each.
    """
    return channel_message(
        channel, seq=event.sequence, kind="update", time=time_text(event.time), data=_concern(channel, event)
    )


def error_message(error: PublicError, request_id: str) -> str:
    return orjson.dumps({"op": "error", "error": error.body(request_id=request_id)}).decode()


def _concern(channel: str, event: pb.UserEvent) -> Any:
    match channel:
        case "orders":
            return order_view(event.order) if event.HasField("order") else None
        case "fills":
            return [fill_view(fill) for fill in event.fills] or None
        case _:
            return [balance_view(balance) for balance in event.balances] or None
