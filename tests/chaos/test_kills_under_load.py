"""Processes die by SIGKILL while people trade. Acknowledged means durable: nothing lost, nothing twice."""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

import httpx
import pytest
from chassis.grpc_client import open_channel
from chassis.testing import eventually
from grpc_health.v1 import health_pb2, health_pb2_grpc
from local_stack.platform import Platform
from local_stack.platform_plan import REPLICAS_OF_TRADING
from whole_journal import Effect

from tests.chaos.audit import audit, balances_of, placed_by
from tests.chaos.conftest import LEADER
from tests.chaos.followers import Followed, followed
from tests.customers import Customer, MarketRules, patiently, sign_up

# Who dies where an order goes, and what it is told by.
VICTIMS = ("trading", "trading-projector", "gateway", "journal", "mongo", "redis", "rabbitmq", "market-data")
# Who dies behind the orders: what they leave is made after them, and must come out the same.
FOLLOWERS = (
    "auth", "portfolio", "notifications", "notifications-worker", "notifications-beat", "mailbox", "rabbitmq-epmd",
)  # fmt: skip
TRADERS = 4
ORDERS_BETWEEN_KILLS = 24
# Of each, from one kill to the next: more than they can before it, and not so many that whatever follows orders has a
# backlog of minutes, or a newcomer no money, after ten long recoveries.
TRADES_BETWEEN_KILLS = 30
RECOVERY_SECONDS = 90.0  # a few in peace; the machine may be running all other tests
# Far longer than any recovery: a command without a final answer by then is an error of the platform.
ANSWER_SECONDS_MAX = 180.0
PAUSE_SECONDS = 0.05
ASKED_AGAIN_MAX = 100  # of each trader's answers, the newest: beyond the batches that the exchange has at hand
# What rests is near enough to the price for the house to take it, now and then.
NEAR, NEARER = Decimal("0.9990"), Decimal("0.9995")


class Told(NamedTuple):
    """A command and the answer to it."""

    method: str
    path: str
    body: dict[str, Any] | None
    answer: dict[str, Any]


@dataclass(slots=True)
class Trader:
    """Trades as often as is `allowed` and keeps book of every acknowledgement. Repeats a command under its key until it
    knows.
    """

    customer: Customer
    rules: MarketRules
    price: Decimal
    dice: random.Random
    told: dict[str, Told] = field(default_factory=dict)  # by key
    acknowledged: dict[str, dict[str, Any]] = field(default_factory=dict)  # orders as they were placed, by key
    cancelled: set[str] = field(default_factory=set)
    trades: int = 0
    allowed: int = 0
    repeats: int = 0
    replays: int = 0  # answers to what had been carried out before

    async def trade_until(self, over: asyncio.Event) -> None:
        while not over.is_set():
            if self.trades < self.allowed:
                self.trades += 1
                await self._trade(f"order-{self.trades}")
            else:
                await asyncio.sleep(PAUSE_SECONDS)

    async def _trade(self, key: str) -> None:
        """What rests ends with its trade, so that nothing is held after the last."""
        if self.dice.random() < 0.4:
            await self._place(key, type="market", quote_quantity=f"{self.dice.randint(2, 9)}.10")
            return
        order = await self._place(
            key,
            type="limit",
            price=self.rules.price(self.price * NEAR),
            quantity=self.rules.quantity(Decimal("0.0002")),
        )
        path = f"/orders/{order['id']}"
        terms = {
            "price": self.rules.price(self.price * NEARER),
            "quantity": self.rules.quantity(Decimal("0.0003")),
        }
        changed = dict(self.dice.sample(sorted(terms.items()), self.dice.randint(1, 2)))
        await self._until_known("PATCH", path, changed, key=f"amend-{key}")
        if await self._until_known("DELETE", path, None, key=f"cancel-{key}") is not None:
            self.cancelled.add(order["id"])

    async def _place(self, key: str, **order: str) -> dict[str, Any]:
        body = {"market": "BTC-USD", "side": "buy", "client_order_id": key, **order}
        placed = await self._until_known("POST", "/orders", body, key=key)
        assert placed is not None
        self.acknowledged[key] = placed
        return placed

    async def _until_known(
        self, method: str, path: str, body: dict[str, Any] | None, *, key: str
    ) -> dict[str, Any] | None:
        """None where the order had ended before."""
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            while True:
                try:
                    reply = await self.customer.send(method, path, body, key=key)
                except httpx.TransportError:
                    reply = None
                if reply is not None and reply.is_success:
                    self.replays += reply.headers.get("idempotency-replayed") == "true"
                    answer: dict[str, Any] = reply.json()
                    self.told[key] = Told(method, path, body, answer)
                    return answer
                if reply is not None and reply.status_code == 404 and "order_not_open" in reply.text:
                    return None
                assert reply is None or reply.status_code == 503, reply.text
                self.repeats += 1
                await asyncio.sleep(PAUSE_SECONDS)


