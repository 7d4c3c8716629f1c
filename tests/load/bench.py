"""`make bench`: starts the platform under the `bench` profile, measures it and its floors in one run, prints the table
and writes `.local/bench.json`. `SCOPE=core`, `stream`, `audit`, `start`, `door` or `burst`: that alone, and nothing is
written.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import httpx
import uvloop
from local_stack.platform import Platform

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # so that `python tests/load/bench.py` finds its siblings

from tests.load import figures, floors, following, order_stream, table
from tests.load.audit_trail import audit_rows
from tests.load.call_proof import proof_rows
from tests.load.core import core_rows
from tests.load.door import door_rows
from tests.load.http_client import Samples
from tests.load.order_parts import part_rows
from tests.load.people import Person, sign_up
from tests.load.start_of_trading import start_rows
from tests.load.table import Row, against

RESULT = Path(__file__).resolve().parents[2] / ".local" / "bench.json"
PEOPLE = 64
SIGN_UPS_AT_ONCE = 4  # a sign-up is mostly one password hash; more at once only wait
READ_CONCURRENCY = 16
ORDER_CONCURRENCY = 64
ORDER_SECONDS = 10.0
LONE_ROUNDS = 4
LONE_SECONDS = 2.0
FLOOR_TURNS = 250  # of each part of a lone order's floor, in each round
MEMORY_GOAL_MEGABYTES = 1536
NOTEWORTHY_SECONDS = 1e-6  # per order; the table leaves out processes that only stand by
_MILLI = 1000.0


def say(text: str) -> None:
    sys.stderr.write(f"bench: {text}\n")


async def main(scope: str) -> int:
    if scope:
        sys.stdout.write(table.as_text(await _SCOPES[scope]()) + "\n")
        return 0
    rows: list[Row] = []
    _add(rows, await _core())
    _add(rows, await proof_rows())
    _add(rows, await _order_stream())
    _add(rows, await _audit_trail())
    _add(rows, await _start())
    with tempfile.TemporaryDirectory(prefix="cryptovault-bench-") as folder:
        say("starting the platform")
        async with Platform(data_dir=Path(folder), profile="bench") as platform:
            names = platform.names
            people = await _people(platform)
            # Their money and mails would be another load beside the first figures.
            await following.peace(platform)
            _add(rows, await _reads(platform, people))
            _add(rows, await _stream(platform))
            _add(rows, await _login_flood(platform, people))
            _add(rows, await _door(platform, people))
            _add(rows, await _orders(platform, people, names))
            _add(rows, await _following(platform, people))
            memory = figures.megabytes(platform, names)
            goal = f"<= {MEMORY_GOAL_MEGABYTES}"
            rows.append(Row(name="memory, whole platform", value=sum(memory.values()), unit="MB", goal=goal))
            rows += [Row(name=f"memory, {name}", value=value, unit="MB") for name, value in memory.items()]
    sys.stdout.write(table.as_text(rows) + "\n")
    table.write(rows, RESULT)
    say(f"written to {RESULT}")
    return 0


async def _core() -> list[Row]:
    say("the exchange core alone, against a bare book and another engine")
    return core_rows()


async def _order_stream() -> list[Row]:
    say("durable orders through one gRPC stream, against one transaction per order")
    with tempfile.TemporaryDirectory(prefix="cryptovault-bench-") as folder:
        # The exchange and its prices alone: the gateway and all that follows an order have their own figures.
        async with Platform(data_dir=Path(folder), profile="bench", only=("trading", "market-data")) as platform:
            transactions = await floors.transactions_per_second(platform.mongo_url)
            await order_stream.pay_everybody(platform)
            await order_stream.run_stream(platform, duration_seconds=order_stream.WARM_UP_SECONDS, name="warm")
            before, own = figures.cpu_seconds(platform, platform.names), time.process_time()
            run = await order_stream.run_stream(platform, duration_seconds=order_stream.STREAM_SECONDS, name="run")
            own = time.process_time() - own
            after = figures.cpu_seconds(platform, platform.names)
    if run.refused:
        raise RuntimeError(f"orders were refused: {run.refused}")
    rate, latencies = run.orders / run.seconds, sorted(run.latencies)
    name = f"orders through one stream, {order_stream.IN_FLIGHT} in flight"
    spent = {"the client": own} | {process: after[process] - before[process] for process in before}
    return [
        Row(name=name, value=rate, unit="orders/s", goal=">= 3000"),
        against(f"{name}, against transactions", rate, "orders/s", floor=transactions),
        *(
            Row(name=f"{name}, p{percent}", value=latencies[len(latencies) * percent // 100] * _MILLI, unit="ms")
            for percent in (50, 99)
        ),
        *(
            Row(name=f"CPU per order of the stream, {process}", value=seconds / run.orders * 1e6, unit="µs")
            for process, seconds in spent.items()
            if seconds / run.orders > NOTEWORTHY_SECONDS
        ),
        *part_rows(),
    ]


async def _audit_trail() -> list[Row]:
    say("the audit trail, against bare inserts and one transaction per entry")
    return await audit_rows()


def _add(rows: list[Row], found: list[Row]) -> None:
    """Shows what was found at once: a run takes two minutes, and one that fails should not be silent until then."""
    rows += found
    for row in found:
        say(f"  {row.name}: {row.value:.4g} {row.unit}" + (f", ratio {row.ratio:.3g}" if row.ratio is not None else ""))


async def _people(platform: Platform) -> list[Person]:
    say(f"signing up {PEOPLE} people")
    gate = asyncio.Semaphore(SIGN_UPS_AT_ONCE)
    async with httpx.AsyncClient(base_url=platform.gateway_url, timeout=30) as client:

        async def one(number: int) -> Person:
            async with gate:
                return await sign_up(client, number)

        return list(await asyncio.gather(*(one(number) for number in range(PEOPLE))))


async def _reads(platform: Platform, people: list[Person]) -> list[Row]:
    say("prices and portfolio, against a raw ASGI reply")
    url = platform.gateway_url
    async with httpx.AsyncClient(base_url=url) as client:
        body_bytes = len((await client.get("/api/v1/prices")).content)
    raw = _checked(await floors.raw_asgi_rate(body_bytes=body_bytes, concurrency=READ_CONCURRENCY))
    prices = _checked(await figures.price_read(url, concurrency=READ_CONCURRENCY))
    portfolio = _checked(await figures.portfolio_read(url, people))
    login = _checked(await figures.logins(url, people, concurrency=1, duration_seconds=figures.FIGURE_SECONDS))
    return [
        against("GET /prices", prices.rate, "replies/s", floor=raw.rate, goal=">= 0.4"),
        Row(name="GET /portfolio, p50", value=portfolio.percentile(50) * _MILLI, unit="ms"),
        Row(name="GET /portfolio, one client", value=portfolio.rate, unit="replies/s"),
        Row(name="POST /auth/login, p50", value=login.percentile(50) * _MILLI, unit="ms"),
    ]


async def _orders(platform: Platform, people: list[Person], names: Sequence[str]) -> list[Row]:
    say("orders, against appends, transactions and a bare route with one hop")
    url = platform.gateway_url
    await figures.orders(url, people, concurrency=4, duration_seconds=figures.WARM_UP_SECONDS)
    await following.peace(platform)
    transactions = await floors.transactions_per_second(platform.mongo_url)
    alone_rows = await _lone_order(platform, people[:1])
    before = figures.cpu_seconds(platform, names)
    many = _checked(await figures.orders(url, people, concurrency=ORDER_CONCURRENCY, duration_seconds=ORDER_SECONDS))
    after = figures.cpu_seconds(platform, names)
    rows = [
        *alone_rows,
        against(f"orders, {ORDER_CONCURRENCY} clients", many.rate, "orders/s", floor=transactions, goal=">= 4"),
        Row(name=f"order, {ORDER_CONCURRENCY} clients, p99", value=many.percentile(99) * _MILLI, unit="ms"),
    ]
    spent = {name: (after[name] - before[name]) / len(many.seconds) * 1e6 for name in names}
    rows.append(Row(name="CPU per order, whole platform", value=sum(spent.values()), unit="µs"))
    rows += [Row(name=f"CPU per order, {name}", value=value, unit="µs") for name, value in spent.items()]
    return rows


async def _lone_order(platform: Platform, people: list[Person]) -> list[Row]:
    """Order and floor by turns: the machine's speed changes within a run."""
    alone: list[float] = []
    async with floors.order_floor(platform.mongo_url) as floor:
        for _ in range(LONE_ROUNDS):
            # What is still to be folded would slow the floor and flatter us, or the order and deceive us.
            await following.peace(platform)
            await floor.measure(FLOOR_TURNS)
            samples = await figures.orders(platform.gateway_url, people, concurrency=1, duration_seconds=LONE_SECONDS)
            alone += _checked(samples).seconds
    lone = median(alone) * _MILLI
    return [
        Row(name="journal append, p50 (floor)", value=floor.append * _MILLI, unit="ms"),
        Row(name="bare route with one gRPC hop, p50 (floor)", value=floor.hop * _MILLI, unit="ms"),
        against("order, one client, p50", lone, "ms", floor=(floor.append + floor.hop) * _MILLI, goal="<= 1.5"),
        against("the same, against both one after the other", lone, "ms", floor=floor.in_turn * _MILLI),
        against("the same, with our pollers and our line", lone, "ms", floor=floor.ours_in_turn * _MILLI),
    ]


