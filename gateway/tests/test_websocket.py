"""/ws: prices for everybody, private channels that resume exactly, and why a connection ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import websockets
from chassis.testing import eventually
from cryptovault.trading.v1 import trading_pb2
from facts import ORDER, SESSION, USER
from gateway.edge import socket_protocol
from gateway.edge.metrics import SOCKETS_CLOSED
from gateway.schemas.errors import ErrorReply
from gateway.websocket import private_channels
from sockets import Socket, connected
from stand_ins import price
from trading_stand_in import event, fill, order

if TYPE_CHECKING:
    from conftest import Running, Start


@asynccontextmanager
async def signed_in(up: "Running", **claims: Any) -> AsyncIterator[Socket]:
    async with connected(up) as socket:
        await socket.send(op="auth", token=up.token(**claims))
        yield socket


def log(up: "Running", *sequences: int) -> None:
    """Events that the exchange's log holds."""
    up.platform.queries.events += [event(number, order=order()) for number in sequences]
    up.platform.trading.sequence = max(one.sequence for one in up.platform.queries.events)


def happen(up: "Running", one: trading_pb2.UserEvent) -> None:
    """An event in the exchange's log and on its stream."""
    up.platform.queries.events.append(one)
    up.platform.trading.sequence = one.sequence
    up.platform.trading.publish(one)


async def watched(up: "Running") -> None:
    """The event stream runs: a first message has passed."""
    await eventually(lambda: up.platform.trading.watchers)
    up.platform.trading.publish()


async def test_prices_begin_with_a_snapshot_and_go_on_without_gaps(up: "Running") -> None:
    async with connected(up) as socket:
        await socket.send(op="subscribe", channel="prices")
        snapshot = await socket.read()
        assert (snapshot["channel"], snapshot["type"]) == ("prices", "snapshot")
        assert {"BTC", "ETH"} <= {entry["symbol"] for entry in snapshot["data"]}
        for step in range(1, 4):
            up.platform.market_data.publish(price("BTC", f"5000{step}"))
            update = await socket.read()
            assert (update["type"], update["seq"]) == ("update", snapshot["seq"] + step)
            assert [(entry["symbol"], entry["price"]) for entry in update["data"]] == [("BTC", f"5000{step}")]


async def test_many_changes_at_once_are_one_message_of_the_last_of_them(start: "Start") -> None:
    async with start(price_cadence_seconds=0.3) as up, connected(up) as socket:
        await socket.send(op="subscribe", channel="prices")
        first = await socket.read()
        for step in range(50):
            up.platform.market_data.publish(price("BTC", str(step + 1)))
        messages = [await socket.read()]
        while messages[-1]["data"][0]["price"] != "50":
            messages.append(await socket.read())
        assert len(messages) <= 4
        assert [message["seq"] for message in messages] == [first["seq"] + 1 + n for n in range(len(messages))]


async def test_no_prices_come_after_unsubscribing(up: "Running") -> None:
    async with connected(up) as socket:
        await socket.send(op="subscribe", channel="prices")
        await socket.read()
        await socket.send(op="unsubscribe", channel="prices")
        await socket.send(op="ping")
        assert await socket.read() == {"op": "pong"}
        up.platform.market_data.publish(price("BTC", "1"))
        await asyncio.sleep(0)
        await socket.send(op="ping")
        assert await socket.read() == {"op": "pong"}


async def test_private_channels_begin_with_a_snapshot(up: "Running") -> None:
    log(up, 1, 2, 3)
    async with signed_in(up) as socket:
        await socket.send(op="subscribe", channel="orders")
        orders = await socket.read()
        assert (orders["channel"], orders["type"], orders["seq"]) == ("orders", "snapshot", 3)
        assert [entry["id"] for entry in orders["data"]] == [ORDER]
        await socket.send(op="subscribe", channel="balances")
        balances = await socket.read()
        assert balances["data"] == [{"asset": "USD", "available": "10000", "held": "0"}]
        await socket.send(op="subscribe", channel="fills")
        assert (await socket.read())["data"] == []


async def test_live_events_arrive_in_every_private_channel_with_one_sequence(up: "Running") -> None:
    log(up, 1)
    await watched(up)
    async with signed_in(up) as socket:
        for channel in ("orders", "fills", "balances"):
            await socket.send(op="subscribe", channel=channel)
            await socket.read()
        happen(up, event(2, order=order(status="filled"), fills=[fill()]))
        messages = {message["channel"]: message for message in await socket.read_many(3)}
        assert {message["seq"] for message in messages.values()} == {2}
        assert messages["orders"]["data"]["status"] == "filled"
        assert [entry["id"] for entry in messages["fills"]["data"]] == ["fill-1"]
        assert messages["balances"]["data"] is None


