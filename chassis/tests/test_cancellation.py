"""Loops end when they are asked to, even where a database call has swallowed the asking."""

import asyncio
from typing import Any

import pytest
from chassis.journal_consumer import COLLECTION as CURSORS
from chassis.journal_consumer import Entry, JournalConsumer
from chassis.outbox import OutboxRelay

PATIENCE_SECONDS = 20.0


class Swallower:
    """Waits, and at its first cancellation returns as if nothing had been asked, as `asyncio.wait_for` may."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.swallowed = False

    async def __call__(self) -> None:
        self.entered.set()
        if not self.swallowed:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                self.swallowed = True


async def ends_when_asked(loop: Any, swallow: Swallower) -> bool:
    running = asyncio.create_task(loop)
    await swallow.entered.wait()
    running.cancel()
    await asyncio.wait({running}, timeout=PATIENCE_SECONDS)
    ended = running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return ended and swallow.swallowed


async def test_the_relay_ends() -> None:
    swallow = Swallower()

    class Rows:
        def find(self, _query: Any) -> "Rows":
            return self

        def sort(self, *_order: Any) -> "Rows":
            return self

        async def to_list(self, _limit: int) -> list[Any]:
            await swallow()
            return []

    class Connected:
        is_connected = True

    database: Any = {"outbox": Rows()}
    bus: Any = Connected()
    assert await ends_when_asked(OutboxRelay(database, bus).run(), swallow)


async def test_the_journal_consumer_ends() -> None:
    swallow = Swallower()

    class Cursors:
        async def find_one(self, _query: Any) -> dict[str, Any]:
            return {"number": 0, "digest": b""}

    async def read(_after: int, _limit: int) -> list[Entry[None]]:
        await swallow()
        return []

    async def apply(_entries: Any) -> None:
        pytest.fail("there is nothing to apply")

    database: Any = {CURSORS: Cursors()}
    nothing: Any = None
    consumer = JournalConsumer("test", read=read, apply=apply, transactions=nothing, database=database)
    assert await ends_when_asked(consumer.run(), swallow)
