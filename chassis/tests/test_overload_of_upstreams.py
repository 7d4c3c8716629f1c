"""What a channel does when the service behind it is gone, hangs, or answers that it cannot: over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from chassis.circuit_breaker import FAILURES_MAX, CircuitOpen
from chassis.embedded.ports import free_port_block
from chassis.errors import ErrorKind, NoAnswer, RemoteBugError, RemoteError, Unavailable
from chassis.grpc_client import open_channel
from chassis.grpc_server import GrpcServer
from chassis.retry_budget import BURST, RATIO
from chassis.testing import FixedClock, eventually, serve
from chassis.testing.services import identity_of
from cryptovault.notifications.v1 import notifications_pb2, notifications_pb2_grpc
from cryptovault.portfolio.v1 import portfolio_pb2, portfolio_pb2_grpc

PORTFOLIO = "cryptovault.portfolio.v1.PortfolioService"
READ = portfolio_pb2.GetPortfolioRequest()
Behaviour = Callable[[Any], Awaitable[None]]


class Upstream(portfolio_pb2_grpc.PortfolioServiceServicer):
    """Counts what reaches it, and does as told."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.calls = 0

    async def GetPortfolio(self, request: Any, context: Any) -> portfolio_pb2.GetPortfolioResponse:  # noqa: N802
        self.calls += 1
        await self.behaviour(context)
        return portfolio_pb2.GetPortfolioResponse()

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        async with serve(
            [(portfolio_pb2_grpc.add_PortfolioServiceServicer_to_server, self, PORTFOLIO)], plays="portfolio"
        ) as address:
            yield address


async def works(_context: Any) -> None:
    return


async def breaks_off(context: Any) -> None:
    """As a process does that dies or stops in the middle: the status of the transport, no word of ours."""
    await context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")


async def refuses(_context: Any) -> None:
    raise Unavailable("The price is stale.")


async def is_broken(_context: Any) -> None:
    raise ValueError("a bug")


async def hangs(_context: Any) -> None:
    await asyncio.sleep(60)


@asynccontextmanager
async def reader(
    address: str, *, clock: FixedClock | None = None, deadline_seconds: float = 10.0
) -> AsyncIterator[Any]:
    """Calls GetPortfolio. A fixed clock keeps a circuit open for as long as a test wants."""
    async with open_channel(
        address, to="portfolio", identity=identity_of("gateway"), deadline_seconds=deadline_seconds, clock=clock
    ) as channel:
        yield portfolio_pb2_grpc.PortfolioServiceStub(channel).GetPortfolio


async def test_a_read_that_found_nobody_is_asked_once_more_and_may_succeed() -> None:
    async def breaks_off_once(context: Any) -> None:
        if upstream.calls == 1:
            await breaks_off(context)

    upstream = Upstream(breaks_off_once)
    async with upstream.served() as address, reader(address) as read:
        await read(READ)
    assert upstream.calls == 2


async def test_a_read_is_not_asked_a_third_time() -> None:
    upstream = Upstream(breaks_off)
    async with upstream.served() as address, reader(address) as read:
        with pytest.raises(NoAnswer):
            await read(READ)
    assert upstream.calls == 2


@pytest.mark.parametrize("behaviour", [refuses, is_broken])
async def test_an_answer_is_an_answer_and_neither_repeated_nor_counted(behaviour: Behaviour) -> None:
    """UNAVAILABLE on purpose too: a stale price, a history that is behind."""
    upstream = Upstream(behaviour)
    async with upstream.served() as address, reader(address) as read:
        for _ in range(FAILURES_MAX * 4):
            with pytest.raises((RemoteError, RemoteBugError)) as refusal:
                await read(READ)
            assert not isinstance(refusal.value, CircuitOpen)
    assert upstream.calls == FAILURES_MAX * 4


