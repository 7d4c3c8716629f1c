"""Listeners hear of every durable batch, in order, and after its answers."""

import asyncio
from typing import Any

import pytest
from trading.sequencer.announcements import AFTER_SECONDS, Announcements
from trading.sequencer.open_batch import FinishedBatch


def batch(number: int) -> FinishedBatch:
    return FinishedBatch(number, 1_767_225_600_000 + number, [], [], [], {})


async def test_every_batch_reaches_every_listener_in_order_and_none_before_what_was_ready() -> None:
    announcements = Announcements()
    one: list[Any] = []
    two: asyncio.Queue[int] = asyncio.Queue()
    announcements.on_batch(lambda batch: one.append(batch.number))
    announcements.on_batch(lambda batch: two.put_nowait(batch.number))
    for number in (1, 2, 3):
        announcements.announce(batch(number))
    asyncio.get_running_loop().call_soon(one.append, "the answers")
    async with asyncio.timeout(5):
        first = [await two.get() for _ in range(3)]
        announcements.announce(batch(4))
        assert [*first, await two.get()] == [1, 2, 3, 4]
    assert one == ["the answers", 1, 2, 3, 4]


async def test_who_has_a_moment_tells_at_once_and_nothing_is_told_twice() -> None:
    announcements = Announcements()
    told: list[int] = []
    announcements.on_batch(lambda batch: told.append(batch.number))
    announcements.tell()
    announcements.announce(batch(1))
    assert told == []
    announcements.tell()
    assert told == [1]
    announcements.announce(batch(2))
    await asyncio.sleep(2 * AFTER_SECONDS)
    assert told == [1, 2]


async def test_a_listener_that_fails_ends_it_where_somebody_sees_it() -> None:
    announcements = Announcements()
    told: asyncio.Queue[int] = asyncio.Queue()

    def fail(batch: FinishedBatch) -> None:
        told.put_nowait(batch.number)
        raise ZeroDivisionError

    announcements.on_batch(fail)
    announcements.announce(batch(1))
    async with asyncio.timeout(5):
        assert await told.get() == 1
    with pytest.raises(ZeroDivisionError):
        announcements.announce(batch(2))
    announcements.tell()
    await asyncio.sleep(2 * AFTER_SECONDS)
    assert told.empty()
