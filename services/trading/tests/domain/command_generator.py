"""A seeded stream of commands as traders, bots and mistaken clients would send them, in plain strings and decimals."""

from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random

USERS = ("ann", "ben", "cem", "dee", "eva")
TICKS = {"COIN-USD": Decimal("0.1"), "DUST-USD": Decimal("0.00001")}
START = {"COIN-USD": Decimal(100), "DUST-USD": Decimal("0.01")}
LOT = Decimal("0.001")


@dataclass(frozen=True)
class Step:
    """`kind`: batch, reference, place, cancel, cancel_all, status, resume, fees. Fields that a kind does not use stay
    at their defaults.
    """

    kind: str
    user: str = ""
    market: str = ""
    side: str = ""
    order_type: str = ""
    time_in_force: str = ""
    quantity: Decimal = Decimal(0)
    quote_quantity: Decimal = Decimal(0)
    price: Decimal = Decimal(0)
    post_only: bool = False
    order_number: int = 0  # cancel: counted over all orders placed
    milliseconds: int = 0  # batch: time that passes; reference: how old the source's time is
    status: str = ""
    fees: tuple[int, int] | None = None  # basis points of a user's own; None: the tiers
    seen: Decimal = Decimal(0)  # reference: another price of the circuit breaker's window


class CommandGenerator:
    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._prices = dict(START)
        self._closed: dict[str, None] = {}

    def step(self, orders_placed: int) -> Step:
        reopens = bool(self._closed) and self._random.random() < 0.1
        if reopens or self._random.random() < 0.015:
            return self._operate(reopens=reopens)
        choice = self._random.random()
        if choice < 0.08:
            pause = self._random.choice((0, 1, 50, 400, 1_000, 3_500))
            # Now and then days go by, so that volumes and their tiers shrink again.
            days = self._random.choice((1, 9, 31)) if self._random.random() < 0.01 else 0
            return Step("batch", milliseconds=pause + days * 86_400_000)
        if choice < 0.20:
            return self._reference()
        if choice < 0.32 and orders_placed:
            number = max(1, orders_placed - self._random.randrange(40))
            return Step("cancel", user=self._random.choice(USERS), order_number=number)
        if choice < 0.35:
            market = self._random.choice(("", *START))
            return Step("cancel_all", user=self._random.choice(USERS), market=market)
        return self._place()

    def _operate(self, *, reopens: bool) -> Step:
        """What an operator does."""
        random = self._random
        if reopens:
            return Step("status", market=self._closed.popitem()[0], status="trading")
        market = random.choice(tuple(START))
        if random.random() < 0.3:
            self._closed[market] = None
            return Step("status", market=market, status=random.choice(("cancel_only", "halted")))
        if random.random() < 0.5:
            return Step("resume", market=market)
        return Step("fees", user=random.choice(USERS), fees=random.choice((None, None, (0, 1), (30, 5))))

    def _reference(self) -> Step:
        market = self._random.choice(tuple(START))
        tick = TICKS[market]
        jump = 50 if self._random.random() < 0.03 else 1
        moved = self._prices[market] + tick * self._random.randint(-8, 8) * jump
        floor, ceiling = START[market] * Decimal("0.8"), START[market] * Decimal("1.25")
        # A reference price need not lie on the tick.
        self._prices[market] = min(max(moved, floor), ceiling)
        price = self._prices[market] + tick * self._random.randrange(10) / 10
        seen = price * self._random.choice((Decimal("0.97"), 1, Decimal("1.08"))) if self._random.random() < 0.2 else 0
        return Step(
            "reference",
            market=market,
            price=price,
            seen=seen - seen % tick if seen else Decimal(0),
            milliseconds=self._random.choice((0, 0, 0, 2_900, 3_100)),
        )

    def _place(self) -> Step:
        random = self._random
        market = random.choice(tuple(START))
        tick, around = TICKS[market], self._prices[market]
        side = random.choice(("buy", "sell"))
        quantity = LOT * random.choice((1, 10, 333, 1_000, 1_001, 2_500, 7_777, 40_000, 60_000)) * random.randint(1, 2)
        if market == "DUST-USD":
            quantity = LOT * random.choice((7, 1_111, 3_000, 20_011))
        if random.random() < 0.02:
            quantity += LOT / 10
        blank = Step("place", user=random.choice(USERS), market=market, side=side)
        if random.random() < 0.22:
            time_in_force = random.choice(("ioc", "ioc", "fok"))
            if random.random() < 0.5:
                worth = quantity * around
                worth -= worth % Decimal("0.00000001") - Decimal("0.00000007")
                return replace(blank, order_type="market", time_in_force=time_in_force, quote_quantity=worth)
            return replace(blank, order_type="market", time_in_force=time_in_force, quantity=quantity)
        reach = random.choice((3, 12, 12, 30, 150))
        price = (around - around % tick) + tick * random.randint(-reach, reach)
        if random.random() < 0.02:
            price += tick / 10
        time_in_force = random.choices(("gtc", "ioc", "fok"), (8, 1, 1))[0]
        post_only = time_in_force == "gtc" and random.random() < 0.15
        return replace(
            blank, order_type="limit", time_in_force=time_in_force, quantity=quantity, price=max(price, tick),
            post_only=post_only,
        )  # fmt: skip