async def _login_flood(platform: Platform, people: list[Person]) -> list[Row]:
    say(f"refresh and portfolio, alone and while {figures.LOGINS_AT_ONCE} clients log in")
    url = platform.gateway_url
    rows = []
    seconds = figures.FIGURE_SECONDS
    calm = _checked(await figures.refreshes(url, people, duration_seconds=seconds))
    flooded = await figures.while_logging_in(url, people, figures.refreshes(url, people, duration_seconds=seconds))
    rows.append(_p99("POST /auth/refresh", calm, _checked(flooded)))
    calm = _checked(await figures.portfolio_read(url, people))
    flooded = await figures.while_logging_in(url, people, figures.portfolio_read(url, people))
    rows.append(_p99("GET /portfolio", calm, _checked(flooded)))
    return rows


async def _following(platform: Platform, people: list[Person]) -> list[Row]:
    """Right after the burst of orders."""
    say("until all that follow have folded the burst, then how soon an order is in the records")
    batch = await following.newest_batch(platform)
    rows = await following.followers_rows(platform, batch, burst_seconds=ORDER_SECONDS)
    return rows + await following.visibility_rows(platform.gateway_url, people)


async def _burst() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="cryptovault-bench-") as folder:
        async with Platform(data_dir=Path(folder), profile="bench") as platform:
            people = await _people(platform)
            rows = await _orders(platform, people, platform.names)
            return rows + await _following(platform, people)