async def test_after_resumes_exactly_once_each_in_order(up: "Running") -> None:
    log(up, *range(1, 451))
    async with signed_in(up) as socket:
        await socket.send(op="subscribe", channel="orders", after=3)
        assert [message["seq"] for message in await socket.read_many(447)] == list(range(4, 451))


async def test_live_events_during_the_catching_up_are_neither_lost_nor_repeated(up: "Running") -> None:
    """The stream is ahead of the log, as the leader is ahead of the projector."""
    log(up, *range(1, 301))
    await watched(up)
    async with signed_in(up) as socket:
        await socket.send(op="subscribe", channel="orders", after=0)
        assert (await socket.read())["seq"] == 1
        up.platform.trading.publish(event(301, order=order()))
        up.platform.trading.publish(event(302, order=order()))
        log(up, 301, 302)
        assert [message["seq"] for message in await socket.read_many(301)] == list(range(2, 303))
        happen(up, event(303, order=order()))
        assert (await socket.read())["seq"] == 303


async def test_a_log_that_lags_behind_the_exchange_is_read_to_its_end(up: "Running") -> None:
    """Nothing live tells of event 3: only the exchange knows that the log is not complete yet."""
    log(up, 1, 2)
    up.platform.trading.sequence = 3
    async with signed_in(up) as socket:
        await socket.send(op="subscribe", channel="orders", after=0)
        assert [message["seq"] for message in await socket.read_many(2)] == [1, 2]
        log(up, 3)
        assert (await socket.read())["seq"] == 3


async def test_a_gap_in_the_stream_is_filled_from_the_log(up: "Running") -> None:
    log(up, 1)
    await watched(up)
    async with signed_in(up) as socket:
        await socket.send(op="subscribe", channel="orders", after=1)
        await socket.send(op="ping")
        await socket.read()
        log(up, 2, 3, 4)
        up.platform.trading.publish(event(4, order=order()))
        up.platform.trading.publish(event(2, order=order()))
        assert [message["seq"] for message in await socket.read_many(3)] == [2, 3, 4]


async def test_events_of_a_time_without_a_stream_arrive_when_it_is_back(fresh: "Running") -> None:
    log(fresh, 1)
    await watched(fresh)
    async with signed_in(fresh) as socket:
        await socket.send(op="subscribe", channel="orders", after=0)
        assert (await socket.read())["seq"] == 1
        fresh.platform.trading.break_watchers()
        log(fresh, 2, 3)
        assert [message["seq"] for message in await socket.read_many(2)] == [2, 3]
        await eventually(lambda: fresh.platform.trading.watchers)
        fresh.platform.trading.publish(event(4, order=order()))
        log(fresh, 4)
        assert (await socket.read())["seq"] == 4


async def test_a_private_channel_needs_its_permission(up: "Running") -> None:
    async with signed_in(up, scope="wallet:read") as socket:
        await socket.send(op="subscribe", channel="orders")
        refusal = (await socket.read())["error"]
        assert refusal["code"] == "AUTHORIZATION_ERROR"
        assert refusal["details"] == {"reason": "permission_required", "permission": "orders:read"}
        await socket.send(op="subscribe", channel="balances")
        assert (await socket.read())["channel"] == "balances"


async def test_nobody_hears_of_another_users_events(up: "Running") -> None:
    await watched(up)
    async with signed_in(up) as socket:
        await socket.send(op="subscribe", channel="orders")
        await socket.read()
        up.platform.trading.publish(event(1, user_id="somebody-else", order=order()))
        happen(up, event(1, order=order()))
        assert (await socket.read())["seq"] == 1
        assert {caller.user_id for caller in up.platform.queries.callers} == {USER}


async def test_after_an_event_that_does_not_exist_is_refused(up: "Running") -> None:
    log(up, 1)
    async with signed_in(up) as socket:
        await socket.send(op="subscribe", channel="orders", after=9)
        error = (await socket.read())["error"]
        assert (error["code"], error["details"]["field"]) == ("VALIDATION_ERROR", "after")


async def test_private_channels_need_a_signed_in_user(up: "Running") -> None:
    async with connected(up) as socket:
        await socket.send(op="subscribe", channel="orders")
        message = await socket.read()
        assert message["op"] == "error"
        assert message["error"]["code"] == "AUTHENTICATION_ERROR"


@pytest.mark.parametrize("claims", [{"exp": 1}, {"iss": "https://evil.example"}, {"type": "refresh"}, {"sid": None}])
async def test_a_bad_token_closes_with_4401(up: "Running", claims: dict[str, Any]) -> None:
    async with connected(up) as socket:
        await socket.send(op="auth", token=up.token(**claims))
        error = await socket.read()
        assert error["error"]["code"] == "AUTHENTICATION_ERROR"
        assert await socket.closed_with() == 4401


