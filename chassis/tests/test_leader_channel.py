"""Two processes of one service over real gRPC, of which one leads, then the other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from chassis.errors import ErrorKind, RemoteError
from chassis.grpc_client import follow
from chassis.leader_channel import open_leader_channel
from chassis.testing import eventually, serve
from chassis.testing.services import identity_of
from cryptovault.trading.v1 import trading_pb2, trading_pb2_grpc

NAME = "cryptovault.trading.v1.TradingService"


class Replica(trading_pb2_grpc.TradingServiceServicer):
    def __init__(self, number: int) -> None:
        self.number = number
        self.leads = False
        self.stands_still = False
        self.asked = 0
        self.streams = 0

    async def _answer(self) -> None:
        self.asked += 1
        if self.stands_still:
            await asyncio.sleep(60)
        if not self.leads:
            raise RemoteError(kind=ErrorKind.UNAVAILABLE, reason="not_leading", message="Another process leads.")

    async def GetBalances(self, request: Any, context: Any) -> trading_pb2.GetBalancesResponse:  # noqa: N802
        await self._answer()
        return trading_pb2.GetBalancesResponse(batch=self.number)

    async def ListMarkets(self, request: Any, context: Any) -> trading_pb2.ListMarketsResponse:  # noqa: N802
        raise RemoteError(kind=ErrorKind.REJECTED, reason="no", message="A decision.")

    async def WatchEvents(  # noqa: N802
        self, request: Any, context: Any
    ) -> AsyncIterator[trading_pb2.WatchEventsResponse]:
        self.streams += 1
        while True:
            await self._answer()
            yield trading_pb2.WatchEventsResponse(batch=self.number)
            await asyncio.sleep(0.01)

    async def EnterOrders(  # noqa: N802
        self, request_iterator: AsyncIterator[trading_pb2.EnterOrdersRequest], context: Any
    ) -> AsyncIterator[trading_pb2.EnterOrdersResponse]:
        async for request in request_iterator:
            yield trading_pb2.EnterOrdersResponse(correlation_id=request.correlation_id)


@pytest.fixture
def replicas() -> list[Replica]:
    return [Replica(1), Replica(2)]  # type: ignore[abstract]  # these calls are all


@pytest.fixture
async def stub(replicas: list[Replica]) -> AsyncIterator[Any]:
    async with AsyncExitStack() as stack:
        add = trading_pb2_grpc.add_TradingServiceServicer_to_server
        addresses = [
            await stack.enter_async_context(serve([(add, replica, NAME)], plays="trading")) for replica in replicas
        ]
        channel = open_leader_channel(
            ", ".join(addresses), to="trading", identity=identity_of("gateway"), beating=(f"/{NAME}/WatchEvents",)
        )
        stack.push_async_callback(channel.close)
        yield trading_pb2_grpc.TradingServiceStub(channel)


async def leader_of(stub: Any) -> int:
    return int((await stub.GetBalances(trading_pb2.GetBalancesRequest())).batch)


async def test_a_call_finds_the_leader_and_the_next_goes_there_at_once(stub: Any, replicas: list[Replica]) -> None:
    replicas[1].leads = True
    assert [await leader_of(stub) for _ in range(3)] == [2, 2, 2]
    assert replicas[0].asked == 1
    replicas[0].leads, replicas[1].leads = True, False
    assert [await leader_of(stub) for _ in range(3)] == [1, 1, 1]


async def test_nobody_leads_is_an_answer_too(stub: Any, replicas: list[Replica]) -> None:
    with pytest.raises(RemoteError) as refusal:
        await leader_of(stub)
    assert refusal.value.reason == "not_leading"
    assert [replica.asked for replica in replicas] == [1, 1]


async def test_a_decision_is_not_asked_for_twice(stub: Any) -> None:
    with pytest.raises(RemoteError) as refusal:
        await stub.ListMarkets(trading_pb2.ListMarketsRequest())
    assert refusal.value.reason == "no"


async def test_a_leader_that_stands_still_leaves_time_to_ask_the_other(stub: Any, replicas: list[Replica]) -> None:
    replicas[0].leads = replicas[0].stands_still = replicas[1].leads = True
    assert await leader_of(stub) == 2
    assert replicas[0].asked == 1


async def test_a_silent_stream_moves_to_the_other_and_takes_all_others_along(
    stub: Any, replicas: list[Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    replicas[0].leads = True
    orders = stub.EnterOrders()
    await orders.write(trading_pb2.EnterOrdersRequest(correlation_id=7))
    assert (await orders.read()).correlation_id == 7
    heard: list[int] = []

    async def watch() -> None:
        async for message in follow(lambda: stub.WatchEvents(trading_pb2.WatchEventsRequest()), name="watch"):
            heard[:] = [*heard, message.batch]

    monkeypatch.setattr(stub, "WatchEvents", _impatient(stub.WatchEvents))
    watching = asyncio.create_task(watch())
    await eventually(lambda: heard)
    replicas[0].stands_still, replicas[1].leads = True, True
    with pytest.raises(RemoteError) as moved:
        await orders.read()
    assert moved.value.reason == "not_leading"
    await eventually(lambda: heard[-1] == 2)
    again = stub.EnterOrders()
    await again.write(trading_pb2.EnterOrdersRequest(correlation_id=8))
    assert (await again.read()).correlation_id == 8
    again.cancel()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert watching.cancelled()


def _impatient(open_stream: Any) -> Any:
    def call(request: Any) -> Any:
        stream = open_stream(request)
        stream._silence_seconds = 0.3
        return stream

    return call


async def test_one_address_alone_needs_no_search() -> None:
    replica = Replica(1)  # type: ignore[abstract]
    replica.leads = True
    async with serve(
        [(trading_pb2_grpc.add_TradingServiceServicer_to_server, replica, NAME)], plays="trading"
    ) as address:
        channel = open_leader_channel(address, to="trading", identity=identity_of("gateway"))
        assert await leader_of(trading_pb2_grpc.TradingServiceStub(channel)) == 1
        await channel.close()


async def test_a_dead_address_is_passed_over(replicas: list[Replica]) -> None:
    add = trading_pb2_grpc.add_TradingServiceServicer_to_server
    replicas[0].leads = True
    async with serve([(add, replicas[0], NAME)], plays="trading") as address:
        channel = open_leader_channel(f"127.0.0.1:1,{address}", to="trading", identity=identity_of("gateway"))
        await asyncio.wait_for(channel.channel_ready(), 30)
        assert await leader_of(trading_pb2_grpc.TradingServiceStub(channel)) == 1
        await channel.close()