def _p99(name: str, calm: Samples, flooded: Samples) -> Row:
    label = f"{name}, p99 while {figures.LOGINS_AT_ONCE} log in"
    return against(label, flooded.percentile(99) * _MILLI, "ms", floor=calm.percentile(99) * _MILLI, goal="<= 2")


async def _stream(platform: Platform) -> list[Row]:
    say("price lag over the WebSocket")
    lags = await figures.price_lag(platform.websocket_url)
    if not lags:
        raise RuntimeError("no price arrived over the WebSocket")
    return [
        Row(name=f"price lag over WebSocket, p{percent}", value=lags[len(lags) * percent // 100] * _MILLI, unit="ms")
        for percent in (50, 99)
    ]


def _checked(samples: Samples) -> Samples:
    """A figure of refused requests would be a lie: raises with the refusal unless almost all were answered well."""
    if len(samples.seconds) < 0.99 * sum(samples.statuses.values()) or not samples.seconds:
        raise RuntimeError(f"unexpected replies {samples.statuses}: {samples.unexpected[:500].decode()}")
    return samples


async def _start() -> list[Row]:
    say("starts with 100,000 open orders")
    return await start_rows()


async def _door(platform: Platform, people: list[Person]) -> list[Row]:
    say("the door, against one that asks nobody; a flood of sign-ins")
    return await door_rows(platform, people)


async def _door_alone() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="cryptovault-bench-") as folder:
        async with Platform(data_dir=Path(folder), profile="bench") as platform:
            return await _door(platform, await _people(platform))


_SCOPES = {
    "core": _core,
    "stream": _order_stream,
    "audit": _audit_trail,
    "start": _start,
    "door": _door_alone,
    "burst": _burst,
}

if __name__ == "__main__":
    sys.exit(uvloop.run(main(*sys.argv[1:] or [""])))
