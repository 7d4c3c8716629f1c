import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import pytest
from market_data.domain.errors import TooManyFollowers
from market_data.domain.price import Price, Quote
from market_data.domain.price_board import PriceBoard
from market_data.use_cases.follow_prices import FollowPrices, PriceUpdate
from market_data.use_cases.price_feed import PriceFeed

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MakeQuote = Callable[..., Quote]


class Scene:
    def __init__(self, *, followers_max: int = 4, heartbeat_seconds: float = 5.0) -> None:
        self.board = PriceBoard(source="test", stale_after=timedelta(seconds=3))
        self.feed = PriceFeed(followers_max=followers_max)
        self.follow = FollowPrices(board=self.board, feed=self.feed, heartbeat_seconds=heartbeat_seconds)

    def arrive(self, *quotes: Quote) -> list[Price]:
        changed = self.board.take(quotes, time=NOON)
        self.feed.publish(changed)
        return changed


async def take(stream: AsyncIterator[PriceUpdate]) -> PriceUpdate:
    async with asyncio.timeout(30):
        return await anext(stream)


def summary(update: PriceUpdate) -> dict[str, str]:
    return {price.quote.symbol: str(price.quote.price) for price in update.prices}


async def test_a_stream_is_a_snapshot_then_numbered_changes(quote: MakeQuote) -> None:
    scene = Scene()
    scene.arrive(quote("BTC", "1"), quote("ETH", "2"))
    async with aclosing(scene.follow()) as stream:
        first = await take(stream)
        scene.arrive(quote("BTC", "1"), quote("ETH", "3"))
        second = await take(stream)
        scene.arrive(quote("BTC", "4"))
        third = await take(stream)
    assert (first.sequence, first.snapshot, summary(first)) == (1, True, {"BTC": "1", "ETH": "2"})
    assert (second.sequence, second.snapshot, summary(second)) == (2, False, {"ETH": "3"})
    assert (third.sequence, third.snapshot, summary(third)) == (3, False, {"BTC": "4"})


async def test_a_slow_reader_gets_the_newest_of_each_and_no_gap_in_numbers(quote: MakeQuote) -> None:
    scene = Scene()
    scene.arrive(quote("BTC", "1"), quote("ETH", "1"))
    async with aclosing(scene.follow()) as stream:
        await take(stream)
        for price in range(2, 1000):
            scene.arrive(quote("BTC", str(price)))
        scene.arrive(quote("ETH", "5"))
        update = await take(stream)
    assert update.sequence == 2
    assert summary(update) == {"BTC": "999", "ETH": "5"}


async def test_silence_is_broken_by_a_heartbeat() -> None:
    scene = Scene(heartbeat_seconds=0.01)
    with scene.feed.follow() as follower:
        assert await follower.read(patience_seconds=0.01) == []


async def test_a_heartbeat_has_a_number_and_no_prices(quote: MakeQuote) -> None:
    scene = Scene(heartbeat_seconds=0.01)
    scene.arrive(quote())
    async with aclosing(scene.follow()) as stream:
        await take(stream)
        assert await take(stream) == PriceUpdate(sequence=2, snapshot=False, prices=[])


async def test_the_snapshot_waits_for_the_first_answer(quote: MakeQuote) -> None:
    scene = Scene()
    async with aclosing(scene.follow()) as stream:
        waiting = asyncio.create_task(take(stream))
        await asyncio.sleep(0)
        scene.arrive(quote("BTC", "9"))
        assert summary(await waiting) == {"BTC": "9"}


async def test_followers_are_limited_and_a_left_place_is_free_again(quote: MakeQuote) -> None:
    scene = Scene(followers_max=1)
    scene.arrive(quote())
    async with aclosing(scene.follow()) as stream:
        await take(stream)
        with pytest.raises(TooManyFollowers):
            await take(scene.follow())
    async with aclosing(scene.follow()) as again:
        assert (await take(again)).snapshot


async def test_closing_the_feed_ends_the_streams(quote: MakeQuote) -> None:
    scene = Scene()
    scene.arrive(quote())
    async with aclosing(scene.follow()) as stream:
        await take(stream)
        scene.feed.close()
        with pytest.raises(StopAsyncIteration):
            await take(stream)


async def test_news_is_told_once(quote: MakeQuote) -> None:
    scene = Scene()
    with scene.feed.follow() as follower:
        scene.arrive(quote())
        assert len(await follower.read(patience_seconds=1)) == 1
        reading = asyncio.create_task(follower.read(patience_seconds=60))
        await asyncio.sleep(0.02)
        assert not reading.done()
        reading.cancel()
