"""What would happen, and what would be accepted, asked and answered over real gRPC."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from chassis.errors import ErrorKind, RemoteError
from chassis.identity import Caller, use_caller
from chassis.mongo import MongoDatabase
from chassis.testing import eventually
from cryptovault.trading.v1 import trading_pb2
from exchange_over_grpc import Exchange, running_exchange
from shell_factory import PRICE, UNIT, actor
from trading.api.teaching import teach
from trading.domain.errors import ClientOrderIdReused
from trading.domain.queries import orders_are_due
from trading.domain.snapshot import state_hash
from trading.storage.journal import MongoJournal

ANN = Caller("gateway", "ann", "session", "request-1", "203.0.113.7")
LIMIT = str(PRICE // UNIT)
place = trading_pb2.PlaceOrder


@pytest.fixture
async def exchange(mongo_journal: MongoJournal, mongo_database: MongoDatabase) -> AsyncIterator[Exchange]:
    async with running_exchange(mongo_journal, mongo_database) as exchange:
        yield exchange


async def preview(exchange: Exchange, order: trading_pb2.PlaceOrder) -> trading_pb2.PreviewOrderResponse:
    with use_caller(ANN):
        answer: trading_pb2.PreviewOrderResponse = await exchange.trading.PreviewOrder(
            trading_pb2.PreviewOrderRequest(order=order), timeout=5
        )
    return answer


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "market", "side": "buy", "quote_quantity": "500"},
        {"type": "market", "side": "buy", "quantity": "0.01"},
        {"type": "limit", "side": "buy", "quantity": "0.01", "price": LIMIT},
        {"type": "limit", "side": "buy", "quantity": "3", "price": str(PRICE // UNIT + 60), "time_in_force": "ioc"},
        {"type": "stop", "side": "buy", "quantity": "0.01", "stop_price": str(PRICE // UNIT + 500)},
    ],
)
async def test_a_preview_says_what_the_order_then_does_and_changes_nothing(
    exchange: Exchange, fields: dict[str, str]
) -> None:
    await exchange.pay("ann", "1000000", "practice:ann")
    order = place(market="BTC-USD", client_order_id="mine", **fields)
    before, batch = state_hash(exchange.shell.state), exchange.shell.state.batch_number
    shown = await preview(exchange, order)
    assert await preview(exchange, order) == shown
    assert (state_hash(exchange.shell.state), exchange.shell.state.batch_number) == (before, batch)
    (answer,) = await exchange.ask(exchange.request("ann", "k", place_order=order))
    real = answer.result
    assert not shown.goes_on
    assert list(shown.balances) == list(real.balances)
    for field in ("id", "created_at", "updated_at", "filled_at", "batch"):
        real.order.ClearField(field)
    assert shown.order == real.order
    for fill in real.fills:
        for field in ("id", "order_id", "time"):
            fill.ClearField(field)
    assert list(shown.fills) == list(real.fills)


async def test_a_preview_stands_around_the_newest_tick(exchange: Exchange) -> None:
    await exchange.pay("ann", "100000", "practice:ann")
    order = place(market="BTC-USD", type="market", side="buy", quantity="0.01")
    first = await preview(exchange, order)
    exchange.shell.tick(PRICE + 1_000 * UNIT)
    second = await preview(exchange, order)
    assert float(second.fills[0].price) - float(first.fills[0].price) > 990


async def test_a_preview_waits_for_what_is_due_before_it_as_the_order_does(exchange: Exchange) -> None:
    """Anybody's expiry, in any market, comes before whatever may trade."""
    await exchange.pay("ann", "100000", "practice:ann")
    soon = place(market="BTC-USD", type="limit", side="buy", quantity="0.01", price="59000", time_in_force="gtd")
    soon.expires_at.FromMilliseconds(exchange.shell.now + 300)
    (placed,) = await exchange.ask(exchange.request("ann", "k", place_order=soon))
    assert placed.result.order.status == "open"
    await eventually(lambda: orders_are_due(exchange.shell.state, exchange.shell.now))
    shown = await preview(exchange, place(market="BTC-USD", type="market", side="buy", quantity="0.01"))
    assert shown.order.status == "filled"
    assert not exchange.shell.state.orders


async def test_what_no_other_body_mends_says_so_with_its_rule_limit_and_given(exchange: Exchange) -> None:
    await exchange.pay("ann", "1000", "practice:ann")
    order = place(market="BTC-USD", side="buy", type="limit", quantity="0.01", price="59000", client_order_id="mine")
    await exchange.ask(exchange.request("ann", "k", place_order=order))
    order.quantity = "0.02"
    unknown = trading_pb2.AmendOrder(order_id="0" * 36, quantity="0.01")
    nameless = trading_pb2.AmendOrder(order_id="1", quantity="0.01")
    for request, reason, given in (
        (exchange.request("ann", "k", place_order=order), "idempotency_key_reused", "k"),
        (exchange.request("ann", "", place_order=order), "client_order_id_reused", "mine"),
        (exchange.request("ann", "u", amend_order=unknown), "order_not_open", "0" * 36),
        (exchange.request("ann", "n", amend_order=nameless), "invalid_argument", "1"),
    ):
        (answer,) = await exchange.ask(request)
        details = answer.failure.details
        assert (answer.failure.reason, details["given"], "suggested" in details) == (reason, given, False)
        assert all(details[name] for name in ("rule", "limit", "no_suggestion"))


