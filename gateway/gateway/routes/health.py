"""Is it alive, is it ready, and the five checks: database, Redis, price provider, memory, CPU."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from chassis.clock import Clock
from starlette.requests import Request
from starlette.responses import Response

from gateway.admission.policy import Access
from gateway.edge.replies import json_reply
from gateway.edge.shedding import Urgency
from gateway.errors import unavailable
from gateway.prices.shared_answer import SharedAnswer
from gateway.routes.endpoint import Endpoint
from gateway.schemas.health import Health, Live
from gateway.views.times import datetime_text

State = Literal["ok", "degraded", "down"]

CHECK_SECONDS_MAX = 1.0
FRESH_SECONDS = 1.0  # however many ask, the parts are asked once a second
_MEMORY_FREE_MIN = 0.05  # below it the kernel begins to kill
_LOAD_MAX = 4.0  # runnable processes per core; above it everything waits
_MEMORY_TABLE = Path("/proc/meminfo")


@dataclass(frozen=True, slots=True)
class CheckResult:
    state: State
    facts: Mapping[str, str]


Check = Callable[[], Awaitable[CheckResult]]


class HealthRoutes:
    """`ready` says what is missing before requests can be served; empty when nothing is."""

    def __init__(self, checks: Mapping[str, Check], ready: Callable[[], Awaitable[list[str]]], clock: Clock) -> None:
        self._checks = checks
        self._clock = clock
        self._report = SharedAnswer(self._run_all, clock, fresh_seconds=FRESH_SECONDS)
        self._missing = SharedAnswer(ready, clock, fresh_seconds=FRESH_SECONDS / 4)

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                method="GET", path="/health", handler=self.health, access=Access.PUBLIC, limit=None,
                shed_as=Urgency.HEALTH,
                operation_id="getHealth", summary="The five checks with their state and time", tag="health",
                description="`database` asks the services that own one: a service serves only while its database "
                "answers. 503 where the database or Redis is down.",
                reply=Health, also_under=(503,),
            ),
            Endpoint(
                method="GET", path="/health/live", handler=self.live, access=Access.PUBLIC, limit=None,
                shed_as=Urgency.HEALTH,
                operation_id="getLiveness", summary="The process answers", tag="health", reply=Live,
            ),
            Endpoint(
                method="GET", path="/health/ready", handler=self.ready, access=Access.PUBLIC, limit=None,
                shed_as=Urgency.HEALTH,
                operation_id="getReadiness", summary="Requests can be served", tag="health", reply=Live,
            ),
        ]  # fmt: skip

    async def health(self, _request: Request) -> Response:
        report = await self._report.get()
        return json_reply(report, status=503 if report["status"] == "down" else 200)

    async def live(self, _request: Request) -> Response:
        return json_reply({"status": "ok"})

    async def ready(self, _request: Request) -> Response:
        missing = await self._missing.get()
        if missing:
            raise unavailable("The platform is not ready yet.", reason="not_ready", missing=", ".join(missing))
        return json_reply({"status": "ok"})

    async def _run_all(self) -> dict[str, Any]:
        results = await asyncio.gather(*(self._run(check) for check in self._checks.values()))
        checks = dict(zip(self._checks, results, strict=True))
        states = {name: check["status"] for name, check in checks.items()}
        status: State = "ok" if set(states.values()) == {"ok"} else "degraded"
        if "down" in {states.get("database"), states.get("redis")}:
            status = "down"
        return {"status": status, "time": datetime_text(self._clock.now()), "checks": checks}

    async def _run(self, check: Check) -> dict[str, Any]:
        started = time.perf_counter()
        try:
            async with asyncio.timeout(CHECK_SECONDS_MAX):
                result = await check()
        except Exception as error:  # noqa: BLE001 - whatever a check raises, its part is down
            result = CheckResult("down", {"problem": type(error).__name__})
        return {
            "status": result.state,
            "duration_ms": round((time.perf_counter() - started) * 1000, 3),
            "checked_at": datetime_text(self._clock.now()),
            "details": dict(result.facts),
        }


async def check_memory() -> CheckResult:
    """How much of the machine's memory can still be had."""
    text = _MEMORY_TABLE.read_text(encoding="ascii")  # noqa: ASYNC240 - a file of the kernel's, always in memory
    table = dict(line.split(":", 1) for line in text.splitlines())
    total, free = (int(table[name].split()[0]) for name in ("MemTotal", "MemAvailable"))
    state: State = "degraded" if free < total * _MEMORY_FREE_MIN else "ok"
    return CheckResult(state, {"available_megabytes": str(free // 1024), "total_megabytes": str(total // 1024)})


async def check_cpu() -> CheckResult:
    """How many processes wait for each core."""
    load = os.getloadavg()[0]
    cores = os.cpu_count() or 1
    state: State = "degraded" if load > cores * _LOAD_MAX else "ok"
    return CheckResult(state, {"load_1m": f"{load:.2f}", "cores": str(cores)})
