"""The exchange core by itself, one thread: a command's cost against a bare book's, and the cost of our books against
another engine's, on one stream of orders.

Everything is CPU time. The engines take turns on the same steps, and a ratio is the median over the turns: what else
the machine does disturbs both sides alike.
"""

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any, Protocol

from lightmatchingengine.lightmatchingengine import LightMatchingEngine
from lightmatchingengine.lightmatchingengine import Side as LightSide
from trading.domain.accounts import Posting
from trading.domain.book import BookSide
from trading.domain.commands import (
    Actor,
    CancelOrder,
    Command,
    PlaceOrder,
    SetAsset,
    SetMarket,
    SetReferencePrice,
    StartBatch,
    Transfer,
)
from trading.domain.default_markets import default_assets
from trading.domain.exchange import Exchange
from trading.domain.invariants import check_all
from trading.domain.matching import Fill, meets_nobody, walk
from trading.domain.orders import (
    BUY,
    LIMIT,
    OPEN,
    SELL,
    Order,
    OrderType,
    Side,
    TimeInForce,
    fill_in_order,
    new_order,
)
from trading.domain.state import MarketState

from tests.load.bare_book import BareBook, BareOrder
from tests.load.mixed_stream import PEOPLE, MixedStream, Step, listed_markets, mixed_stream
from tests.load.table import Row

STEPS = 48_000
STEPS_PER_TURN = 4_800  # 5 ms of the fastest engine: little of it goes into warming the caches again
ROUNDS = 3
STEPS_PER_BATCH = 64  # as many as the durable figure has in flight
BATCH_MILLISECONDS = 10
TICK_MILLISECONDS = 1_000  # all reference prices enter once a second, as from a live stream
_START = 1_767_225_600_000
_MONEY = 10**15  # 10 million whole units of each asset for each
_OPERATOR = Actor("", "bench", "bench")
_MICRO = 1e6
_ANY_PRICE, _ANY_NUMBER = 1 << 62, 1 << 62
_GTC = TimeInForce.GTC


class Engine(Protocol):
    """`prepare` is not measured, `run` is; `traded` is the sum of the quantities, to see that all did the same."""

    traded: int

    def prepare(self, steps: list[Step]) -> list[Any]: ...
    def run(self, prepared: list[Any]) -> None: ...


def core_rows() -> list[Row]:
    """Raises where the core refused a command, an invariant does not hold or the books disagree."""
    stream = mixed_stream(STEPS)
    seconds = _measured(stream, {"bare": _Bare, "core": _Core})
    # By themselves: the core, whose state is many times theirs, would leave them cold caches.
    seconds |= _measured(stream, {"ours": _OurBooks, "light": _Light})
    # The same stream into books that are empty at first: a bare book's orders then meet on a handful of levels.
    empty = _measured(mixed_stream(STEPS, resting_per_person=0), {"bare": _Bare, "core": _Core})
    return [
        Row(name="bare book, CPU per command (floor)", value=median(seconds["bare"]) * _MICRO, unit="µs"),
        _row("core with ledger and holds, CPU per command", seconds["core"], seconds["bare"], goal="<= 16"),
        _row("the same, books empty at first", empty["core"], empty["bare"]),
        Row(name="our books alone, CPU per command", value=median(seconds["ours"]) * _MICRO, unit="µs"),
        _row("lightmatchingengine, CPU per command", seconds["light"], seconds["ours"], goal=">= 4"),
    ]


def _measured(stream: MixedStream, kinds: Mapping[str, Callable[[], Engine]]) -> dict[str, list[float]]:
    """CPU seconds per command in each turn, by engine."""
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(ROUNDS):
        engines = {name: kind() for name, kind in kinds.items()}
        for engine in engines.values():
            engine.run(engine.prepare(stream.resting))
        for start in range(0, len(stream.steps), STEPS_PER_TURN):
            for name, engine in engines.items():
                seconds[name].append(_turn(engine, stream.steps[start : start + STEPS_PER_TURN]))
        if len({engine.traded for engine in engines.values() if not isinstance(engine, _Core)}) != 1:
            raise RuntimeError(f"the books disagree: {[engine.traded for engine in engines.values()]}")
        for engine in engines.values():
            if isinstance(engine, _Core):
                engine.check()
    return seconds


def _row(name: str, seconds: list[float], floor: list[float], *, goal: str = "") -> Row:
    ratio = median(one / other for one, other in zip(seconds, floor, strict=True))
    return Row(
        name=name, value=median(seconds) * _MICRO, unit="µs", floor=median(floor) * _MICRO, ratio=ratio, goal=goal
    )


def _turn(engine: Engine, steps: list[Step]) -> float:
    """CPU seconds per step."""
    prepared = engine.prepare(steps)
    gc.collect()
    gc.freeze()  # as the leader does with what it has folded: a collection looks at what is new
    begun = time.process_time()
    engine.run(prepared)
    spent = time.process_time() - begun
    gc.unfreeze()
    return spent / len(steps)


class _Bare:
    def __init__(self) -> None:
        self.traded = 0
        self._books = [BareBook() for _ in listed_markets()]

    def prepare(self, steps: list[Step]) -> list[Any]:
        return steps

    def run(self, prepared: list[Any]) -> None:
        books = self._books
        for kind, number, person, market, buys, price, quantity in prepared:
            if kind == "cancel":
                books[market].cancel(number)
                continue
            order = BareOrder(number, person, buys, price, quantity)
            fills = books[market].limit(order) if kind == "limit" else books[market].market(order)
            for fill in fills:
                self.traded += fill.quantity


