"""Orders over the one stream: translated exactly, once each, whatever breaks on the way."""

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
from chassis.errors import ErrorKind, RemoteError
from chassis.testing import eventually
from cryptovault.trading.v1 import trading_pb2
from facts import ORDER, SESSION, USER
from gateway.schemas import trading as schemas
from replies import checked

if TYPE_CHECKING:
    from conftest import Running

PATH = "/api/v1/orders"
OTHER_ORDER = "01890000-0000-7000-8000-0000000000fe"
BODY: dict[str, Any] = {"market": "BTC-USD", "side": "buy", "type": "limit", "quantity": "0.5", "price": "50000"}


async def test_an_order_reaches_the_exchange_as_it_was_sent(up: "Running") -> None:
    body = {
        **BODY, "type": "stop_limit", "stop_price": "49999.99", "time_in_force": "gtd", "post_only": True,
        "client_order_id": "mine-1", "expires_at": "2030-01-02T03:04:05.678Z", "quote_quantity": None,
    }  # fmt: skip
    headers = {**up.bearer(), "Idempotency-Key": "key 1", "X-Request-ID": "r-1"}
    before = time.time()
    reply = await up.client.post(PATH, json=body, headers=headers)
    assert reply.status_code == 201, reply.text
    schemas.PlacedOrder.model_validate_json(reply.content)
    (request,) = up.platform.trading.commands
    assert request.idempotency_key == "key 1"
    assert request.principal == trading_pb2.Principal(
        user_id=USER, session_id=SESSION, request_id="r-1", address="127.0.0.1"
    )
    assert 0 < request.deadline_milliseconds - before * 1000 <= 3_000
    command = request.place_order
    assert command.expires_at.ToJsonString() == "2030-01-02T03:04:05.678Z"
    command.ClearField("expires_at")
    assert command == trading_pb2.PlaceOrder(
        market="BTC-USD", side="buy", type="stop_limit", quantity="0.5", price="50000", stop_price="49999.99",
        time_in_force="gtd", post_only=True, client_order_id="mine-1",
    )  # fmt: skip


async def test_the_reply_holds_fills_fees_and_balances(up: "Running") -> None:
    reply = (await up.client.post(PATH, json=BODY, headers=up.bearer())).json()
    assert reply["id"] == ORDER
    assert reply["created_at"] == "2026-01-01T00:00:00.123Z"
    assert reply["filled_at"] is None
    assert reply["fills"][0]["fee"] == "25"
    assert reply["balances"] == [{"asset": "USD", "available": "9975", "held": "25000"}]