@dataclass(frozen=True, slots=True)
class People:
    traders: list[Trader]
    trading: list[asyncio.Task[None]]

    def go_on(self) -> None:
        for trader in self.traders:
            trader.allowed = trader.trades + TRADES_BETWEEN_KILLS

    async def orders_flow(self) -> None:
        """Waits until some more orders are acknowledged; a trader's failure ends the wait."""
        self.go_on()
        wanted = self._acknowledged() + ORDERS_BETWEEN_KILLS

        async def flowed() -> bool:
            for task in self.trading:
                if task.done():
                    task.result()
            return self._acknowledged() >= wanted

        await eventually(flowed, timeout_seconds=RECOVERY_SECONDS)

    def _acknowledged(self) -> int:
        return sum(len(trader.acknowledged) for trader in self.traders)


@asynccontextmanager
async def _people_trade(platform: Platform, http: httpx.AsyncClient) -> AsyncIterator[People]:
    """Orders flow before the block and after it; then what people were told is what there is."""
    traders = await _traders(http)
    over = asyncio.Event()
    people = People(traders, [asyncio.create_task(trader.trade_until(over)) for trader in traders])
    try:
        await people.orders_flow()
        yield people
        await people.orders_flow()
    finally:
        over.set()
        await asyncio.gather(*people.trading)
    await _check_people(traders)
    await _check_journal(platform, traders)


async def _traders(http: httpx.AsyncClient) -> list[Trader]:
    rules = MarketRules.of((await http.get("/api/v1/markets/BTC-USD")).raise_for_status().json())
    price = Decimal((await http.get("/api/v1/markets/BTC-USD/ticker")).raise_for_status().json()["price"])
    customers = await asyncio.gather(*(sign_up(http) for _ in range(TRADERS)))
    return [Trader(customer, rules, price, random.Random(number)) for number, customer in enumerate(customers)]


@pytest.mark.parametrize(
    ("victim", "times"),
    [
        ("trading", 5),
        *((victim, 1) for victim in VICTIMS if victim not in {"trading", "market-data"}),
        *(pytest.param(victim, 10, marks=pytest.mark.long) for victim in VICTIMS),
    ],
)
async def test_every_acknowledged_order_exists_once_whoever_is_killed(
    platform: Platform, http: httpx.AsyncClient, victim: str, times: int
) -> None:
    async with _people_trade(platform, http) as people:
        await _kill(platform, people, (victim,) * times)


@pytest.mark.parametrize("times", [1, pytest.param(10, marks=pytest.mark.long)])
@pytest.mark.parametrize("crash_point", ["before_order_entry", "after_order_entry"])
async def test_every_order_exists_once_where_the_gateway_dies_at_order_entry(
    platform: Platform, http: httpx.AsyncClient, crash_point: str, times: int
) -> None:
    async with _people_trade(platform, http) as people:
        for hit in range(times):
            people.go_on()
            restarts = platform.restarts("gateway")
            await platform.restart("gateway", environment={"CRYPTOVAULT_CRASH_POINT": f"{crash_point}:{5 + hit}"})
            await _died(platform, "gateway", restarts)
    if crash_point == "after_order_entry":
        assert sum(trader.replays for trader in people.traders) >= times


