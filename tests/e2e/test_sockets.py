"""The WebSocket as a program uses it: reconnects, endings, refusals."""

import signal
from collections.abc import Awaitable, Callable

import pytest
from local_stack.platform import Platform
from websockets.exceptions import ConnectionClosed

from tests.customers import Customer
from tests.error_shape import assert_success
from tests.sockets import Socket, open_socket


async def subscribed(socket: Socket, customer: Customer, **subscription: object) -> None:
    await socket.send(op="auth", token=customer.access_token)
    await socket.send(op="subscribe", **subscription)


async def test_who_comes_back_gets_exactly_what_was_missed(platform: Platform, customer: Customer) -> None:
    async with open_socket(platform.websocket_url) as socket:
        await subscribed(socket, customer, channel="fills")
        position = (await socket.read_channel("fills"))["seq"]
    orders = [await customer.place(type="market", quote_quantity="20") for _ in range(3)]
    async with open_socket(platform.websocket_url) as socket:
        await subscribed(socket, customer, channel="fills", after=position)
        expected = [fill["id"] for order in orders for fill in order["fills"]]
        heard: list[str] = []
        while len(heard) < len(expected):
            message = await socket.read_channel("fills")
            assert (message["type"], message["seq"]) == ("update", position + 1)
            position += 1
            heard += [fill["id"] for fill in message["data"] or []]
        assert heard == expected
        late = await customer.place(type="market", quote_quantity="20")
        await socket.read_until(lambda message: late["fills"][0]["id"] in str(message.get("data")))


async def test_a_log_that_lags_behind_hides_nothing_that_was_missed(platform: Platform, customer: Customer) -> None:
    async with open_socket(platform.websocket_url) as socket:
        await subscribed(socket, customer, channel="fills")
        position = (await socket.read_channel("fills"))["seq"]
    platform.signal("trading-projector", signal.SIGSTOP)
    try:
        order = await customer.place(type="market", quote_quantity="20")
        async with open_socket(platform.websocket_url) as socket:
            await subscribed(socket, customer, channel="fills", after=position)
            await socket.send(op="ping")
            await socket.read_until(lambda message: message.get("op") == "pong")
            platform.signal("trading-projector", signal.SIGCONT)
            await socket.read_until(lambda message: order["fills"][0]["id"] in str(message.get("data")))
    finally:
        platform.signal("trading-projector", signal.SIGCONT)


async def test_balances_arrive_as_they_change(platform: Platform, customer: Customer) -> None:
    async with open_socket(platform.websocket_url) as socket:
        await subscribed(socket, customer, channel="balances")
        snapshot = await socket.read_channel("balances")
        assert {row["asset"]: row["available"] for row in snapshot["data"]}["USD"].startswith("10000")
        order = await customer.place(type="market", quote_quantity="20")
        after = {row["asset"]: row["available"] for row in order["balances"]}

        def told(message: dict[str, object]) -> bool:
            rows = message.get("data")
            return isinstance(rows, list) and {"asset": "BTC", "available": after["BTC"], "held": "0"} in rows

        await socket.read_until(told)


async def test_signing_out_closes_the_socket(platform: Platform, customer: Customer) -> None:
    async with open_socket(platform.websocket_url) as socket:
        await subscribed(socket, customer, channel="orders")
        await socket.read_channel("orders")
        assert_success(await customer.send("POST", "/auth/logout", {}))
        with pytest.raises(ConnectionClosed):
            await socket.read_until(lambda _: False, timeout_seconds=10)


async def test_another_persons_events_are_never_heard(
    platform: Platform, customer: Customer, new_customer: Callable[[], Awaitable[Customer]]
) -> None:
    other = await new_customer()
    async with open_socket(platform.websocket_url) as socket:
        await subscribed(socket, customer, channel="orders")
        await socket.read_channel("orders")
        theirs = await other.place(type="market", quote_quantity="20")
        mine = await customer.place(type="market", quote_quantity="20")
        message = await socket.read_until(lambda message: "update" in str(message.get("type")))
        assert mine["id"] in str(message["data"])
        assert theirs["id"] not in str(message)


@pytest.mark.parametrize(
    "message",
    [
        {"op": "subscribe", "channel": "orders"},
        {"op": "subscribe", "channel": "nothing"},
        {"op": "dance"},
        {"op": "subscribe", "channel": "prices", "extra": 1},
    ],
)
async def test_a_refused_message_is_an_error_in_the_one_shape(platform: Platform, message: dict[str, object]) -> None:
    async with open_socket(platform.websocket_url) as socket:
        await socket.send(**message)
        answer = await socket.read_until(lambda message: message.get("op") == "error")
        assert set(answer["error"]) == {"code", "message", "request_id", "timestamp", "details"}
        await socket.send(op="ping")
        assert await socket.read_until(lambda message: message.get("op") == "pong")


async def test_a_bad_token_is_told_and_ends_the_connection(platform: Platform) -> None:
    async with open_socket(platform.websocket_url) as socket:
        await socket.send(op="auth", token="x")
        answer = await socket.read_until(lambda message: message.get("op") == "error")
        assert answer["error"]["code"] == "AUTHENTICATION_ERROR"
        with pytest.raises(ConnectionClosed):
            await socket.read()