class _Core:
    """The whole core: 20 markets with their house, everybody with money, keys, holds, fees and events."""

    def __init__(self) -> None:
        self.traded = 0
        self._exchange = Exchange()
        self._markets = listed_markets()
        self._time = _START
        self._count = 0
        self._order_ids: dict[int, str] = {}
        self._exchange.execute(StartBatch(1, self._time))
        for asset in default_assets():
            self._exchange.execute(SetAsset(_OPERATOR, asset, "bench"))
            for person in range(PEOPLE):
                postings = (Posting("external", asset.code, -_MONEY), Posting(_owner(person), asset.code, _MONEY))
                key = f"practice:{person}:{asset.code}"
                self._exchange.execute(Transfer(_OPERATOR, key, "practice_money", postings))
        for listed in self._markets:
            self._exchange.execute(SetMarket(_OPERATOR, listed.rules, "bench"))

    def prepare(self, steps: list[Step]) -> list[Any]:
        commands: list[Any] = []
        for index, step in enumerate(steps):
            if index % STEPS_PER_BATCH == 0:
                commands += self._batch()
            commands.append((self._command(step), step.number))
        return commands

    def run(self, prepared: list[Any]) -> None:
        execute, order_ids = self._exchange.execute, self._order_ids
        for command, number in prepared:
            if type(command) is CancelOrder:
                execute(CancelOrder(command.actor, order_ids[number], command.idempotency_key))
            elif number:
                outcome = execute(command)
                order_ids[number] = outcome[0].order_id  # type: ignore[union-attr]  # a fresh key: no repeat
            else:
                execute(command)

    def check(self) -> None:
        found = check_all(self._exchange.state)
        if found:
            raise RuntimeError(f"the core is not sound: {found[:3]}")

    def _batch(self) -> list[Any]:
        before = self._time // TICK_MILLISECONDS
        self._time += BATCH_MILLISECONDS
        self._count += 1
        commands: list[Any] = [(StartBatch(self._count + 1, self._time), 0)]
        if self._count == 1 or self._time // TICK_MILLISECONDS != before:
            commands += [
                (SetReferencePrice(listed.rules.symbol, listed.reference, "simulator", self._time, self._time), 0)
                for listed in self._markets
            ]
        return commands

    def _command(self, step: Step) -> Command:
        key = f"key-{step.kind}-{step.number}"
        actor = Actor(f"person-{step.person}", f"session-{step.person}", key, "203.0.113.7")
        if step.kind == "cancel":
            return CancelOrder(actor, "", key)
        limit = step.kind == "limit"
        return PlaceOrder(
            actor,
            self._markets[step.market].rules.symbol,
            Side.BUY if step.buys else Side.SELL,
            OrderType.LIMIT if limit else OrderType.MARKET,
            TimeInForce.GTC if limit else TimeInForce.IOC,
            quantity=step.quantity,
            price=step.price,
            idempotency_key=key,
        )


class _OurBooks:
    """Matching and book keeping alone, as the core uses them."""

    def __init__(self) -> None:
        self.traded = 0
        self._markets = [
            MarketState(replace(listed.rules, house=replace(listed.rules.house, levels=0)))
            for listed in listed_markets()
        ]
        self._open: dict[int, Order] = {}

    def prepare(self, steps: list[Step]) -> list[Any]:
        return [
            (kind == "cancel", kind == "limit", number, market, buys, price, quantity, str(number), str(person))
            for kind, number, person, market, buys, price, quantity in steps
        ]

    def run(self, prepared: list[Any]) -> None:
        markets, open_orders = self._markets, self._open
        for cancels, rests, number, index, buys, price, quantity, order_id, person in prepared:
            market = markets[index]
            if cancels:
                (market.bids if buys else market.asks).remove(open_orders.pop(number))
                continue
            if buys:
                own, opposite, side, worst = market.bids, market.asks, BUY, price or _ANY_PRICE
            else:
                own, opposite, side, worst = market.asks, market.bids, SELL, price
            filled = 0
            if not meets_nobody(market, side, worst, None):
                fills, _, filled, _ = walk(market, (person, side, worst, quantity, 0), None, 0, _ANY_NUMBER)
                self._fill(fills, opposite)
                self.traded += filled
            if rests and filled < quantity:
                order = open_orders[number] = new_order(Order)
                fill_in_order(
                    order, order_id, number, person, person, "", "", side, LIMIT, _GTC, False, quantity, 0, price,
                    price, 0, 0, 0, OPEN, True, 0, 0, filled,
                )  # fmt: skip
                own.add(order)

    def _fill(self, fills: Sequence[Fill], opposite: BookSide) -> None:
        for maker, _, quantity, _ in fills:
            assert maker is not None
            maker.filled_quantity += quantity
            if maker.filled_quantity == maker.quantity:
                opposite.remove(maker)
                del self._open[maker.order_number]


class _Light:
    def __init__(self) -> None:
        self.traded = 0
        self._engine = LightMatchingEngine()
        self._markets = [listed.rules.symbol for listed in listed_markets()]
        self._ids: dict[int, int] = {}

    def prepare(self, steps: list[Step]) -> list[Any]:
        return steps

    def run(self, prepared: list[Any]) -> None:
        engine = self._engine
        for kind, number, _, market, buys, price, quantity in prepared:
            symbol = self._markets[market]
            if kind == "cancel":
                engine.cancel_order(self._ids[number], symbol)
                continue
            order, trades = engine.add_order(symbol, price, quantity, LightSide.BUY if buys else LightSide.SELL)
            if kind == "limit":
                self._ids[number] = order.order_id
            elif order.leaves_qty:
                engine.cancel_order(order.order_id, symbol)  # what is left of a market order would rest at price 0
            if trades:
                self.traded += order.cum_qty


def _owner(person: int) -> str:
    return f"user:person-{person}"
