"""What the door costs: who asks and how often they may, against the same door without; and a flood of sign-ins."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from statistics import median

import orjson
import psutil
from chassis.clock import SystemClock
from gateway.admission.gate import LimitKey, Nonce, RedisGate
from gateway.admission.redis_line import RedisLine
from gateway.admission.signatures import NONCE_MILLISECONDS
from local_stack.platform import Platform
from redis.asyncio import Redis

from tests.load import figures
from tests.load.floors import floor_process, free_port
from tests.load.http_client import Samples, closed_loop, connect, request_bytes
from tests.load.people import PASSWORD, Person
from tests.load.siege import siege
from tests.load.table import Row, against

READ = (
    "/api/v1/wallet/balances"  # from the leader's memory: of all private reads the one that costs least behind the door
)
READ_CONCURRENCY = 16
READ_SECONDS = 3.0
ROUNDS = 3  # of both doors in turn, so that a machine that slows down slows both
GATE_CALLS, GATE_ROUNDS = 200, 20
LOGINS_PER_SECOND = 50
FLOOD_SECONDS = 12.0
ORDER_CLIENTS = 4
_MICRO, _MILLI = 1e6, 1e3


async def door_rows(platform: Platform, people: list[Person]) -> list[Row]:
    guarded, unguarded = await _read_microseconds(platform, people)
    call, signed, get = await _gate_microseconds(platform.redis_url)
    calm, besieged = await _besieged(platform.gateway_url, people)
    quiet, flooded, flood = await _flood(platform.gateway_url, people)
    label = f"while {LOGINS_PER_SECOND} logins/s are offered"
    return [
        against(
            f"private read, {READ_CONCURRENCY} clients, CPU of the gateway, against none asked", guarded, "µs",
            floor=unguarded, goal="<= 1.6",
        ),
        against("revocation and limits, against a bare Redis GET", call, "µs", floor=get, goal="<= 2.2"),
        against("the same of a signed request, with its nonce", signed, "µs", floor=get, goal="<= 2.2"),
        against(
            f"private read, {READ_CONCURRENCY} clients, p99 besieged", besieged.percentile(99) * _MILLI, "ms",
            floor=calm.percentile(99) * _MILLI, goal="<= 2",
        ),
        Row(name=f"logins that succeed {label}", value=flood.rate, unit="logins/s", goal=">= 4"),
        against(
            f"order, {ORDER_CLIENTS} clients, p99 {label}", flooded.percentile(99) * _MILLI, "ms",
            floor=quiet.percentile(99) * _MILLI, goal="<= 2",
        ),
    ]  # fmt: skip


async def _read_microseconds(platform: Platform, people: list[Person]) -> tuple[float, float]:
    """CPU of the gateway's process per request: as it is, and with a door that lets everybody in as one person."""
    environment = platform.environment("gateway") | {"BENCH_USER": people[0].user_id}
    async with (
        floor_process("gateway", guarded_port := free_port(), 0, environment=environment) as guarded,
        floor_process("gateway", open_port := free_port(guarded_port + 1), 1, environment=environment) as unguarded,
    ):
        request = request_bytes("GET", READ, headers=people[0].headers)
        spent: dict[int, list[float]] = {guarded_port: [], open_port: []}
        for _ in range(ROUNDS):
            for port, pid in ((guarded_port, guarded.pid), (open_port, unguarded.pid)):
                spent[port].append(await _cpu_per_request(f"http://127.0.0.1:{port}", pid, request))
        return median(spent[guarded_port]) * _MICRO, median(spent[open_port]) * _MICRO


async def _cpu_per_request(url: str, pid: int, request: bytes) -> float:
    before = _cpu_seconds(pid)
    samples = await closed_loop(
        url, concurrency=READ_CONCURRENCY, duration_seconds=READ_SECONDS, next_request=lambda _c, _t: request,
        expect=200,
    )  # fmt: skip
    if not samples.seconds or samples.unexpected:
        raise RuntimeError(f"unexpected replies {samples.statuses}: {samples.unexpected[:500].decode()}")
    return (_cpu_seconds(pid) - before) / len(samples.seconds)


