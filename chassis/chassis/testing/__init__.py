"""What every service's tests stand on: time and ids that do as told, servicers over real gRPC, waiting by condition."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, overload
from uuid import UUID

from chassis.errors import RemoteError
from chassis.grpc_server import AddServicer, GrpcServer, Translation
from chassis.ids import uuid7
from chassis.testing.services import identity_of
from chassis.trust.service_identity import ServiceIdentity

_POLL_FIRST_SECONDS = 0.01
_POLL_MAX_SECONDS = 0.1  # a long wait asks less often: asking takes the processor from what is waited for

# For a machine on which others want the processor too. A test that passes never waits so long.
EVENTUALLY_SECONDS = 20.0

T = TypeVar("T")


class FixedClock:
    """Stands still until told to advance; wall and monotonic time move together."""

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = now
        self._monotonic = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds


class SequentialIds:
    """Valid UUIDs version 7 that count 1, 2, 3, ..."""

    def __init__(self) -> None:
        self._count = 0

    def new(self) -> UUID:
        self._count += 1
        return uuid7(milliseconds=0, counter=0, tail=self._count)


@overload
async def eventually(check: Callable[[], Awaitable[T]], timeout_seconds: float = EVENTUALLY_SECONDS) -> T: ...
@overload
async def eventually(check: Callable[[], T], timeout_seconds: float = EVENTUALLY_SECONDS) -> T: ...
async def eventually(check: Callable[[], Any], timeout_seconds: float = EVENTUALLY_SECONDS) -> Any:
    """Call `check` (plain or async) until it returns something true, and return that.

    While it raises AssertionError or RemoteError it is tried again. At the end the last of these is raised.
    """
    deadline = asyncio.get_running_loop().time() + timeout_seconds
    pause = _POLL_FIRST_SECONDS
    while True:
        problem: Exception
        try:
            outcome = check()
            value = await outcome if inspect.isawaitable(outcome) else outcome
            if value:
                return value
            problem = AssertionError(f"still {value!r} after {timeout_seconds} s")
        except (AssertionError, RemoteError) as error:
            problem = error
        if asyncio.get_running_loop().time() >= deadline:
            raise problem
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, _POLL_MAX_SECONDS)


@asynccontextmanager
async def serve(
    servicers: Iterable[tuple[AddServicer, Any, str]],
    *,
    plays: str | ServiceIdentity,
    translations: Sequence[Translation] = (),
) -> AsyncIterator[str]:
    """Run servicers (generated add function, servicer, full service name) on a free port; yields the address.

    The server is the one of production, as the service `plays`: same interceptors, health and options.
    """
    server = GrpcServer("127.0.0.1:0", identity_of(plays) if isinstance(plays, str) else plays, translations)
    for add_to_server, servicer, name in servicers:
        server.add(add_to_server, servicer, name)
    port = await server.start()
    await server.set_serving(serving=True)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(grace_seconds=0.2)


__all__ = ["FixedClock", "SequentialIds", "eventually", "serve"]