async def test_a_command_is_never_repeated_by_itself() -> None:
    class Notifications(notifications_pb2_grpc.NotificationsServiceServicer):
        calls = 0

        async def SendCode(self, request: Any, context: Any) -> notifications_pb2.SendCodeResponse:  # noqa: N802
            self.calls += 1
            await breaks_off(context)
            raise AssertionError

    upstream = Notifications()
    add = notifications_pb2_grpc.add_NotificationsServiceServicer_to_server
    name = "cryptovault.notifications.v1.NotificationsService"
    async with (
        serve([(add, upstream, name)], plays="notifications") as address,
        open_channel(address, to="notifications", identity=identity_of("auth"), deadline_seconds=10) as channel,
    ):
        with pytest.raises(NoAnswer):
            await notifications_pb2_grpc.NotificationsServiceStub(channel).SendCode(notifications_pb2.SendCodeRequest())
    assert upstream.calls == 1


async def test_under_total_failure_repeats_stay_within_the_budget() -> None:
    """Every fourth call is answered, so that the circuit never opens and only the budget holds."""
    asked = 200

    async def mostly_breaks_off(context: Any) -> None:
        if upstream.calls % 4:
            await breaks_off(context)

    upstream = Upstream(mostly_breaks_off)
    async with upstream.served() as address, reader(address) as read:
        for _ in range(asked):
            try:
                await read(READ)
            except NoAnswer as error:
                assert not isinstance(error, CircuitOpen)  # noqa: PT017 - others do not raise at all
    assert asked < upstream.calls <= asked * (1 + RATIO) + BURST


async def test_a_dead_upstream_opens_the_circuit_and_a_single_try_closes_it() -> None:
    clock, port = FixedClock(), free_port_block()
    upstream = Upstream(works)
    async with reader(f"127.0.0.1:{port}", clock=clock) as read:
        for _ in range(FAILURES_MAX):
            with pytest.raises(RemoteError):
                await read(READ)
        # It is back, and not asked: the circuit is open.
        server = GrpcServer(f"127.0.0.1:{port}", identity_of("portfolio"))
        server.add(portfolio_pb2_grpc.add_PortfolioServiceServicer_to_server, upstream, PORTFOLIO)
        await server.start()
        for _ in range(100):
            with pytest.raises(CircuitOpen) as refusal:
                await read(READ)
        assert (refusal.value.kind, refusal.value.details["retry_after_seconds"]) == (ErrorKind.UNAVAILABLE, "1")
        assert upstream.calls == 0

        async def answers() -> bool:
            clock.advance(
                1.0
            )  # the channel itself may still wait to reconnect; then the try fails, and there is another
            await read(READ)
            return True

        await eventually(answers)
        assert upstream.calls == 1
        await asyncio.gather(*(read(READ) for _ in range(20)))
        await server.stop(grace_seconds=0.1)
    assert upstream.calls == 21


async def test_an_upstream_that_hangs_opens_the_circuit() -> None:
    upstream = Upstream(hangs)
    async with upstream.served() as address, reader(address, clock=FixedClock(), deadline_seconds=0.2) as read:
        silent = await asyncio.gather(*(read(READ) for _ in range(FAILURES_MAX)), return_exceptions=True)
        assert all(isinstance(error, NoAnswer) and error.reason == "deadline_exceeded" for error in silent)
        with pytest.raises(CircuitOpen):
            await read(READ)
    assert upstream.calls == FAILURES_MAX


async def test_calls_that_had_too_little_time_say_nothing_about_the_upstream() -> None:
    upstream = Upstream(hangs)
    async with upstream.served() as address, reader(address, clock=FixedClock()) as read:

        async def hurried() -> None:
            from chassis.deadlines import set_deadline  # noqa: PLC0415 - of this task alone

            set_deadline(0.05)
            await read(READ)

        for _ in range(FAILURES_MAX * 2):
            with pytest.raises(NoAnswer):
                await asyncio.create_task(hurried())
        upstream.behaviour = works
        await read(READ)