def _cpu_seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


async def _gate_microseconds(redis_url: str) -> tuple[float, float, float]:
    """One call after the other: what a request asks (is its session over, two limits), what a signed one does (three
    limits and a nonce), and a GET of a key that is.
    """
    async with Redis.from_url(redis_url) as redis:
        gate = RedisGate(RedisLine(redis_url), SystemClock())
        limits = [LimitKey(f"bench:limit:{number}", 60_000_000) for number in range(3)]
        until = int(time.time() * 1000) + NONCE_MILLISECONDS
        nonces = (Nonce(f"bench:nonce:{number}", until) for number in count())
        revoked = ("bench:revoked",)
        await redis.set("bench:get", b"1")
        calls: list[float] = []
        signed: list[float] = []
        gets: list[float] = []
        for _ in range(GATE_ROUNDS):
            calls.append(await _seconds_per_call(lambda: gate.ask(revoked, limits[:2])))
            signed.append(await _seconds_per_call(lambda: gate.ask(revoked, limits, next(nonces))))
            gets.append(await _seconds_per_call(lambda: redis.get("bench:get")))
        await gate.close()
        return median(calls) * _MICRO, median(signed) * _MICRO, median(gets) * _MICRO


async def _seconds_per_call(call: Callable[[], Awaitable[object]]) -> float:
    begun = time.perf_counter()
    for _ in range(GATE_CALLS):
        await call()
    return (time.perf_counter() - begun) / GATE_CALLS


@dataclass(slots=True)
class Flood:
    """What became of logins that were sent on time, whether or not those before had been answered."""

    succeeded: int = 0
    refused: int = 0

    @property
    def rate(self) -> float:
        return self.succeeded / FLOOD_SECONDS


async def _besieged(url: str, people: list[Person]) -> tuple[Samples, Samples]:
    """Private reads in peace, and while strangers hold 600 connections and send bodies of 30 MB."""
    request = request_bytes("GET", READ, headers=people[0].headers)

    async def reads() -> Samples:
        return await closed_loop(
            url, concurrency=READ_CONCURRENCY, duration_seconds=figures.FIGURE_SECONDS,
            next_request=lambda _c, _t: request, expect=200,
        )  # fmt: skip

    calm = await reads()
    async with siege(url):
        besieged = await reads()
    if besieged.unexpected:
        raise RuntimeError(f"unexpected replies {besieged.statuses}: {besieged.unexpected[:500].decode()}")
    return calm, besieged


async def _flood(url: str, people: list[Person]) -> tuple[Samples, Samples, Flood]:
    async def orders() -> Samples:
        return await figures.orders(url, people, concurrency=ORDER_CLIENTS, duration_seconds=FLOOD_SECONDS)

    await figures.orders(url, people, concurrency=ORDER_CLIENTS, duration_seconds=figures.WARM_UP_SECONDS)
    quiet = await orders()
    flood = Flood()
    flooding = asyncio.create_task(_offer_logins(url, people, flood))
    flooded = await orders()
    await flooding
    if not flood.refused:
        raise RuntimeError("every login was answered: that was no flood")
    return quiet, flooded, flood


async def _offer_logins(url: str, people: list[Person], flood: Flood) -> None:
    begun = time.perf_counter()

    async def one(number: int) -> None:
        person = people[number % len(people)]
        body = orjson.dumps({"email": person.email, "password": PASSWORD, "delivery": "body"})
        await asyncio.sleep(max(0.0, begun + number / LOGINS_PER_SECOND - time.perf_counter()))
        connection = await connect(url)
        try:
            reply = await connection.send(request_bytes("POST", "/api/v1/auth/login", body=body))
        finally:
            connection.close()
        if reply.status == 200 and time.perf_counter() - begun <= FLOOD_SECONDS:
            flood.succeeded += 1
        elif reply.status != 200:
            flood.refused += 1

    async with asyncio.TaskGroup() as group:
        for number in range(int(LOGINS_PER_SECOND * FLOOD_SECONDS)):
            group.create_task(one(number))