@pytest.mark.parametrize(("crash_point", "orders"), [("before_order_entry", 0), ("after_order_entry", 1)])
async def test_a_repeat_is_the_one_order_where_the_gateway_died_at_order_entry(
    platform: Platform, http: httpx.AsyncClient, crash_point: str, orders: int
) -> None:
    customer = await sign_up(http)
    restarts = platform.restarts("gateway")
    await platform.restart("gateway", environment={"CRYPTOVAULT_CRASH_POINT": crash_point})

    async def place() -> httpx.Response:
        return await customer.try_to_place(key="only", type="market", quote_quantity="5.10")

    async def placed() -> list[str]:
        return placed_by(await audit(platform.journal_url), customer.user_id)

    with pytest.raises(httpx.TransportError):
        await place()
    before = await placed()
    assert len(before) == orders
    await _died(platform, "gateway", restarts)
    await platform.wait_ready("gateway", timeout_seconds=RECOVERY_SECONDS)
    reply = await patiently(place)
    assert reply.status_code == 201, reply.text
    after = await placed()
    assert after == [reply.json()["id"]]
    assert after[:orders] == before


@pytest.mark.parametrize(
    ("followers", "times"),
    [
        pytest.param(FOLLOWERS[:3], 1, id="services-1"),
        pytest.param(FOLLOWERS[:3], 10, id="services-10", marks=pytest.mark.long),
        pytest.param(FOLLOWERS[3:], 10, id="others-10", marks=pytest.mark.long),
    ],
)
async def test_what_follows_orders_is_told_once_whoever_is_killed(
    platform: Platform, http: httpx.AsyncClient, followers: tuple[str, ...], times: int
) -> None:
    async with _people_trade(platform, http) as people:
        await _kill(platform, people, followers * times)
    await _check_followers(platform, people.traders)


@pytest.mark.parametrize("rounds", [1, pytest.param(10, marks=pytest.mark.long)])
async def test_a_second_replica_goes_on_where_the_leader_stands_still_or_dies(
    platform: Platform, http: httpx.AsyncClient, follower: str, rounds: int
) -> None:
    async with _people_trade(platform, http) as people:
        for _ in range(rounds):
            first = await _leader(platform)
            restarts = platform.restarts(first)
            platform.signal(first, signal.SIGSTOP)
            await people.orders_flow()
            second = await _leader(platform, other_than=first)
            assert {first, second} == {LEADER, follower}
            platform.signal(first, signal.SIGCONT)
            # It finds that it was followed, ends, and comes back as the one that follows.
            await _died(platform, first, restarts)
            await platform.wait_ready(first, timeout_seconds=RECOVERY_SECONDS)
            await platform.kill(second)
            await people.orders_flow()
            await platform.wait_ready(second, timeout_seconds=RECOVERY_SECONDS)


async def _kill(platform: Platform, people: People, victims: Sequence[str]) -> None:
    for victim in victims:
        await platform.kill(victim)
        await platform.wait_ready(victim, timeout_seconds=RECOVERY_SECONDS)
        await people.orders_flow()


async def _died(platform: Platform, name: str, restarts: int) -> None:
    """Waits until the process has ended by itself more often than that."""
    await eventually(lambda: platform.restarts(name) > restarts, timeout_seconds=RECOVERY_SECONDS)


async def _leader(platform: Platform, *, other_than: str = "") -> str:
    async def leading() -> str:
        for name in REPLICAS_OF_TRADING:
            if name != other_than and await _leads(platform, name):
                return name
        return ""

    return await eventually(leading, timeout_seconds=RECOVERY_SECONDS)