async def test_a_browser_is_signed_in_by_cookie_from_its_own_origin(up: "Running") -> None:
    cookie = {"Cookie": f"__Host-cv_access={up.token()}"}
    async with connected(up, additional_headers=cookie, origin=f"http://{up.host}:{up.port}") as socket:
        await socket.send(op="subscribe", channel="balances")
        assert (await socket.read())["type"] == "snapshot"


async def test_a_cookie_from_another_origin_closes_with_4403(up: "Running") -> None:
    cookie = {"Cookie": f"__Host-cv_access={up.token()}"}
    async with connected(up, additional_headers=cookie, origin="https://evil.example") as socket:
        assert await socket.closed_with() == 4403
    async with connected(up, additional_headers=cookie) as socket:
        assert await socket.closed_with() == 4403


async def test_a_bad_cookie_closes_with_4401(up: "Running") -> None:
    cookie = {"Cookie": "__Host-cv_access=nonsense"}
    async with connected(up, additional_headers=cookie, origin=f"http://{up.host}:{up.port}") as socket:
        assert await socket.closed_with() == 4401


async def test_the_end_of_the_token_closes_the_socket(up: "Running") -> None:
    async with signed_in(up, exp=up.now() + 2) as socket:
        await socket.send(op="subscribe", channel="balances")
        await socket.read()
        assert await socket.closed_with() == 4401


async def test_a_new_token_keeps_the_socket_open(up: "Running") -> None:
    async with signed_in(up, exp=up.now() + 2) as socket:
        await socket.send(op="auth", token=up.token())
        await socket.send(op="ping")
        assert await socket.read() == {"op": "pong"}
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.5):
                await socket.connection.recv()


async def test_another_users_token_is_refused_on_the_same_socket(up: "Running") -> None:
    async with signed_in(up) as socket:
        await socket.send(op="auth", token=up.token(sub="somebody-else"))
        assert (await socket.read())["error"]["details"]["rule"] == "same_user"


async def test_a_revoked_session_closes_its_sockets_within_a_second(fresh: "Running", redis: Any) -> None:
    async with signed_in(fresh) as socket, signed_in(fresh, sid="another-session") as other:
        for one in (socket, other):
            await one.send(op="ping")
            await one.read()
        await redis.set(f"cryptovault:blacklist:{SESSION}", b"1", ex=60)
        async with asyncio.timeout(5):
            assert await socket.closed_with() == 4401
        await other.send(op="ping")
        assert await other.read() == {"op": "pong"}


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "1", "null", '{"op":"dance"}', '{"op":"subscribe"}', '{"op":"subscribe","channel":"candles"}',
        '{"op":"subscribe","channel":"prices","after":1}', '{"op":"subscribe","channel":"prices","after":"1"}',
        '{"op":"subscribe","channel":"prices","market":"BTC-USD"}', '{"op":"ping","extra":1}', '{"op":NaN}',
        '{"op":"auth"}', '{"op":"auth","token":5}', '{"op":"auth","token":"a b"}', '{"op":"\\ud800"}',
        '{"op":"subscribe","channel":"orders","after":-1}', '{"op":"subscribe","channel":"orders","after":1.5}',
        "[" * 4_000, '{"op":"ping","op":"ping"}',
    ],
)  # fmt: skip
async def test_a_bad_message_is_answered_with_an_error_and_the_socket_stays(up: "Running", text: str) -> None:
    async with connected(up) as socket:
        await socket.connection.send(text)
        message = await socket.read()
        assert message["op"] == "error"
        assert message["error"]["code"] == "VALIDATION_ERROR"
        assert message["error"]["details"]["rule"]
        await socket.send(op="ping")
        assert await socket.read() == {"op": "pong"}


async def test_a_message_over_4_kib_closes_the_socket(up: "Running") -> None:
    async with connected(up) as socket:
        await socket.connection.send('{"op":"ping"}' + " " * 4_096)
        assert await socket.closed_with() == 1009


async def test_binary_messages_close_the_socket(up: "Running") -> None:
    async with connected(up) as socket:
        await socket.connection.send(b'{"op":"ping"}')
        assert await socket.closed_with() == 1003


async def test_too_many_messages_close_the_socket(up: "Running") -> None:
    async with connected(up) as socket:
        for _ in range(302):
            await socket.send(op="ping")
        assert await socket.closed_with() == 4429


MASK = b"\x80\x00\x00\x00\x00"  # of an empty frame


@pytest.mark.parametrize("frame", [b"\x89", b"\x8a", b"\x00"], ids=["ping", "pong", "part of a message"])
async def test_too_many_frames_that_no_message_is_made_of_close_the_socket(up: "Running", frame: bytes) -> None:
    """Pongs to who reads none would fill our memory, and reading tiny frames would take all our time."""
    async with connected(up) as socket:
        before = closed_with("4429")
        socket.connection.transport.write(b"\x01" + MASK + (frame + MASK) * 100_000)
        assert await socket.closed_with() == 4429
        assert closed_with("4429") == before + 1


