import asyncio

import pytest
from chassis.mongo import MongoDatabase
from chassis.testing import FixedClock, eventually
from trading.sequencer.lease import Lease, LeaseLost, LeaseSeen, LeaseStore, LeaseUnreachable
from trading.storage.lease import MongoLease

SECONDS = 3.0


class MemoryLease:
    """`LeaseStore` in a field; unreachable on request."""

    def __init__(self) -> None:
        self.seen = LeaseSeen()
        self.reachable = True

    async def read(self) -> LeaseSeen:
        self._answer()
        return self.seen

    async def take(self, holder: str, *, seen: LeaseSeen) -> bool:
        self._answer()
        if seen != self.seen:
            return False
        self.seen = LeaseSeen(holder, seen.beat + 1)
        return True

    async def renew(self, holder: str) -> bool:
        self._answer()
        if self.seen.holder != holder:
            return False
        self.seen = LeaseSeen(holder, self.seen.beat + 1)
        return True

    async def release(self, holder: str) -> None:
        self._answer()
        if self.seen.holder == holder:
            self.seen = LeaseSeen("", self.seen.beat + 1)

    def _answer(self) -> None:
        if not self.reachable:
            raise LeaseUnreachable


@pytest.fixture(params=["memory", "mongo"])
def store(request: pytest.FixtureRequest) -> LeaseStore:
    if request.param == "memory":
        return MemoryLease()
    database: MongoDatabase = request.getfixturevalue("mongo_database")
    return MongoLease(database)


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    real = asyncio.sleep
    monkeypatch.setattr("trading.sequencer.lease.asyncio.sleep", lambda _: real(0.001))


async def nothing() -> None:
    pass


def guard() -> None:
    pass


async def test_a_free_lease_is_taken_by_one_alone(store: LeaseStore) -> None:
    assert await store.read() == LeaseSeen()
    taken = await asyncio.gather(*(store.take(f"process-{index}", seen=LeaseSeen()) for index in range(5)))
    assert sorted(taken) == [False] * 4 + [True]
    holder = f"process-{taken.index(True)}"
    assert await store.read() == LeaseSeen(holder, 1)


async def test_only_the_holder_renews_and_releases(store: LeaseStore) -> None:
    assert await store.take("a", seen=LeaseSeen())
    assert not await store.renew("b")
    await store.release("b")
    assert await store.renew("a")
    assert await store.read() == LeaseSeen("a", 2)
    assert not await store.take("b", seen=LeaseSeen("a", 1))
    await store.release("a")
    assert await store.read() == LeaseSeen("", 3)
    assert await store.take("b", seen=LeaseSeen("", 3))
    assert not await store.renew("a")


async def test_an_unreachable_server_says_so(mongo_database: MongoDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trading.storage.lease._TIMEOUT_SECONDS", 0.000_001)
    with pytest.raises(LeaseUnreachable):
        await MongoLease(mongo_database).renew("a")


async def test_the_next_process_takes_over_only_after_the_lease_of_the_first_is_over() -> None:
    store, clock = MemoryLease(), FixedClock()
    first = Lease(store, holder="first", clock=clock, seconds=SECONDS)
    second = Lease(store, holder="second", clock=clock, seconds=SECONDS)
    await first.stand_by(nothing)
    assert first.is_live
    waiting = asyncio.create_task(second.stand_by(nothing))
    for _ in range(40):
        assert not (first.is_live and second.is_live)
        clock.advance(0.1)
        await asyncio.sleep(0.005)
    await eventually(waiting.done)
    assert second.is_live
    assert not first.is_live
    with pytest.raises(LeaseLost):
        await first.keep(guard)


async def test_a_lease_that_is_renewed_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    store, clock = MemoryLease(), FixedClock()
    first = Lease(store, holder="first", clock=clock, seconds=SECONDS)
    second = Lease(store, holder="second", clock=clock, seconds=SECONDS)
    await first.stand_by(nothing)
    keeping = asyncio.create_task(first.keep(guard))
    waiting = asyncio.create_task(second.stand_by(nothing))
    for _ in range(50):
        beat = store.seen.beat
        clock.advance(0.2)
        await eventually(lambda beat=beat: store.seen.beat > beat + 1)  # type: ignore[misc]  # read once by both
        await asyncio.sleep(0.005)
        assert first.is_live
    assert not waiting.done()
    assert second.has_living_holder
    assert not first.has_living_holder
    for task in (keeping, waiting):
        task.cancel()
    await asyncio.gather(keeping, waiting, return_exceptions=True)


@pytest.mark.parametrize("on_the_way", [0.0, 2.5])
async def test_a_renewed_lease_is_good_from_the_question_on_however_long_its_answer_took(
    monkeypatch: pytest.MonkeyPatch, on_the_way: float
) -> None:
    store, clock = MemoryLease(), FixedClock()
    lease = Lease(store, holder="first", clock=clock, seconds=SECONDS)
    await lease.stand_by(nothing)
    renew = store.renew

    async def slowly(holder: str) -> bool:
        renewed = await renew(holder)
        clock.advance(on_the_way)
        store.reachable = False  # it is the last one that is answered
        return renewed

    monkeypatch.setattr(store, "renew", slowly)
    keeping = asyncio.create_task(lease.keep(guard))
    await eventually(lambda: not store.reachable)
    # The others count from when they saw the beat, which may have been right after the question.
    clock.advance(SECONDS - on_the_way - 0.01)
    assert lease.is_live
    clock.advance(0.02)
    assert not lease.is_live
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


async def test_a_holder_that_does_not_reach_the_server_stops_trusting_itself_and_may_come_back() -> None:
    store, clock = MemoryLease(), FixedClock()
    lease = Lease(store, holder="first", clock=clock, seconds=SECONDS)
    await lease.stand_by(nothing)
    keeping = asyncio.create_task(lease.keep(guard))
    store.reachable = False
    clock.advance(SECONDS)
    await asyncio.sleep(0.02)
    assert not lease.is_live
    store.reachable = True
    await eventually(lambda: lease.is_live)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


async def test_a_lease_that_was_given_back_is_taken_at_once() -> None:
    store, clock = MemoryLease(), FixedClock()
    first = Lease(store, holder="first", clock=clock, seconds=SECONDS)
    await first.stand_by(nothing)
    await first.release()
    assert not first.is_live
    second = Lease(store, holder="second", clock=clock, seconds=SECONDS)
    await second.stand_by(nothing)
    assert second.is_live


async def test_a_lease_whose_taking_had_no_answer_is_ours_without_a_wait() -> None:
    store, clock = MemoryLease(), FixedClock()
    store.seen = LeaseSeen("first", 7)
    lease = Lease(store, holder="first", clock=clock, seconds=SECONDS)
    await lease.stand_by(nothing)
    assert lease.is_live


async def test_a_holder_long_dead_is_not_taken_for_a_living_one() -> None:
    store, clock = MemoryLease(), FixedClock()
    store.seen = LeaseSeen("dead", 7)
    lease = Lease(store, holder="new", clock=clock, seconds=SECONDS)
    waiting = asyncio.create_task(lease.stand_by(nothing))
    await asyncio.sleep(0.02)
    assert not lease.has_living_holder
    clock.advance(SECONDS * 1.2)
    await eventually(waiting.done)
