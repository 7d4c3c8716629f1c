"""What is done after a reply."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from auth.errands import OUTAGE_TRIES, BackgroundErrands
from prometheus_client import REGISTRY
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


def failed() -> float:
    return REGISTRY.get_sample_value("cryptovault_auth_errands_failed_total", {"name": "reset_code"}) or 0.0


async def test_an_errand_waits_for_a_database_that_restarts(errands: BackgroundErrands) -> None:
    tries: list[int] = []
    errands.hand_over("reset_code", failing(tries, times=3, problem=lambda: AutoReconnect("connection closed")))
    await errands.drained()
    assert len(tries) == 4


async def test_an_errand_is_given_up_in_a_longer_outage_and_the_next_one_runs(errands: BackgroundErrands) -> None:
    tries: list[int] = []
    later: list[int] = []
    failed_before = failed()
    errands.hand_over("reset_code", failing(tries, times=1_000, problem=lambda: AutoReconnect("connection closed")))
    await errands.drained()
    assert (len(tries), failed() - failed_before) == (OUTAGE_TRIES, 1)
    errands.hand_over("reset_code", failing(later, times=0, problem=RuntimeError))
    async with asyncio.timeout(5):  # where it ended everybody's work, nobody takes it
        await errands.drained()
    assert len(later) == 1


async def test_a_bug_is_not_tried_again(errands: BackgroundErrands) -> None:
    tries: list[int] = []
    errands.hand_over("reset_code", failing(tries, times=1, problem=lambda: RuntimeError("a bug")))
    await errands.drained()
    assert len(tries) == 1
