"""Streams over real sockets, and how a server stops: what is owed is answered, nothing else is waited for."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from chassis.errors import ErrorKind, InvalidArgument, RemoteError, Unavailable
from chassis.grpc_client import follow, open_channel
from chassis.grpc_server import GRACE_SECONDS, GrpcServer
from chassis.identity import current_caller
from chassis.testing import eventually, serve
from cryptovault.trading.v1 import trading_pb2
from google.protobuf import empty_pb2, wrappers_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_services import GATEWAY, PORTFOLIO, STREAMING, ask, enter_on, portfolio, read_all, streams, watch_on


async def test_an_error_ends_a_stream_with_its_facts_after_what_was_sent() -> None:
    async def watch(_request: Any, _context: Any) -> AsyncIterator[empty_pb2.Empty]:
        yield empty_pb2.Empty()
        raise InvalidArgument("Enough.", field="x", rule="y")

    async with (
        serve([streams(watch=watch)], plays=STREAMING) as address,
        open_channel(address, to="portfolio", identity=GATEWAY) as channel,
    ):
        received: list[Any] = []
        with pytest.raises(RemoteError) as raised:
            await read_all(watch_on(channel), received)
    assert len(received) == 1
    assert raised.value.details == {"field": "x", "rule": "y"}


async def test_an_error_with_a_translation_ends_a_stream_in_our_words() -> None:
    async def watch(_request: Any, _context: Any) -> AsyncIterator[empty_pb2.Empty]:
        yield empty_pb2.Empty()
        raise ConnectionResetError("in the driver's words")

    def lost(error: Exception) -> Unavailable | None:
        return Unavailable("It does not answer.") if isinstance(error, ConnectionError) else None

    async with (
        serve([streams(watch=watch)], plays=STREAMING, translations=[lost]) as address,
        open_channel(address, to="portfolio", identity=GATEWAY) as channel,
    ):
        received: list[Any] = []
        with pytest.raises(RemoteError) as raised:
            await read_all(watch_on(channel), received)
    assert len(received) == 1
    assert (raised.value.kind, raised.value.message) == (ErrorKind.UNAVAILABLE, "It does not answer.")


async def test_a_stream_written_through_the_context_works_the_same() -> None:
    async def watch(_request: Any, context: Any) -> None:
        await context.write(empty_pb2.Empty())
        raise InvalidArgument("Enough.", field="x", rule="y")

    async with (
        serve([streams(watch=watch)], plays=STREAMING) as address,
        open_channel(address, to="portfolio", identity=GATEWAY) as channel,
    ):
        received: list[Any] = []
        with pytest.raises(RemoteError):
            await read_all(watch_on(channel), received)
    assert len(received) == 1


async def test_requests_and_answers_pass_both_ways_with_the_caller() -> None:
    callers: list[str] = []

    async def enter(requests: AsyncIterator[Any], _context: Any) -> AsyncIterator[Any]:
        callers.append(current_caller().service)
        async for request in requests:
            yield request

    async with (
        serve([streams(enter=enter)], plays=STREAMING) as address,
        open_channel(address, to="portfolio", identity=GATEWAY) as channel,
    ):
        call = enter_on(channel)
        for _ in range(3):
            await call.write(empty_pb2.Empty())
            assert await call.read() == empty_pb2.Empty()
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
    assert callers == ["gateway"]


async def test_following_opens_a_broken_stream_again_and_tells_of_the_gap() -> None:
    opened: list[int] = []
    gaps: list[int] = []

    async def watch(_request: Any, _context: Any) -> AsyncIterator[empty_pb2.Empty]:
        opened.append(1)
        yield empty_pb2.Empty()
        if len(opened) == 1:
            raise Unavailable("away")
        if len(opened) == 2:
            return
        await asyncio.Event().wait()

    async with (
        serve([streams(watch=watch)], plays=STREAMING) as address,
        open_channel(address, to="portfolio", identity=GATEWAY) as channel,
    ):
        received = 0
        messages = follow(
            lambda: watch_on(channel), name="test", on_gap=lambda: gaps.append(received), jitter=random.Random(1)
        )
        async for _ in messages:
            received += 1
            if received == 3:
                break
        await messages.aclose()
    assert gaps == [1, 2]


async def test_a_stop_finishes_what_is_in_flight_and_takes_nothing_new() -> None:
    began, finish = asyncio.Event(), asyncio.Event()

    async def behaviour(_context: Any) -> str:
        began.set()
        await finish.wait()
        return "finished"

    server = GrpcServer("127.0.0.1:0", STREAMING)
    server.add(*portfolio(behaviour))
    address = f"127.0.0.1:{await server.start()}"
    first = asyncio.create_task(ask(address, timeout=60))
    await began.wait()
    stopping = asyncio.create_task(server.stop())
    await eventually(lambda: _refused(address))
    finish.set()
    assert await first == "finished"
    await stopping


async def test_a_stop_does_not_wait_for_subscriptions_and_idle_order_streams_but_for_owed_answers() -> None:
    owed = asyncio.Event()
    answer = asyncio.Event()

    async def watch(_request: Any, _context: Any) -> AsyncIterator[Any]:
        yield empty_pb2.Empty()
        await asyncio.Event().wait()

    async def enter(requests: AsyncIterator[Any], _context: Any) -> AsyncIterator[Any]:
        async for request in requests:
            owed.set()
            await answer.wait()
            yield request

    server = GrpcServer("127.0.0.1:0", STREAMING)
    server.add(*streams(watch=watch, enter=enter))
    address = f"127.0.0.1:{await server.start()}"
    async with open_channel(address, to="portfolio", identity=GATEWAY) as channel:
        subscription, idle, busy = watch_on(channel), enter_on(channel), enter_on(channel)
        await subscription.read()
        await idle.wait_for_connection()
        await busy.write(empty_pb2.Empty())
        await owed.wait()
        started = time.monotonic()
        stopping = asyncio.create_task(server.stop())
        with pytest.raises(RemoteError) as ended:
            await subscription.read()
        assert ended.value.kind is ErrorKind.UNAVAILABLE
        assert not stopping.done()
        answer.set()
        assert await busy.read() == empty_pb2.Empty()
        await stopping
        assert time.monotonic() - started < GRACE_SECONDS


async def test_who_is_being_sent_to_when_the_service_stops_is_told_so_too() -> None:
    """Not only after the grace: whoever follows looks for the next server as soon as he is told."""
    megabyte = wrappers_pb2.BytesValue(value=bytes(1_000_000))
    sent, cleaned_up = 0, False

    async def watch(_request: Any, _context: Any) -> AsyncIterator[Any]:
        nonlocal sent, cleaned_up
        try:
            while True:
                sent += 1
                yield megabyte
        finally:
            await asyncio.sleep(0.1)  # what a drain must not cancel
            cleaned_up = True

    server = GrpcServer("127.0.0.1:0", STREAMING)
    server.add(*streams(watch=watch, response=wrappers_pb2.BytesValue))
    address = f"127.0.0.1:{await server.start()}"
    async with open_channel(address, to="portfolio", identity=GATEWAY) as channel:
        messages = aiter(watch_on(channel, wrappers_pb2.BytesValue))
        received = [await anext(messages)]
        before = 0
        # The pipe is full: the next message is being sent.
        while sent > before:
            before = sent
            await asyncio.sleep(0.3)
        stopping = asyncio.create_task(server.stop())
        await eventually(lambda: _refused(address))
        assert not stopping.done()
        with pytest.raises(RemoteError) as ended:
            await read_all(messages, received)
        assert ended.value.message == "The service is stopping."
        assert received == [megabyte] * sent
        await stopping
        assert cleaned_up


async def test_a_stop_cancels_no_subscription_a_second_time_in_its_clean_up() -> None:
    cleaned: list[bool] = []

    async def watch(_request: Any, _context: Any) -> AsyncIterator[empty_pb2.Empty]:
        try:
            yield empty_pb2.Empty()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.1)
            cleaned.append(True)

    server = GrpcServer("127.0.0.1:0", STREAMING)
    server.add(*streams(watch=watch))
    address = f"127.0.0.1:{await server.start()}"
    async with open_channel(address, to="portfolio", identity=GATEWAY) as channel:
        messages = aiter(watch_on(channel))
        await anext(messages)
        await server.stop()
        assert cleaned == [True]
        with pytest.raises(RemoteError, match="The service is stopping"):
            await anext(messages)


async def test_a_stop_returns_when_those_that_it_cut_off_have_cleaned_up() -> None:
    """Their client does not read, so that they never get from their message to their end."""
    cleaned: list[bool] = []

    async def watch(_request: Any, _context: Any) -> AsyncIterator[wrappers_pb2.BytesValue]:
        try:
            while True:
                yield wrappers_pb2.BytesValue(value=bytes(1_000_000))
        finally:
            await asyncio.sleep(0.1)
            cleaned.append(True)

    server = GrpcServer("127.0.0.1:0", STREAMING)
    server.add(*streams(watch=watch, response=wrappers_pb2.BytesValue))
    address = f"127.0.0.1:{await server.start()}"
    async with open_channel(address, to="portfolio", identity=GATEWAY) as channel:
        await anext(aiter(watch_on(channel, wrappers_pb2.BytesValue)))
        await asyncio.sleep(0.3)  # until no more of it goes into the sockets
        await server.stop(grace_seconds=0.3)
        assert cleaned == [True]


async def test_a_stop_waits_for_each_answer_owed_where_requests_share_a_message() -> None:
    owed = asyncio.Event()
    finish = asyncio.Event()

    async def enter(requests: AsyncIterator[Any], _context: Any) -> AsyncIterator[Any]:
        async for request in requests:
            yield trading_pb2.EnterOrdersResponse(correlation_id=request.correlation_id)
            owed.set()
            await finish.wait()
            for further in request.further:
                yield trading_pb2.EnterOrdersResponse(correlation_id=further.correlation_id)

    server = GrpcServer("127.0.0.1:0", STREAMING)
    server.add(*streams(enter=enter, request=trading_pb2.EnterOrdersRequest, response=trading_pb2.EnterOrdersResponse))
    address = f"127.0.0.1:{await server.start()}"
    async with open_channel(address, to="portfolio", identity=GATEWAY) as channel:
        call = enter_on(channel, trading_pb2.EnterOrdersRequest, trading_pb2.EnterOrdersResponse)
        message = trading_pb2.EnterOrdersRequest(correlation_id=1)
        message.further.add(correlation_id=2)
        await call.write(message)
        await owed.wait()
        stopping = asyncio.create_task(server.stop())
        assert (await call.read()).correlation_id == 1
        await eventually(lambda: _refused(address))
        finish.set()
        assert (await call.read()).correlation_id == 2
        await stopping


async def test_health_tells_the_state_and_a_taken_port_is_refused() -> None:
    server = GrpcServer("127.0.0.1:0", STREAMING)
    server.add(*portfolio(_sleep_for_ever))
    port = await server.start()
    async with open_channel(f"127.0.0.1:{port}", to="portfolio", identity=GATEWAY) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)

        async def state(name: str) -> int:
            return int((await health.Check(health_pb2.HealthCheckRequest(service=name))).status)

        assert await state("") == health_pb2.HealthCheckResponse.NOT_SERVING
        await server.set_serving(serving=True)
        assert await state(PORTFOLIO) == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(RuntimeError):
            await GrpcServer(f"127.0.0.1:{port}", STREAMING).start()
    await server.stop()


async def _sleep_for_ever(_context: Any) -> str:
    await asyncio.Event().wait()
    return ""


async def _refused(address: str) -> bool:
    try:
        await ask(address, timeout=0.1)
    except RemoteError as error:
        return error.reason != "deadline_exceeded"
    return False
