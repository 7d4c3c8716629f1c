"""The read, against stand-ins that can be slow, old, or ahead of each other."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from chassis.errors import ErrorKind, RemoteError
from chassis.testing import FixedClock, eventually
from portfolio.domain.facts import Moved
from portfolio.domain.holdings import Holdings
from portfolio.domain.valuation import Balance, Balances, Portfolio, Quote
from portfolio.use_cases.await_fold import AwaitFold
from portfolio.use_cases.get_portfolio import GetPortfolio

USER = "u"


class Ledger:
    def __init__(self) -> None:
        self.answers: list[Balances] = [_balances(1, "100")]
        self.asked = 0

    async def balances(self) -> Balances:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def give(self, user_id: str, **_transfer: Any) -> bool:
        raise NotImplementedError


class Store:
    def __init__(self) -> None:
        self.rows = [_folded(1, "100")]
        self.reads = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def get(self, user_id: str) -> Holdings:
        self.reads += 1
        await self.gate.wait()
        return self.rows.pop(0) if len(self.rows) > 1 else self.rows[0]

    async def get_many(self, user_ids: Iterable[str]) -> dict[str, Holdings]:
        raise NotImplementedError

    async def save(self, changed: Sequence[Any]) -> None:
        raise NotImplementedError


class Cache:
    def __init__(self) -> None:
        self.views: dict[str, Portfolio] = {}

    async def get(self, user_id: str) -> Portfolio | None:
        return self.views.get(user_id)

    async def put(self, user_id: str, portfolio: Portfolio) -> None:
        self.views[user_id] = portfolio

    async def drop(self, user_ids: Iterable[str]) -> None:
        raise NotImplementedError


class Progress:
    def __init__(self) -> None:
        self.position = 1
        self.stale = False
        self.waited_for: list[int] = []

    async def reached(self, number: int, timeout_seconds: float) -> bool:
        assert timeout_seconds <= 0.25
        self.waited_for.append(number)
        return self.position >= number


class Journal:
    def __init__(self) -> None:
        self.away = False
        self.waited_for: list[int] = []

    async def wait_for(self, batch: int, timeout_seconds: float) -> None:
        self.waited_for.append(batch)
        if self.away:
            raise RemoteError(kind=ErrorKind.UNAVAILABLE, reason="unavailable", message="away")

    async def read(self, after: int, limit: int) -> Sequence[Any]:
        raise NotImplementedError


class Prices:
    quotes: Mapping[str, Quote] = {}
    names: Mapping[str, str] = {}


class World:
    def __init__(self) -> None:
        self.ledger, self.store, self.cache, self.progress = Ledger(), Store(), Cache(), Progress()
        self.journal = Journal()
        clock = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.read = GetPortfolio(
            ledger=self.ledger,
            store=self.store,
            cache=self.cache,
            prices=Prices(),
            await_fold=AwaitFold(journal=self.journal, progress=self.progress, clock=clock),
            clock=clock,
        )

    def trades(self, batch: int, cash: str) -> None:
        """The user's order is acknowledged and folded."""
        self.ledger.answers = [_balances(batch, cash)]
        self.store.rows = [_folded(batch, cash)]
        self.progress.position = batch


@pytest.fixture
def world() -> World:
    return World()


def _balances(batch: int, cash: str) -> Balances:
    return Balances(batch, (Balance("USD", Decimal(cash), Decimal(0)),))


def _folded(batch: int, cash: str) -> Holdings:
    return Holdings(USER).after([Moved(asset="USD", amount=Decimal(cash))], batch=batch)


async def test_a_second_read_is_served_from_the_cache(world: World) -> None:
    first = await world.read(USER)
    assert await world.read(USER) is first
    assert world.store.reads == 1


async def test_a_cached_view_older_than_the_last_acknowledged_order_is_never_shown(world: World) -> None:
    await world.read(USER)
    # Nobody dropped the cached view: the consumer may be late, or Redis may have refused.
    world.trades(batch=2, cash="70")
    view = await world.read(USER)
    assert (view.cash, view.batch) == (70, 2)


async def test_a_read_that_began_before_a_trade_cannot_hide_it_afterwards(world: World) -> None:
    world.store.gate.clear()
    slow = asyncio.create_task(world.read(USER))
    await eventually(lambda: world.store.reads == 1)
    world.trades(batch=2, cash="70")
    world.store.gate.set()
    await slow
    assert (await world.read(USER)).batch == 2