async def _leads(platform: Platform, name: str) -> bool:
    channel = open_channel(platform.address(name), to="trading", identity=platform.identity("gateway"))
    try:
        stub: Any = health_pb2_grpc.HealthStub(channel)  # its type stubs name no methods
        answer = await stub.Check(health_pb2.HealthCheckRequest(service="cryptovault.trading.v1.TradingService"))
    finally:
        await channel.close()
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def _check_people(traders: list[Trader]) -> None:
    """Through the public door: each sees exactly what was acknowledged, and a repeat answers the same order."""
    for trader in traders:
        expected = {order["id"] for order in trader.acknowledged.values()}
        assert len(expected) == len(trader.acknowledged)

        async def complete(trader: Trader = trader, expected: set[str] = expected) -> bool:
            reply = await trader.customer.send("GET", "/orders", limit="1")
            return reply.status_code == 200 and {order["id"] for order in await trader.customer.orders()} >= expected

        await eventually(complete, timeout_seconds=RECOVERY_SECONDS)
        orders = await trader.customer.orders()
        assert Counter(order["id"] for order in orders) == Counter(expected)
        assert {order["id"] for order in orders if order["close_reason"] == "user"} == trader.cancelled
        key, placed = next(iter(trader.acknowledged.items()))
        repeated = await trader.customer.send("GET", f"/orders/by-client-id/{key}")
        assert repeated.json()["id"] == placed["id"]
        for key, told in list(trader.told.items())[-ASKED_AGAIN_MAX:]:
            await _check_repeat(trader.customer, key, told)


async def _check_repeat(customer: Customer, key: str, told: Told) -> None:
    reply = await patiently(lambda: customer.send(told.method, told.path, told.body, key=key))
    assert reply.headers.get("idempotency-replayed") == "true", reply.text
    assert reply.json() == told.answer


async def _check_journal(platform: Platform, traders: list[Trader]) -> None:
    """In the journal itself: the same orders once, every invariant, and balances equal to what people are told."""
    journal = await audit(platform.journal_url)
    for trader in traders:
        customer = trader.customer
        placed = placed_by(journal, customer.user_id)
        assert Counter(placed) == Counter(order["id"] for order in trader.acknowledged.values())
        effects = {key: done for (user_id, key), done in journal.effects.items() if user_id == customer.user_id}
        assert effects == {key: [_as_told(told.answer)] for key, told in trader.told.items()}
        told = {
            asset: (Decimal(balance["available"]), Decimal(balance["held"]))
            for asset, balance in (await customer.balances()).items()
        }
        assert told == balances_of(journal, customer.user_id)
        assert {held for _, held in told.values()} == {0}


def _as_told(answer: dict[str, Any]) -> Effect:
    return Effect(
        answer["id"],
        answer["status"],
        answer["close_reason"] or "",
        Decimal(answer["price"] or 0),
        Decimal(answer["quantity"] or 0),
        Decimal(answer["filled_quantity"]),
        {balance["asset"]: (Decimal(balance["available"]), Decimal(balance["held"])) for balance in answer["balances"]},
    )


async def _check_followers(platform: Platform, traders: list[Trader]) -> None:
    """Each order is in the audit trail once, each filled one was told once, and the portfolio is the balances."""
    for trader in traders:
        customer = trader.customer
        orders = await customer.orders()
        expected = Followed(
            entered=Counter(order["id"] for order in orders),
            told=Counter(order["id"] for order in orders if order["status"] == "filled"),
            held={
                asset: amount
                for asset, balance in (await customer.balances()).items()
                if (amount := Decimal(balance["available"]) + Decimal(balance["held"]))
            },
        )

        async def caught_up(customer: Customer = customer, expected: Followed = expected) -> bool:
            found = await followed(platform.mongo_url, customer.user_id)
            assert found == expected
            return True

        await eventually(caught_up, timeout_seconds=RECOVERY_SECONDS)
    await platform.operate("verify-audit")