async def test_a_repeat_says_that_it_is_one(up: "Running") -> None:
    headers = {**up.bearer(), "Idempotency-Key": "k"}
    first = await up.client.post(PATH, json=BODY, headers=headers)
    again = await up.client.post(PATH, json=BODY, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"


async def test_orders_without_a_key_are_separate_commands(up: "Running") -> None:
    await up.client.post(PATH, json=BODY, headers=up.bearer())
    await up.client.post(PATH, json=BODY, headers=up.bearer())
    keys = [command.idempotency_key for command in up.platform.trading.commands]
    assert len(set(keys)) == 2


async def test_without_a_key_the_client_order_id_marks_the_repeat(up: "Running") -> None:
    """A key of the gateway's own would make another order of it."""
    body = {**BODY, "client_order_id": "mine"}
    first = await up.client.post(PATH, json=body, headers=up.bearer())
    again = await up.client.post(PATH, json=body, headers=up.bearer())
    assert (again.status_code, again.content) == (201, first.content)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert {command.idempotency_key for command in up.platform.trading.commands} == {""}


async def test_many_orders_at_once_each_get_their_own_answer(up: "Running") -> None:
    replies = await asyncio.gather(
        *(
            up.client.post(PATH, json={**BODY, "client_order_id": f"c-{number}"}, headers=up.bearer())
            for number in range(60)
        )
    )
    assert [reply.json()["client_order_id"] for reply in replies] == [f"c-{number}" for number in range(60)]


async def test_a_rejection_keeps_its_facts(up: "Running") -> None:
    up.platform.trading.error = RemoteError(
        kind=ErrorKind.REJECTED, reason="insufficient_funds", message="The available balance is too small.",
        details={"asset": "USD", "required": "25000", "available": "1"},
    )  # fmt: skip
    reply = await up.client.post(PATH, json=BODY, headers=up.bearer())
    assert checked(reply, 422, "ORDER_REJECTED") == {
        "reason": "insufficient_funds", "asset": "USD", "required": "25000", "available": "1",
    }  # fmt: skip


async def test_a_broken_stream_is_opened_again_and_the_command_repeated_with_its_key(fresh: "Running") -> None:
    """The exchange acted and its answer was lost: the client hears of the one order, not of the accident."""
    fresh.platform.trading.break_after_effect = 1
    reply = await fresh.client.post(PATH, json=BODY, headers=fresh.bearer())
    assert reply.status_code == 201, reply.text
    commands = fresh.platform.trading.commands
    assert len(commands) == 2
    assert commands[0].idempotency_key == commands[1].idempotency_key
    assert len(fresh.platform.trading.by_key) == 1


async def test_orders_under_way_at_a_break_are_each_answered_once(fresh: "Running") -> None:
    fresh.platform.trading.break_after_effect = 3
    replies = await asyncio.gather(
        *(
            fresh.client.post(PATH, json={**BODY, "client_order_id": f"c-{number}"}, headers=fresh.bearer())
            for number in range(20)
        )
    )
    assert [reply.status_code for reply in replies] == [201] * 20
    assert [reply.json()["client_order_id"] for reply in replies] == [f"c-{number}" for number in range(20)]
    assert len(fresh.platform.trading.by_key) == 20


@pytest.mark.parametrize(
    ("changes", "key", "facts"),
    [
        ({}, None, {"ask": "GET /api/v1/orders"}),
        (
            {"client_order_id": "mine"},
            None,
            {
                "ask": "GET /api/v1/orders/by-client-id/mine",
                "repeat": "Send the same request again: its client_order_id says that it is the same order.",
            },
        ),
        ({}, "k", {"repeat": "Send the same request with the same Idempotency-Key."}),
    ],
)
async def test_an_outcome_that_nobody_tells_is_unknown_and_the_error_says_how_to_ask(
    up: "Running", changes: dict[str, Any], key: str | None, facts: dict[str, str]
) -> None:
    up.platform.trading.silent = 1
    headers = up.bearer() if key is None else {**up.bearer(), "Idempotency-Key": key}
    started = time.monotonic()
    reply = await up.client.post(PATH, json={**BODY, **changes}, headers=headers)
    assert checked(reply, 503, "SERVICE_UNAVAILABLE") == {"reason": "outcome_unknown", **facts}
    assert reply.headers["retry-after"] == "1"
    assert 1.5 < time.monotonic() - started < 20


async def test_an_outcome_the_exchange_itself_does_not_know_is_told_the_same_way(up: "Running") -> None:
    up.platform.trading.error = RemoteError(kind=ErrorKind.UNAVAILABLE, reason="outcome_unknown", message="Unknown.")
    reply = await up.client.post(PATH, json=BODY, headers={**up.bearer(), "Idempotency-Key": "k"})
    assert checked(reply, 503, "SERVICE_UNAVAILABLE")["repeat"]


async def test_an_answer_that_comes_too_late_disturbs_nobody(up: "Running") -> None:
    up.platform.trading.silent = 1
    checked(await up.client.post(PATH, json=BODY, headers=up.bearer()), 503, "SERVICE_UNAVAILABLE")
    assert (await up.client.post(PATH, json=BODY, headers=up.bearer())).status_code == 201


async def test_the_stream_comes_back_by_itself(fresh: "Running") -> None:
    fresh.platform.trading.break_after_effect = 1
    await fresh.client.post(PATH, json=BODY, headers=fresh.bearer())

    async def placed() -> bool:
        return (await fresh.client.post(PATH, json=BODY, headers=fresh.bearer())).status_code == 201

    await eventually(placed)


async def test_cancelling_one_order(up: "Running") -> None:
    reply = await up.client.delete(f"{PATH}/{ORDER}", headers=up.bearer())
    assert reply.status_code == 200
    assert schemas.PlacedOrder.model_validate_json(reply.content).status == "cancelled"
    assert up.platform.trading.commands[0].cancel_order.order_id == ORDER


async def test_cancelling_the_orders_of_one_market_or_of_all(up: "Running") -> None:
    reply = await up.client.delete(f"{PATH}?market=BTC-USD", headers=up.bearer())
    assert schemas.CancelledOrders.model_validate_json(reply.content).order_ids == [ORDER]
    await up.client.delete(PATH, headers=up.bearer())
    assert [command.cancel_orders.market for command in up.platform.trading.commands] == ["BTC-USD", ""]


async def test_a_cancel_of_all_names_what_stays_open_and_why_and_so_does_its_repeat(fresh: "Running") -> None:
    kept = trading_pb2.NotCancelled(order_id=OTHER_ORDER, market="OP-USD", reason="market_halted")
    fresh.platform.trading.not_cancelled = [kept]
    headers = {**fresh.bearer(), "Idempotency-Key": "all"}
    reply = await fresh.client.delete(PATH, headers=headers)
    assert reply.json() == {
        "order_ids": [ORDER],
        "not_cancelled": [{"order_id": OTHER_ORDER, "market": "OP-USD", "reason": "market_halted"}],
    }
    schemas.CancelledOrders.model_validate_json(reply.content)
    fresh.platform.trading.not_cancelled = []
    again = await fresh.client.delete(PATH, headers=headers)
    assert (again.content, again.headers["idempotency-replayed"]) == (reply.content, "true")


async def test_an_amendment_reaches_the_exchange_as_it_was_sent(up: "Running") -> None:
    headers = {**up.bearer(), "Idempotency-Key": "key 1"}
    reply = await up.client.patch(f"{PATH}/{ORDER}", json={"price": "49000.5", "quantity": "0.25"}, headers=headers)
    assert reply.status_code == 200, reply.text
    schemas.PlacedOrder.model_validate_json(reply.content)
    (request,) = up.platform.trading.commands
    assert request.idempotency_key == "key 1"
    assert request.amend_order == trading_pb2.AmendOrder(order_id=ORDER, price="49000.5", quantity="0.25")
    again = await up.client.patch(f"{PATH}/{ORDER}", json={"price": "49000.5", "quantity": "0.25"}, headers=headers)
    assert (again.json(), again.headers["idempotency-replayed"]) == (reply.json(), "true")


@pytest.mark.parametrize(
    ("body", "field", "rule"),
    [
        ({}, "body", "price_or_quantity"),
        ({"price": None}, "body", "price_or_quantity"),
        ({"quantity": 1}, "quantity", "string"),
        ({"quantity": "-1"}, "quantity", "decimal_string"),
        ({"price": "1e5"}, "price", "decimal_string"),
        ({"stop_price": "1"}, "stop_price", "unknown_field"),
        ({"side": "buy"}, "side", "unknown_field"),
    ],
)
async def test_an_amendment_that_names_no_new_figure_is_refused(
    up: "Running", body: dict[str, Any], field: str, rule: str
) -> None:
    reply = await up.client.patch(f"{PATH}/{ORDER}", json=body, headers=up.bearer())
    details = checked(reply, 400, "VALIDATION_ERROR")
    assert (details["field"], details["rule"]) == (field, rule)
    assert up.platform.trading.commands == []


async def test_a_preview_asks_and_places_nothing(up: "Running") -> None:
    body = {**BODY, "time_in_force": "gtd", "expires_at": "2030-01-02T03:04:05.678Z"}
    reply = await up.client.post(f"{PATH}/preview", json=body, headers=up.bearer())
    assert reply.status_code == 200, reply.text
    schemas.OrderPreview.model_validate_json(reply.content)
    assert up.platform.trading.commands == []
    (order,) = up.platform.trading.previews
    assert (order.market, order.price, order.expires_at.ToJsonString()) == (
        "BTC-USD", "50000", "2030-01-02T03:04:05.678Z",
    )  # fmt: skip
    assert not {"id", "created_at", "updated_at", "filled_at"} & set(reply.json())
    assert set(reply.json()["fills"][0]) == {"price", "quantity", "fee", "fee_asset", "liquidity"}


@pytest.mark.parametrize("path", [PATH, f"{PATH}/preview"])
async def test_a_refused_order_comes_with_a_body_that_would_be_accepted(up: "Running", path: str) -> None:
    up.platform.trading.error = RemoteError(
        kind=ErrorKind.REJECTED, reason="invalid_tick", message="The price must be a multiple of 0.01.",
        details={"limit": "0.01", "suggested": '{"market":"BTC-USD","price":"50000","post_only":true}'},
    )  # fmt: skip
    reply = await up.client.post(path, json=BODY, headers=up.bearer())
    assert checked(reply, 422, "ORDER_REJECTED") == {
        "reason": "invalid_tick", "limit": "0.01",
        "suggested": {"market": "BTC-USD", "price": "50000", "post_only": True},
    }  # fmt: skip