async def test_readers_of_one_state_share_one_composition(world: World) -> None:
    world.store.gate.clear()
    readers = [asyncio.create_task(world.read(USER)) for _ in range(10)]
    await eventually(lambda: world.ledger.asked == 10)
    readers[0].cancel()
    world.store.gate.set()
    views = await asyncio.gather(*readers[1:])
    assert world.store.reads == 1
    assert len({id(view) for view in views}) == 1


async def test_a_fold_that_lags_is_told_and_not_cached(world: World) -> None:
    world.ledger.answers = [_balances(5, "70")]
    view = await world.read(USER)
    assert view.behind
    assert view.cash == 70
    assert (world.journal.waited_for, world.progress.waited_for) == ([5], [5])
    assert world.cache.views == {}


async def test_a_fold_that_has_stopped_is_not_waited_for(world: World) -> None:
    world.ledger.answers = [_balances(5, "70")]
    world.progress.stale = True
    assert (await world.read(USER)).behind
    assert world.journal.waited_for == []


async def test_a_projector_that_is_away_makes_the_read_lag_and_not_fail(world: World) -> None:
    world.ledger.answers = [_balances(5, "70")]
    world.journal.away = True
    view = await world.read(USER)
    assert (view.behind, str(view.cash)) == (True, "70")


async def test_a_fold_that_is_there_already_asks_nobody(world: World) -> None:
    await world.read(USER)
    assert (world.journal.waited_for, world.progress.waited_for) == ([], [])


async def test_balances_and_costs_come_from_one_state(world: World) -> None:
    # Between the two questions the user trades: the fold is already at batch 2.
    world.ledger.answers = [_balances(1, "100"), _balances(2, "70")]
    world.store.rows = [_folded(2, "70")]
    world.progress.position = 2
    view = await world.read(USER)
    assert (view.batch, view.cash, view.behind) == (2, 70, False)


@pytest.mark.parametrize("newest", [6, 7, 5])
async def test_a_user_who_outruns_every_read_is_shown_as_whole_only_what_is_of_one_batch(
    world: World, newest: int
) -> None:
    world.ledger.answers = [_balances(batch, str(batch)) for batch in (1, 3, 5, newest)]
    world.store.rows = [_folded(batch, str(batch)) for batch in (2, 4, 6)]
    world.progress.position = 6
    view = await world.read(USER)
    assert (view.batch, view.cash) == (newest, newest)
    assert view.behind == (newest != 6)
    assert world.cache.views == ({} if view.behind else {USER: view})


async def test_an_error_reaches_every_reader_and_the_next_read_starts_anew(world: World) -> None:
    async def broken(_user_id: str) -> Holdings:
        raise RuntimeError("no rows today")

    healthy, world.store.get = world.store.get, broken  # type: ignore[method-assign, assignment]
    outcomes = await asyncio.gather(world.read(USER), world.read(USER), return_exceptions=True)
    assert all(isinstance(outcome, RuntimeError) for outcome in outcomes)
    world.store.get = healthy  # type: ignore[method-assign]
    assert (await world.read(USER)).cash == 100


async def test_nothing_goes_on_after_a_read_that_failed(world: World) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def slow(_user_id: str) -> Portfolio | None:
        begun.set()
        try:
            return await asyncio.Event().wait()  # type: ignore[return-value]
        finally:
            ended.set()

    async def away() -> Balances:
        await begun.wait()
        raise RemoteError(kind=ErrorKind.UNAVAILABLE, reason="unavailable", message="away")

    world.cache.get = slow  # type: ignore[method-assign]
    world.ledger.balances = away  # type: ignore[method-assign]
    with pytest.raises(RemoteError):
        await world.read(USER)
    await asyncio.wait_for(ended.wait(), 5)


async def test_nothing_goes_on_after_a_stop_for_readers_who_hung_up(world: World) -> None:
    world.store.gate.clear()
    reader = asyncio.create_task(world.read(USER))
    await eventually(lambda: world.store.reads == 1)
    reader.cancel()
    await asyncio.wait({reader})
    await world.read.close()
    world.store.gate.set()
    await asyncio.sleep(0.05)
    assert world.cache.views == {}
