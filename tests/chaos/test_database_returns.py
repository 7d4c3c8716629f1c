"""The services' database dies while people ask, and comes back: refusals end with it, none is a bug, nothing hangs."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx
import pytest
from local_stack.platform import Platform

from tests.customers import PASSWORD, UNAVAILABLE, Customer, Json, patiently, sign_up

PEOPLE = 2
KILLS = 3
RECOVERY_SECONDS = 90.0  # a few in peace; the machine may be running all other tests
# The longest deadline is a sign-in's, who may wait for a hash: what takes longer hangs.
REPLY_SECONDS_MAX = 12.0
# Once the database answers: a client looks for it twice a second, and who has not answered five times in a row is left
# alone for one. The rest is for a machine that is busy.
SETTLING_SECONDS = 5.0
PEACE_SECONDS = 2.0
PAUSE_SECONDS = 0.2  # people are not a flood: a second's deadline must not pass for want of a processor

Ask = Callable[[], Awaitable[httpx.Response]]


@dataclass(frozen=True, slots=True)
class Reply:
    """`asked` is on the monotonic clock."""

    asked: float
    seconds: float
    status: int


@dataclass(slots=True)
class Person:
    """A refresh token, or an order's key, is kept until it was taken."""

    customer: Customer
    device_token: str = field(repr=False)
    replies: dict[str, list[Reply]] = field(default_factory=dict)
    orders: list[str] = field(default_factory=list)

    def asks(self) -> dict[str, Ask]:
        """What reads and what writes, in a transaction and outside of one, of each service that has the database."""
        return {
            "sign in": self._sign_in,
            "refresh": self._refresh,
            "rename": lambda: self.customer.send("PATCH", "/auth/me", {"name": "Ada"}),
            "order": self._order,
            "orders": lambda: self.customer.send("GET", "/orders"),
            "portfolio": lambda: self.customer.send("GET", "/portfolio"),
        }

    async def ask_until(self, over: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as asking:
            for kind, ask in self.asks().items():
                asking.create_task(self._repeat(kind, ask, over))

    async def _repeat(self, kind: str, ask: Ask, over: asyncio.Event) -> None:
        while not over.is_set():
            asked = time.monotonic()
            reply = await ask()
            spent = time.monotonic() - asked
            self.replies.setdefault(kind, []).append(Reply(asked, spent, reply.status_code))
            await asyncio.sleep(PAUSE_SECONDS)

    async def _sign_in(self) -> httpx.Response:
        body: Json = {"email": self.customer.email, "password": PASSWORD, "delivery": "body"}
        return await self.customer.http.post("/api/v1/auth/login", json=body | {"device_token": self.device_token})

    async def _refresh(self) -> httpx.Response:
        body = {"refresh_token": self.customer.refresh_token, "device_token": self.device_token}
        reply = await self.customer.http.post("/api/v1/auth/refresh", json=body)
        if reply.is_success:
            self.customer.refresh_token = reply.json()["refresh_token"]
        return reply

    async def _order(self) -> httpx.Response:
        key = f"order-{len(self.orders)}"
        reply = await self.customer.try_to_place(key=key, type="market", quote_quantity="2.10")
        if reply.is_success:
            self.orders.append(reply.json()["id"])
        return reply


@pytest.fixture
async def people(http: httpx.AsyncClient) -> list[Person]:
    return list(await asyncio.gather(*(_person(http) for _ in range(PEOPLE))))


async def _person(http: httpx.AsyncClient) -> Person:
    customer = await sign_up(http)
    body = {"email": customer.email, "password": PASSWORD, "delivery": "body"}
    signed_in = (await http.post("/api/v1/auth/login", json=body)).raise_for_status().json()
    customer.refresh_token = signed_in["refresh_token"]
    return Person(customer, signed_in["device_token"])


async def test_who_asks_once_the_database_is_back_is_not_refused(platform: Platform, people: list[Person]) -> None:
    """Though every connection to it that the services hold is dead."""
    over = asyncio.Event()
    asking = [asyncio.create_task(person.ask_until(over)) for person in people]
    await asyncio.sleep(PEACE_SECONDS)
    over.set()
    await asyncio.gather(*asking)
    await platform.kill("mongo")
    await platform.wait_ready("mongo", timeout_seconds=RECOVERY_SECONDS)
    for person in people:
        statuses = {kind: (await ask()).status_code for kind, ask in person.asks().items()}
        assert statuses == dict.fromkeys(statuses, 200) | {"order": 201}


async def test_refusals_end_with_the_outage_and_nothing_hangs(platform: Platform, people: list[Person]) -> None:
    over = asyncio.Event()
    asking = [asyncio.create_task(person.ask_until(over)) for person in people]
    returns: list[float] = []
    try:
        for _ in range(KILLS):
            await asyncio.sleep(PEACE_SECONDS)
            await platform.kill("mongo")
            await platform.wait_ready("mongo", timeout_seconds=RECOVERY_SECONDS)
            returns.append(time.monotonic())
            await asyncio.sleep(SETTLING_SECONDS)
    finally:
        over.set()
        await asyncio.gather(*asking)
    for person in people:
        for kind, replies in person.replies.items():
            assert {reply.status for reply in replies} <= {200, 201, UNAVAILABLE}, kind
            assert max(reply.seconds for reply in replies) < REPLY_SECONDS_MAX, kind
            for back in returns:
                afterwards = [reply for reply in replies if back <= reply.asked < back + SETTLING_SECONDS]
                assert any(reply.status != UNAVAILABLE for reply in afterwards), (kind, afterwards)
        # One more, or the last one again where nobody heard whether it was placed.
        await patiently(person.asks()["order"])
        placed = [order["id"] for order in await person.customer.orders()]
        assert Counter(placed) == Counter(person.orders)
