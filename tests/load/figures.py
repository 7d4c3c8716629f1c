"""What the platform does, measured from outside through its public door."""

import asyncio
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import uuid4

import httpx
import orjson
import psutil
import websockets
from local_stack.platform import Platform

from tests.load.http_client import Samples, closed_loop, connect, request_bytes
from tests.load.people import PASSWORD, Person

FIGURE_SECONDS = 5.0
WARM_UP_SECONDS = 1.0
LOGINS_AT_ONCE = 16
LAG_SECONDS = 6.0
# Pairs of market and quantity, each worth a few dollars: above every minimum notional, far below the practice money.
ORDERS = (("BTC-USD", "0.0002"), ("ETH-USD", "0.004"), ("SOL-USD", "0.1"), ("XRP-USD", "20"))


async def price_read(url: str, *, concurrency: int) -> Samples:
    request = request_bytes("GET", "/api/v1/prices")
    return await closed_loop(
        url, concurrency=concurrency, duration_seconds=FIGURE_SECONDS, next_request=lambda _c, _t: request, expect=200
    )


async def portfolio_read(url: str, people: list[Person], *, concurrency: int = 1) -> Samples:
    requests = [request_bytes("GET", "/api/v1/portfolio", headers=person.headers) for person in people]
    return await closed_loop(
        url,
        concurrency=concurrency,
        duration_seconds=FIGURE_SECONDS,
        next_request=lambda client, turn: requests[(client + turn) % len(requests)],
        expect=200,
    )


async def logins(url: str, people: list[Person], *, concurrency: int, duration_seconds: float) -> Samples:
    requests = [_login(person) for person in people]
    return await closed_loop(
        url,
        concurrency=concurrency,
        duration_seconds=duration_seconds,
        next_request=lambda client, turn: requests[(client + turn) % len(requests)],
        expect=200,
    )


def _login(person: Person) -> bytes:
    body = {"email": person.email, "password": PASSWORD, "delivery": "body"}
    return request_bytes("POST", "/api/v1/auth/login", body=orjson.dumps(body))


async def orders(url: str, people: list[Person], *, concurrency: int, duration_seconds: float) -> Samples:
    """Market orders, each client on a person of his own, buying and selling the same amount in turn."""
    turns = count()

    def next_request(client: int, turn: int) -> bytes:
        market, quantity = ORDERS[client % len(ORDERS)]
        side = "buy" if turn % 2 == 0 else "sell"
        body = orjson.dumps({"market": market, "side": side, "type": "market", "quantity": quantity})
        headers = people[client % len(people)].headers | {"Idempotency-Key": f"bench-{run}-{next(turns)}"}
        return request_bytes("POST", "/api/v1/orders", headers=headers, body=body)

    run = uuid4().hex
    return await closed_loop(
        url, concurrency=concurrency, duration_seconds=duration_seconds, next_request=next_request, expect=201
    )


async def refreshes(url: str, people: list[Person], *, duration_seconds: float) -> Samples:
    """One client at a time refreshes its session, rotating through the people; tokens are kept for the next turn."""
    samples = Samples()
    connection = await connect(url)
    begun = time.perf_counter()
    for turn in count():
        if time.perf_counter() - begun > duration_seconds:
            break
        person = people[turn % len(people)]
        body = orjson.dumps({"refresh_token": person.refresh_token, "delivery": "body"})
        request = request_bytes("POST", "/api/v1/auth/refresh", body=body)
        sent = time.perf_counter()
        reply = await connection.send(request)
        samples.statuses[reply.status] = samples.statuses.get(reply.status, 0) + 1
        if reply.status != httpx.codes.OK:
            samples.unexpected = reply.body
            break
        samples.seconds.append(time.perf_counter() - sent)
        answer = orjson.loads(reply.body)
        person.access_token, person.refresh_token = answer["access_token"], answer["refresh_token"]
    samples.wall_seconds = time.perf_counter() - begun
    connection.close()
    return samples


async def while_logging_in(url: str, people: list[Person], measured: Any) -> Samples:
    """Awaits `measured` while 16 clients log in without pause."""
    flood = asyncio.create_task(
        logins(url, people, concurrency=LOGINS_AT_ONCE, duration_seconds=FIGURE_SECONDS + WARM_UP_SECONDS)
    )
    await asyncio.sleep(WARM_UP_SECONDS)
    samples: Samples = await measured
    await flood
    return samples


async def price_lag(websocket_url: str) -> list[float]:
    """Seconds from the time a price carries to its arrival at one WebSocket subscriber."""
    lags: list[float] = []
    async with websockets.connect(websocket_url) as socket:
        await socket.send(json.dumps({"op": "subscribe", "channel": "prices"}))
        ends = time.monotonic() + LAG_SECONDS
        while time.monotonic() < ends:
            message = orjson.loads(await socket.recv())
            if message.get("type") == "update":
                arrived = datetime.now(UTC)
                lags += [
                    (arrived - datetime.fromisoformat(price["time"])).total_seconds() for price in _prices(message)
                ]
    return sorted(lags)


def _prices(message: dict[str, Any]) -> list[dict[str, Any]]:
    data = message["data"]
    return list(data["items"] if isinstance(data, dict) else data)


def cpu_seconds(platform: Platform, names: Sequence[str]) -> dict[str, float]:
    """User and system time so far, by process name."""
    return {name: sum(_cpu(pid) for pid in platform.pids(name)) for name in names}


def _cpu(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def megabytes(platform: Platform, names: Sequence[str]) -> dict[str, float]:
    """Memory by process name. Of a page that several processes share, each has its part (PSS)."""
    found = {name: sum(_proportional_bytes(pid) for pid in platform.pids(name)) / 2**20 for name in names}
    if platform.nursery_pid is not None:
        found["nursery"] = _proportional_bytes(platform.nursery_pid) / 2**20
    return found


def _proportional_bytes(pid: int) -> int:
    memory = psutil.Process(pid).memory_full_info()
    return int(getattr(memory, "pss", memory.uss))  # only Linux knows the parts