async def test_who_answers_no_close_is_not_waited_for(up: "Running", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_protocol, "CLOSE_SECONDS_MAX", 0.2)
    reader, writer = await asyncio.open_connection(up.host, up.port)
    writer.write(
        b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert (await reader.read(65_536)).startswith(b"HTTP/1.1 101 ")
    writer.write(b"\x82" + MASK)  # no text, so it is closed
    async with asyncio.timeout(5):
        while await reader.read(65_536):
            pass
    writer.close()


async def test_a_subscription_counts_like_the_read_that_it_is(start: "Start") -> None:
    async with start(limit_account_per_user=5, limit_market_data_per_address=5, limit_factor=1) as up:
        for channel, more in (("orders", {}), ("book", {"market": "BTC-USD"})):
            async with signed_in(up) as socket:
                for _ in range(6):
                    await socket.send(op="subscribe", channel=channel, **more)
                while "op" not in (message := await socket.read()):
                    pass
                assert (message["op"], message["error"]["code"]) == ("error", "RATE_LIMIT_EXCEEDED")
                await socket.send(op="ping")
                while (await socket.read()).get("op") != "pong":
                    pass


async def test_one_address_has_only_so_many_sockets(start: "Start") -> None:
    async with start(sockets_per_address_max=1) as up:  # times ten in tests
        async with asyncio.TaskGroup() as group:
            sockets = [connected(up) for _ in range(10)]
            opened = [await group.create_task(socket.__aenter__()) for socket in sockets]
        async with connected(up) as one_too_many:
            assert await one_too_many.closed_with() == 4429
        for socket in sockets:
            await socket.__aexit__(None, None, None)

        async def room_again() -> bool:
            async with connected(up) as socket:
                await socket.send(op="ping")
                try:
                    return await socket.read() == {"op": "pong"}
                except websockets.ConnectionClosed:
                    return False

        assert len(opened) == 10
        await eventually(room_again)


def burst(up: "Running", first: int, last: int, *, padding: int) -> None:
    """Many events at once, in the log and on the stream."""
    events = [event(number, order=order(close_reason="x" * padding)) for number in range(first, last + 1)]
    up.platform.queries.events += events
    up.platform.trading.sequence = last
    for start in range(0, len(events), 50):
        up.platform.trading.publish(*events[start : start + 50])


async def test_a_burst_larger_than_may_wait_arrives_whole(start: "Start") -> None:
    async with start(socket_outbox_messages_max=20) as up:
        await watched(up)
        async with signed_in(up) as socket:
            await socket.send(op="subscribe", channel="orders")
            await socket.read()
            burst(up, 1, 300, padding=10)
            assert [message["seq"] for message in await socket.read_many(300)] == list(range(1, 301))


async def test_a_reader_that_stopped_reading_is_closed_and_can_resume(
    start: "Start", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(private_channels, "SLOW_SECONDS_MAX", 0.3)
    async with start(socket_outbox_messages_max=20) as up:
        await watched(up)
        async with connected(up, max_queue=1) as socket:
            await socket.send(op="auth", token=up.token())
            await socket.send(op="subscribe", channel="orders")
            await socket.read()
            socket.connection.transport.pause_reading()
            before = closed_with("4408")
            # More than all buffers between the two hold.
            burst(up, 1, 1_500, padding=10_000)
            await eventually(lambda: closed_with("4408") > before, 60)
            socket.connection.transport.abort()
        async with signed_in(up) as again:
            await again.send(op="subscribe", channel="orders", after=1_498)
            assert [message["seq"] for message in await again.read_many(2)] == [1_499, 1_500]


def closed_with(code: str) -> float:
    return SOCKETS_CLOSED.labels(code)._value.get()


async def test_a_socket_elsewhere_than_ws_is_refused(up: "Running") -> None:
    with pytest.raises(websockets.InvalidStatus) as refusal:
        await websockets.connect(f"ws://{up.host}:{up.port}/elsewhere")
    assert refusal.value.response.status_code == 404
    assert ErrorReply.model_validate_json(refusal.value.response.body).error.code == "NOT_FOUND"


async def test_a_snapshot_holds_all_pages_of_open_orders(up: "Running") -> None:
    up.platform.trading.sequence = 5
    async with signed_in(up) as socket:
        await socket.send(op="subscribe", channel="orders")
        snapshot = await socket.read()
        assert snapshot["seq"] == 5
    request = up.platform.queries.requests[0]
    assert isinstance(request, trading_pb2.ListOrdersRequest)
    assert (request.status, request.at_least_batch) == ("open", up.platform.trading.batch)