async def test_under_a_key_that_is_taken_no_body_is_suggested(exchange: Exchange) -> None:
    await exchange.pay("ann", "1000", "practice:ann")
    order = place(market="BTC-USD", side="buy", type="limit", quantity="0.01", price="59000")
    await exchange.ask(exchange.request("ann", "k", place_order=order))
    order.quantity = "0.02"
    (answer,) = await exchange.ask(exchange.request("ann", "k", place_order=order))
    assert answer.failure.reason == "idempotency_key_reused"
    assert "suggested" not in answer.failure.details
    assert "key of its own" in answer.failure.details["no_suggestion"]


async def test_of_a_client_order_id_that_memory_has_forgotten_no_body_is_suggested(exchange: Exchange) -> None:
    """The rows know it: the order would be refused again, though memory would take it."""
    await exchange.pay("ann", "1000", "practice:ann")
    order = place(market="BTC-USD", side="buy", type="limit", quantity="0.01", price="59000", client_order_id="mine")
    refusal = ClientOrderIdReused(client_order_id="mine", order_id="first")
    teach(refusal, order, exchange.shell.sequencer.as_next_batch("BTC-USD"), actor("ann"))
    assert "suggested" not in refusal.details
    assert "id of its own" in refusal.details["no_suggestion"]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"type": "limit", "quantity": "1", "price": LIMIT}, "insufficient_funds"),
    ({"type": "limit", "quantity": "0.0100001", "price": LIMIT}, "invalid_lot"),
    ({"type": "limit", "quantity": "0.01", "price": "59999.123456789123"}, "invalid_tick"),
    ({"type": "market", "quote_quantity": "12.123456789"}, "too_many_decimals"),
    ({"type": "limit", "quantity": "0.01", "price": "20000"}, "price_band"),
    ({"type": "limit", "quantity": "0.000001", "price": LIMIT}, "below_min_notional"),
    ({"type": "market", "quantity": "100"}, "above_max_quantity"),
    ({"type": "limit", "quantity": "0.01", "price": str(PRICE // UNIT + 100), "post_only": True},
     "post_only_would_take"),
    ({"type": "limit", "quantity": "0.01", "price": "59000", "time_in_force": "fok"}, "fill_or_kill_unfilled"),
    ({"type": "stop", "quantity": "0.01", "stop_price": "59000"}, "stop_price_reached"),
    ({"type": "stop", "quantity": "0.01"}, "invalid_order"),
    ({"type": "limit", "quantity": "0.01", "price": LIMIT, "time_in_force": "gtd", "expires_at": {"seconds": 1}},
     "expiry_in_past"),
    ({"type": "limit", "quantity": "0.01", "price": LIMIT, "expires_at": {"seconds": 4_000_000_000}}, "invalid_order"),
    ({"type": "market", "quantity": "0.01", "time_in_force": "gtc"}, "invalid_order"),
    ({"type": "limit", "quantity": "999999999999999999", "price": LIMIT}, "invalid_argument"),
    ({"type": "limit", "quantity": "0.01", "price": "92233720369"}, "invalid_argument"),
    ({"type": "limit", "quantity": "0.01", "price": LIMIT, "time_in_force": "gtd", "expires_at": {"seconds": -1}},
     "expiry_in_past"),
    ({"type": "limit", "quantity": "0.01", "price": LIMIT, "time_in_force": "gtd", "expires_at": {"seconds": 0}},
     "expiry_in_past"),
    ({"type": "limit", "quantity": "0.01", "price": LIMIT, "time_in_force": "gtd",
      "expires_at": {"seconds": 253_402_300_800}}, "invalid_argument"),
    ({"type": "limit", "quantity": "0.01", "price": LIMIT, "time_in_force": "gtd", "expires_at": {"seconds": -(2**62)}},
     "expiry_in_past"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "reason"), REFUSED)
async def test_a_refused_order_and_its_preview_suggest_the_same_body_and_it_is_accepted(
    exchange: Exchange, fields: dict[str, Any], reason: str
) -> None:
    await exchange.pay("ann", "1000", "practice:ann")
    order = place(market="BTC-USD", side="buy", **fields)
    with pytest.raises(RemoteError) as caught:
        await preview(exchange, order)
    (answer,) = await exchange.ask(exchange.request("ann", "k", place_order=order))
    assert (answer.failure.reason, caught.value.reason) == (reason, reason)
    details = dict(answer.failure.details)
    assert "no_suggestion" not in details
    assert {"rule", "limit", "given"} <= details.keys() & caught.value.details.keys()
    suggested = json.loads(details["suggested"])
    assert json.loads(caught.value.details["suggested"]).keys() == suggested.keys()
    expires = suggested.pop("expires_at", None)
    again = place(**suggested)
    if expires is not None:
        again.expires_at.FromJsonString(expires)
    (accepted,) = await exchange.ask(exchange.request("ann", "k2", place_order=again))
    assert accepted.result.order.status in {"new", "open", "partially_filled", "filled", "cancelled"}, accepted


@pytest.mark.parametrize(
    ("fields", "field", "given", "mended"),
    [
        ({"type": "market", "quote_quantity": "0"}, "quote_quantity", "0", "quote_quantity"),
        ({"type": "stop", "quote_quantity": "0.00", "stop_price": "61000"}, "quote_quantity", "0.00", "quote_quantity"),
        ({"type": "market", "quantity": "0"}, "quantity", "0", "quantity"),
        ({"type": "market", "quantity": "0", "quote_quantity": "0"}, "quantity", "0", "quantity"),
        ({"type": "market"}, "quantity", "none", "quantity"),
        ({"type": "market", "quote_quantity": "90000000"}, "quote_quantity", "90000000", "quote_quantity"),
    ],
)
async def test_a_refusal_names_the_field_that_was_sent_and_the_suggestion_keeps_to_it(
    exchange: Exchange, fields: dict[str, Any], field: str, given: str, mended: str
) -> None:
    await exchange.pay("ann", "20000000", "practice:ann")
    with pytest.raises(RemoteError) as refusal:
        await preview(exchange, place(market="BTC-USD", side="buy", **fields))
    details = refusal.value.details
    assert (details["field"], details["given"]) == (field, given)
    suggested = json.loads(details["suggested"])
    assert {"quantity", "quote_quantity"} & suggested.keys() == {mended}
    assert (await preview(exchange, place(**suggested))).order.status in {"new", "filled", "cancelled"}


@pytest.mark.parametrize(
    ("fields", "kind", "reason"),
    [
        ({"market": "XXX-USD", "type": "limit", "quantity": "1", "price": "1"}, ErrorKind.NOT_FOUND, "unknown_market"),
        ({"market": "ETH-USD", "type": "limit", "quantity": "1", "price": "1"}, ErrorKind.UNAVAILABLE, "stale_price"),
        ({"market": "BTC-USD", "type": "limit", "quantity": "1", "price": LIMIT}, ErrorKind.REJECTED,
         "insufficient_funds"),
        ({"market": "BTC-USD", "type": "limit", "quantity": "x" * 65, "price": "1"}, ErrorKind.INVALID,
         "invalid_argument"),
        ({"market": "BTC-USD", "type": "iceberg", "quantity": "1"}, ErrorKind.INVALID, "invalid_argument"),
        ({"market": "BTC-USD", "type": "limit", "quantity": "1", "time_in_force": "day"}, ErrorKind.INVALID,
         "invalid_argument"),
        ({"market": "BTC-USD", "type": "market", "quantity": "1", "client_order_id": "\n"}, ErrorKind.INVALID,
         "invalid_argument"),
    ],
)  # fmt: skip
async def test_where_there_is_nothing_to_suggest_it_says_why(
    exchange: Exchange, fields: dict[str, Any], kind: ErrorKind, reason: str
) -> None:
    with pytest.raises(RemoteError) as caught:
        await preview(exchange, place(side="buy", **fields))
    assert (caught.value.kind, caught.value.reason) == (kind, reason)
    assert "suggested" not in caught.value.details
    assert caught.value.details["no_suggestion"]
    assert {"rule", "limit", "given"} <= caught.value.details.keys()
    assert len(caught.value.details["given"]) <= 64


async def test_a_refused_amendment_suggests_figures_that_are_accepted(exchange: Exchange) -> None:
    await exchange.pay("ann", "1000", "practice:ann")
    order = place(market="BTC-USD", side="buy", type="limit", quantity="0.01", price="59000")
    (placed,) = await exchange.ask(exchange.request("ann", "k", place_order=order))
    order_id = placed.result.order.id
    refused: tuple[dict[str, str], ...] = (
        {"quantity": "0.5"}, {"price": "58999.123"}, {"price": "1"}, {"quantity": "999999999999999999"},
        {"quantity": "0"}, {"price": "58000", "quantity": "0"},
    )  # fmt: skip
    for number, figures in enumerate(refused):
        amend = trading_pb2.AmendOrder(order_id=order_id, **figures)
        (answer,) = await exchange.ask(exchange.request("ann", f"a{number}", amend_order=amend))
        assert {"rule", "limit", "given"} <= answer.failure.details.keys()
        suggested = json.loads(answer.failure.details["suggested"])
        assert suggested.keys() == {name for name, figure in figures.items() if figure != "0"} or {"quantity"}
        amend = trading_pb2.AmendOrder(order_id=order_id, **suggested)
        (answer,) = await exchange.ask(exchange.request("ann", f"b{number}", amend_order=amend))
        assert answer.result.order.status == "open", answer
