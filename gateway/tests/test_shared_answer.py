"""What is shared for a while, and when it is asked for again before that."""

import asyncio

import pytest
from chassis.testing import FixedClock
from gateway.prices.shared_answer import SharedAnswer


class Exchange:
    def __init__(self) -> None:
        self.status = "trading"
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def ask(self) -> str:
        self.asked += 1
        seen = self.status
        await self.may_answer.wait()
        return seen


@pytest.fixture
def exchange() -> Exchange:
    return Exchange()


@pytest.fixture
def shared(exchange: Exchange) -> SharedAnswer[str]:
    return SharedAnswer(exchange.ask, FixedClock(), fresh_seconds=5.0)


async def test_whoever_asks_after_a_change_hears_of_it(exchange: Exchange, shared: SharedAnswer[str]) -> None:
    assert [await shared.get() for _ in range(3)] == ["trading"] * 3
    with shared.changing():
        exchange.status = "halted"
    assert [await shared.get() for _ in range(3)] == ["halted"] * 3
    assert exchange.asked == 2


async def test_a_change_that_failed_may_have_been_made(exchange: Exchange, shared: SharedAnswer[str]) -> None:
    await shared.get()
    exchange.status = "halted"
    with pytest.raises(TimeoutError), shared.changing():
        raise TimeoutError
    assert await shared.get() == "halted"


async def test_an_answer_that_was_on_its_way_at_a_change_is_not_kept(
    exchange: Exchange, shared: SharedAnswer[str]
) -> None:
    exchange.may_answer.clear()
    before = asyncio.create_task(shared.get())
    await asyncio.sleep(0)
    with shared.changing():
        exchange.status = "halted"
    after = asyncio.create_task(shared.get())
    await asyncio.sleep(0)
    exchange.may_answer.set()
    assert (await before, await after, await shared.get()) == ("trading", "halted", "halted")
    assert exchange.asked == 2
