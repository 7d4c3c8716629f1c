"""A whole gateway over stand-in services, real gRPC, real Redis, real HTTP."""

import asyncio
import contextlib
import importlib.util
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from chassis.clock import Clock, SystemClock
from chassis.ids import RandomIds
from chassis.settings import Profile
from chassis.testing import eventually
from chassis.testing.services import identity_of
from gateway.admission.csrf_tokens import PURPOSE, CsrfTokens
from gateway.admission.revocations import ALL_HERE_KEY
from gateway.bootstrap import Gateway, build, connection_limits, run
from gateway.edge.http_server import HttpServer
from gateway.settings import GatewaySettings
from redis.asyncio import Redis

if TYPE_CHECKING:
    from stand_ins import Platform

# Test folders are no packages: what several test files share is loaded by its path, once.
for _name in (
    "facts", "number_bodies", "auth_stand_in", "trading_stand_in", "stand_ins", "replies", "sockets", "raw_http",
    "paths", "added_routes", "signed_requests",
):  # fmt: skip
    _spec = importlib.util.spec_from_file_location(_name, Path(__file__).parent / f"{_name}.py")
    if _name not in sys.modules and _spec is not None and _spec.loader is not None:
        _module = importlib.util.module_from_spec(_spec)
        sys.modules[_name] = _module
        _spec.loader.exec_module(_module)


@dataclass
class Running:
    """A gateway that answers, and the services behind it."""

    client: httpx.AsyncClient
    platform: "Platform"
    gateway: Gateway
    host: str
    port: int

    async def prices_known(self) -> None:
        """Where the gateway as a whole is not ready, its prices may be."""
        await eventually(self._has_prices)

    async def _has_prices(self) -> bool:
        return (await self.client.get("/api/v1/prices")).status_code == httpx.codes.OK

    async def prices_limited(self) -> httpx.Response:
        """Until its line to Redis stands a gateway counts by itself, so the first two may both be answered."""
        return await eventually(self._limited)

    async def _limited(self) -> httpx.Response | None:
        reply = await self.client.get("/api/v1/prices")
        return reply if reply.status_code == httpx.codes.TOO_MANY_REQUESTS else None

    def now(self) -> int:
        return int(time.time())

    def token(self, **claims: Any) -> str:
        return self.platform.minter.token(self.now(), **claims)

    def bearer(self, **claims: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(**claims)}"}

    def csrf_token(self, *, session_id: str | None = None, refresh_token: str = "") -> str:
        """As every gateway makes them; for the session of `token()` where none is named."""
        session_id = session_id or self.platform.minter.claims(0)["sid"]
        tokens = CsrfTokens(identity_of("gateway").own_secrets(PURPOSE))
        return tokens.issue(session_id=session_id, refresh_token=refresh_token or "refresh-secret-1")


Start = Callable[..., AbstractAsyncContextManager[Running]]


@asynccontextmanager
async def start_gateway(
    redis_url: str, *, ready: bool = True, clock: Clock | None = None, **changes: Any
) -> AsyncIterator[Running]:
    from stand_ins import Platform  # noqa: PLC0415 - loaded above, by path

    async with Platform(now=lambda: int(time.time())) as platform:
        settings = GatewaySettings(
            **{
                "profile": Profile.TEST,
                "redis_url": redis_url,
                "listen": "127.0.0.1:0",
                **{f"{name}_address": address for name, address in platform.addresses.items()},
                **changes,
            }
        )
        gateway = build(settings, identity=identity_of("gateway"), clock=clock or SystemClock(), ids=RandomIds())
        server = HttpServer(
            gateway.door, host="127.0.0.1", port=0, connections=connection_limits(settings), stop_seconds=1
        )
        running = asyncio.create_task(run(gateway, server))
        try:
            port = await server.listening()
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                up = Running(client, platform, gateway, "127.0.0.1", port)
                if ready:
                    await eventually(lambda: _is_ready(client), 60)
                    await client.get("/api/v1/markets")
                yield up
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
            await gateway.close()


async def _is_ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/health/ready")).status_code == 200


@pytest.fixture
async def redis_url(redis_url: str) -> str:
    """Empty but for what auth leaves there: all of no revocations."""
    async with Redis.from_url(redis_url) as client:
        await client.set(ALL_HERE_KEY, b"1")
    return redis_url


@pytest.fixture(scope="session")
async def shared_gateway(redis_server_url: str) -> AsyncIterator[Running]:
    async with start_gateway(redis_server_url) as running:
        yield running


@pytest.fixture
async def up(shared_gateway: Running, redis_url: str) -> Running:
    """One gateway for all tests that leave no trace in it; services and Redis are as new."""
    shared_gateway.platform.reset()
    return shared_gateway


@pytest.fixture
async def fresh(redis_url: str) -> AsyncIterator[Running]:
    """A gateway of one's own, for tests that end sessions, kill services or watch what is remembered."""
    async with start_gateway(redis_url) as running:
        yield running


@pytest.fixture
def start(redis_url: str) -> Start:
    """Starts gateways with settings of their own."""
    return lambda **changes: start_gateway(changes.pop("redis_url", redis_url), **changes)
