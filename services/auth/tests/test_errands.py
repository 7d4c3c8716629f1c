"""What is done after a reply."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from auth.errands import OUTAGE_TRIES, BackgroundErrands
from pymongo.errors import AutoReconnect


@pytest.fixture
async def errands() -> AsyncIterator[BackgroundErrands]:
    errands = BackgroundErrands(outage_pause_seconds=0.0)
    running = asyncio.create_task(errands.run())
    yield errands
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def failing(tries: list[int], *, times: int, problem: Callable[[], Exception]) -> Callable[[], asyncio.Future[None]]:
    async def work() -> None:
        tries.append(len(tries))
        if len(tries) <= times:
            raise problem()

    return lambda: asyncio.ensure_future(work())


async def test_an_errand_waits_for_a_database_that_restarts(errands: BackgroundErrands) -> None:
    tries: list[int] = []
    errands.hand_over("reset_code", failing(tries, times=3, problem=lambda: AutoReconnect("connection closed")))
    await errands.drained()
    assert len(tries) == 4


async def test_an_errand_is_given_up_in_a_longer_outage_and_the_next_one_runs(errands: BackgroundErrands) -> None:
    tries: list[int] = []
    later: list[int] = []
    errands.hand_over("reset_code", failing(tries, times=1_000, problem=lambda: AutoReconnect("connection closed")))
    errands.hand_over("reset_code", failing(later, times=0, problem=RuntimeError))
    await errands.drained()
    assert (len(tries), len(later)) == (OUTAGE_TRIES, 1)


async def test_a_bug_is_not_tried_again(errands: BackgroundErrands) -> None:
    tries: list[int] = []
    errands.hand_over("reset_code", failing(tries, times=1, problem=lambda: RuntimeError("a bug")))
    await errands.drained()
    assert len(tries) == 1
