"""A seeded stream of commands as traders, bots and mistaken clients would send them, in plain strings and decimals."""

from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random

from ledger_commands import LedgerGenerator, LedgerStep

USERS = ("ann", "ben", "cem", "dee", "eva")
TICKS = {"COIN-USD": Decimal("0.1"), "DUST-USD": Decimal("0.00001")}
START = {"COIN-USD": Decimal(100), "DUST-USD": Decimal("0.01")}
LOT = Decimal("0.001")


@dataclass(frozen=True)
class Step:
    """`kind`: batch, reference, place, amend, cancel, cancel_all, status, resume, fees, ledger. Fields that a kind does
    not use stay at their defaults.
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
    stop: Decimal = Decimal(0)
    expires_in: int = 0  # milliseconds from now; place with time in force gtd
    order_number: int = 0  # cancel, amend: counted over all orders placed
    milliseconds: int = 0  # batch: time that passes; reference: how old the source's time is
    status: str = ""
    fees: tuple[int, int] | None = None  # basis points of a user's own; None: the tiers
    seen: Decimal = Decimal(0)  # reference: another price of the circuit breaker's window
    ledger: LedgerStep | None = None


class CommandGenerator:
    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._prices = dict(START)
        self._closed: dict[str, None] = {}
        self._orders: list[Step] = []  # as they were placed, by order number
        self._last = Step("")
        # Dice of its own: what the ledger is asked does not change what traders do.
        self._ledger = LedgerGenerator(Random(seed + 1_000), USERS)

    def step(self, orders_placed: int) -> Step:
        """`orders_placed` so far, by which it sees whether its last one was accepted."""
        if orders_placed > len(self._orders):
            self._orders.append(self._last)
        self._last = self._next(orders_placed)
        return self._last

    def ledger_step(self) -> Step:
        """What the ledger is asked beside it all."""
        step = self._ledger.step()
        if step.kind in {"freeze", "unfreeze"}:
            self._closed["DUST-USD"] = None  # to be opened again
        return Step("ledger", ledger=step)

    def _next(self, orders_placed: int) -> Step:  # noqa: PLR0911 - one per kind of command
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
        if choice < 0.26 and orders_placed:
            number, user = self._known_order(orders_placed)
            return Step("cancel", user=user, order_number=number)
        if choice < 0.27:
            market = self._random.choice(("", *START))
            return Step("cancel_all", user=self._random.choice(USERS), market=market)
        if choice < 0.42 and orders_placed:
            return self._amend(orders_placed)
        if choice < 0.56:
            return self._place_waiting()
        return self._place()

    def _amend(self, orders_placed: int) -> Step:
        random = self._random
        if random.random() < 0.4:
            # A little more or less at the same price: does the order keep its place?
            number = max(1, orders_placed - random.randrange(30))
            order = self._orders[number - 1]
            share = random.choice((Decimal("0.5"), Decimal("0.9"), Decimal("1.5")))
            quantity = order.quantity * share - order.quantity * share % LOT
            return Step("amend", user=order.user, order_number=number, quantity=quantity or LOT)
        market = random.choice(tuple(START))
        tick, around = TICKS[market], self._prices[market]
        price, quantity = Decimal(0), Decimal(0)
        if random.random() < 0.6:
            price = max(around - around % tick + tick * random.randint(-15, 15), tick)
        if random.random() < 0.6:
            quantity = LOT * random.choice((1, 10, 333, 1_000, 2_500, 7_777, 15_000))
        number, user = self._known_order(orders_placed)
        return Step("amend", user=user, order_number=number, price=price, quantity=quantity)

    def _known_order(self, orders_placed: int) -> tuple[int, str]:
        """One of the newest, and as a rule its owner."""
        number = max(1, orders_placed - self._random.choice((3, 12, 40)) * self._random.randrange(12) // 12)
        return number, self._orders[number - 1].user if self._random.random() < 0.7 else self._random.choice(USERS)

    def _place_waiting(self) -> Step:
        """Stops and take-profits close around the price, so that many are reached."""
        random = self._random
        step = self._place()
        tick, around = TICKS[step.market], self._prices[step.market]
        stop = max(around - around % tick + tick * random.randint(-12, 12), tick)
        kind = random.choice(("stop", "stop_limit", "take_profit"))
        time_in_force, expires_in = random.choice((("gtc", 0), ("gtc", 0), ("gtd", random.randint(-900, 9_000))))
        quantity, worth = step.quantity, step.quote_quantity
        if kind == "stop_limit":
            price = max(stop + tick * random.randint(-5, 5), tick)
            if random.random() < 0.2:
                time_in_force, expires_in = random.choice(("ioc", "fok")), 0
            post_only = time_in_force == "gtc" and random.random() < 0.2
            return replace(
                step, order_type=kind, time_in_force=time_in_force, expires_in=expires_in, price=price, stop=stop,
                quantity=quantity or LOT * 1_000, quote_quantity=Decimal(0), post_only=post_only,
            )  # fmt: skip
        if step.side == "sell":
            quantity, worth = quantity or LOT * 1_000, Decimal(0)
        return replace(
            step, order_type=kind, time_in_force=time_in_force, expires_in=expires_in, price=Decimal(0), stop=stop,
            quantity=quantity, quote_quantity=worth, post_only=False,
        )  # fmt: skip

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
        if random.random() < 0.4:
            price -= price % (10 * tick)  # a round price, where others stand too
        if random.random() < 0.02:
            price += tick / 10
        time_in_force = random.choices(("gtc", "gtd", "ioc", "fok"), (7, 1, 1, 1))[0]
        post_only = time_in_force in {"gtc", "gtd"} and random.random() < 0.15
        expires_in = random.randint(-900, 6_000) if time_in_force == "gtd" else 0
        return replace(
            blank, order_type="limit", time_in_force=time_in_force, quantity=quantity, price=max(price, tick),
            post_only=post_only, expires_in=expires_in,
        )  # fmt: skip
