"""The private channels: live, resumed exactly, each event once, however slowly somebody reads."""

from typing import TYPE_CHECKING

import pytest
from chassis.testing import eventually
from cryptovault.trading.v1 import trading_pb2
from facts import ORDER, USER
from gateway.websocket import private_channels
from sockets import connected, signed_in, sockets_closed
from trading_stand_in import event, fill, order

if TYPE_CHECKING:
    from conftest import Running, Start


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


def burst(up: "Running", first: int, last: int, *, padding: int) -> None:
    """Many events at once, in the log and on the stream."""
    events = [event(number, order=order(close_reason="x" * padding)) for number in range(first, last + 1)]
    up.platform.queries.events += events
    up.platform.trading.sequence = last
    for start in range(0, len(events), 50):
        up.platform.trading.publish(*events[start : start + 50])


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


async def test_a_snapshot_holds_all_pages_of_open_orders(up: "Running") -> None:
    up.platform.trading.sequence = 5
    async with signed_in(up) as socket:
        await socket.send(op="subscribe", channel="orders")
        snapshot = await socket.read()
        assert snapshot["seq"] == 5
    request = up.platform.queries.requests[0]
    assert isinstance(request, trading_pb2.ListOrdersRequest)
    assert (request.status, request.at_least_batch) == ("open", up.platform.trading.batch)


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
            before = sockets_closed("4408")
            # More than all buffers between the two hold.
            burst(up, 1, 1_500, padding=10_000)
            await eventually(lambda: sockets_closed("4408") > before, 60)
            socket.connection.transport.abort()
        async with signed_in(up) as again:
            await again.send(op="subscribe", channel="orders", after=1_498)
            assert [message["seq"] for message in await again.read_many(2)] == [1_499, 1_500]
