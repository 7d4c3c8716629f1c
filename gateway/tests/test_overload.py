"""More than can be done, and services that do not answer: who is turned away, how, and for how long."""

import asyncio
import json
from typing import TYPE_CHECKING

import httpx
from chassis.circuit_breaker import FAILURES_MAX
from chassis.errors import Unavailable
from chassis.testing import eventually
from gateway.edge.shedding import LoadShedder, Urgency
from gateway.errors import PublicError
from replies import checked

if TYPE_CHECKING:
    from conftest import Running, Start

ORDER = {"market": "BTC-USD", "side": "buy", "type": "market", "quantity": "1"}


def let_in(in_flight_max: int, at_work: int) -> set[Urgency]:
    """Who still comes in where so many are at work, itself among them."""
    shedder = LoadShedder(in_flight_max)
    for _ in range(at_work):
        shedder.begin()
    told: set[Urgency] = set()
    for urgency in Urgency:
        try:
            shedder.require_room(urgency)
        except PublicError:
            continue
        told.add(urgency)
    for _ in range(at_work):
        shedder.end()
    return told


def test_reads_go_first_then_orders_then_cancels_and_health_never() -> None:
    everybody = set(Urgency)
    assert let_in(100, 70) == everybody
    assert let_in(100, 71) == let_in(100, 90) == everybody - {Urgency.READ}
    assert let_in(100, 91) == let_in(100, 100) == {Urgency.CANCEL, Urgency.HEALTH}
    assert let_in(100, 101) == {Urgency.HEALTH}


async def place(up: "Running") -> httpx.Response:
    return await up.client.post("/api/v1/orders", headers=up.bearer(), json=ORDER)


async def test_under_load_reads_are_turned_away_before_orders_and_orders_before_cancels(start: "Start") -> None:
    async with start(requests_in_flight_max=10) as up:
        trading = up.platform.trading
        at_work: list[asyncio.Task[httpx.Response]] = []

        async def hold(count: int) -> None:
            """So many orders wait for their answer."""
            trading.silent = count - len(at_work)
            at_work.extend(asyncio.create_task(place(up)) for _ in range(trading.silent))
            await eventually(lambda: not trading.silent)

        await hold(7)
        read = await up.client.get("/api/v1/markets")
        assert checked(read, 503, "SERVICE_UNAVAILABLE")["reason"] == "overloaded"
        assert int(read.headers["retry-after"]) >= 1
        assert (await up.client.get("/health/live")).status_code == 200
        assert (await place(up)).status_code == 201

        await hold(9)
        order = await place(up)
        assert checked(order, 503, "SERVICE_UNAVAILABLE")["reason"] == "overloaded"
        assert int(order.headers["retry-after"]) >= 1
        cancel = await up.client.delete("/api/v1/orders", headers=up.bearer())
        assert cancel.status_code == 200
        for task in at_work:
            await task


async def test_nor_does_a_body_that_came_late_get_more_room(start: "Start") -> None:
    """Each had room while its body was waited for, and thousands at once are no fewer for that."""
    async with start(requests_in_flight_max=10) as up:
        body = json.dumps(ORDER).encode()
        head = (
            f"POST /api/v1/orders HTTP/1.1\r\nHost: x\r\nAuthorization: {up.bearer()['Authorization']}\r\n"
            f"Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        late = []
        for _ in range(12):
            reader, writer = await asyncio.open_connection(up.host, up.port)
            writer.write(head.encode())
            assert (await reader.read(65_536)).startswith(b"HTTP/1.1 100 ")
            late.append((reader, writer))
        up.platform.trading.silent = 9
        for _, writer in late:
            writer.write(body)
        answers = [await reader.read(65_536) for reader, _ in late]
        assert sum(b"overloaded" in answer for answer in answers) == 3
        for _, writer in late:
            writer.close()


async def _portfolio(up: "Running") -> httpx.Response:
    return await up.client.get("/api/v1/portfolio", headers=up.bearer())


async def test_a_service_that_hangs_is_left_alone_and_asked_again_later(fresh: "Running") -> None:
    portfolio = fresh.platform.portfolio
    portfolio.hangs = True
    await asyncio.gather(*(_portfolio(fresh) for _ in range(FAILURES_MAX)))
    before = portfolio.asked
    replies = [await _portfolio(fresh) for _ in range(20)]
    # By none but the few that tried whether it is back, one a second; without a circuit by all.
    assert portfolio.asked - before < len(replies) / 2
    for reply in replies:
        checked(reply, 503, "SERVICE_UNAVAILABLE")
        assert reply.headers["retry-after"] == "1"
    # Nobody else is touched.
    assert (await fresh.client.get("/api/v1/markets")).status_code == 200
    assert (await place(fresh)).status_code == 201

    portfolio.hangs = False

    async def back() -> bool:
        return (await _portfolio(fresh)).status_code == 200

    await eventually(back)


async def test_refusals_of_the_exchange_do_not_count_as_silence(fresh: "Running") -> None:
    """A stale price, a market that changes hands: UNAVAILABLE, told by somebody who is there."""
    trading = fresh.platform.trading
    trading.error = Unavailable("The price is stale.")
    for _ in range(FAILURES_MAX * 3):
        checked(await place(fresh), 503, "SERVICE_UNAVAILABLE")
    assert len(trading.commands) == FAILURES_MAX * 3
    trading.error = None
    assert (await place(fresh)).status_code == 201
