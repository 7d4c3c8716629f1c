"""What the five checks look at, and what must be there before the gateway is ready."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
from chassis.errors import RemoteBugError, RemoteError
from cryptovault.market_data.v1 import market_data_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from redis.asyncio import Redis

from gateway.clients.order_entry import OrderEntry
from gateway.prices.board import PriceBoard
from gateway.routes.health import Check, CheckResult, check_cpu, check_memory

if TYPE_CHECKING:
    from cryptovault.market_data.v1.market_data_pb2_grpc import MarketDataServiceAsyncStub  # for type checkers only

_ASK_SECONDS_MAX = 0.8  # within a check's second


@dataclass(frozen=True, slots=True)
class Part:
    """A service we call. Its health says SERVING only while all it stands on answers, its database included."""

    channel: grpc.aio.Channel
    owns_database: bool


class HealthChecks:
    def __init__(
        self,
        *,
        parts: Mapping[str, Part],
        redis: Redis,
        market_data: "MarketDataServiceAsyncStub",
        board: PriceBoard,
        order_entry: OrderEntry,
    ) -> None:
        self._parts = parts
        self._redis = redis
        self._market_data = market_data
        self._board = board
        self._order_entry = order_entry

    def all(self) -> dict[str, Check]:
        """The five, by name."""
        return {
            "database": self._check_database,
            "redis": self._check_redis,
            "price_provider": self._check_price_provider,
            "memory": check_memory,
            "cpu": check_cpu,
        }

    async def missing(self) -> list[str]:
        """What is not ready yet, by name."""
        names = list(self._parts)
        serving = await asyncio.gather(*(_is_serving(part.channel) for part in self._parts.values()))
        missing = [name for name, is_serving in zip(names, serving, strict=True) if not is_serving]
        if not await _answers(self._redis):
            missing.append("redis")
        if not self._board.filled:
            missing.append("prices")
        if not self._order_entry.connected:
            missing.append("order-stream")
        return missing

    async def _check_database(self) -> CheckResult:
        owners = {name: part for name, part in self._parts.items() if part.owns_database}
        serving = await asyncio.gather(*(_is_serving(part.channel) for part in owners.values()))
        facts = {
            name: "serving" if is_serving else "not serving" for name, is_serving in zip(owners, serving, strict=True)
        }
        if all(serving):
            return CheckResult("ok", facts)
        return CheckResult("degraded" if any(serving) else "down", facts)

    async def _check_redis(self) -> CheckResult:
        return CheckResult("ok" if await _answers(self._redis) else "down", {})

    async def _check_price_provider(self) -> CheckResult:
        status = await self._market_data.GetProviderStatus(
            market_data_pb2.GetProviderStatusRequest(), timeout=_ASK_SECONDS_MAX
        )
        facts = {"source": status.source}
        if status.HasField("last_success"):
            facts["last_success"] = status.last_success.ToJsonString()
        if status.problem:
            facts["problem"] = status.problem
        return CheckResult("ok" if status.available else "down", facts)


async def _is_serving(channel: grpc.aio.Channel) -> bool:
    stub: Any = health_pb2_grpc.HealthStub(channel)  # its type stubs name no methods
    request = health_pb2.HealthCheckRequest(service="")
    try:
        answer = await stub.Check(request, timeout=_ASK_SECONDS_MAX)
    except (RemoteError, RemoteBugError):
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def _answers(redis: Redis) -> bool:
    try:
        async with asyncio.timeout(_ASK_SECONDS_MAX):
            return bool(await redis.ping())
    except Exception:  # noqa: BLE001 - whatever it raises, it does not answer
        return False
