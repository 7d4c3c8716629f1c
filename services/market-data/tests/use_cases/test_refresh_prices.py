import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from chassis.testing import FixedClock
from market_data.domain.price import Quote
from market_data.domain.price_board import PriceBoard
from market_data.use_cases.keep_prices_fresh import BACK_OFF_SECONDS_MAX, KeepPricesFresh
from market_data.use_cases.ports import ProviderUnavailable
from market_data.use_cases.price_feed import PriceFeed
from market_data.use_cases.refresh_prices import RefreshPrices

MakeQuote = Callable[..., Quote]


class Scene:
    def __init__(self, provider: Any, cache: Any) -> None:
        self.provider, self.cache, self.clock = provider, cache, FixedClock()
        self.board = PriceBoard(source="scripted", stale_after=timedelta(seconds=3))
        self.feed = PriceFeed()
        self.refresh = RefreshPrices(provider=provider, board=self.board, feed=self.feed, cache=cache, clock=self.clock)
        self.keep_fresh = KeepPricesFresh(refresh=self.refresh, interval_seconds=1.0, clock=self.clock)


@pytest.fixture
def scene(provider: Any, cache: Any) -> Scene:
    return Scene(provider, cache)


async def test_an_answer_reaches_board_followers_and_cache(scene: Scene, quote: MakeQuote) -> None:
    scene.provider.answer = [quote("BTC"), quote("ETH", "7.00")]
    with scene.feed.follow() as follower:
        await scene.refresh()
        assert [price.quote.symbol for price in await follower.read(patience_seconds=1)] == ["BTC", "ETH"]
    assert list(scene.board.prices) == ["BTC", "ETH"]
    assert [price.quote.symbol for price in scene.cache.stored] == ["BTC", "ETH"]
    assert scene.cache.stored[0].time == scene.clock.now()


async def test_overlapping_refreshes_share_one_fetch(scene: Scene, quote: MakeQuote) -> None:
    gate = asyncio.Event()

    async def slow_fetch() -> Sequence[Quote]:
        scene.provider.fetches += 1
        await gate.wait()
        return [quote()]

    scene.provider.fetch = slow_fetch
    callers = [asyncio.create_task(scene.refresh()) for _ in range(50)]
    await asyncio.sleep(0)
    callers[0].cancel()
    gate.set()
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert scene.provider.fetches == 1
    assert outcomes[1:] == [None] * 49
    await scene.refresh()
    assert scene.provider.fetches == 2


async def test_nothing_goes_on_after_a_stop_for_callers_who_gave_up(scene: Scene, quote: MakeQuote) -> None:
    gate = asyncio.Event()

    async def slow_fetch() -> Sequence[Quote]:
        await gate.wait()
        return [quote()]

    scene.provider.fetch = slow_fetch
    caller = asyncio.create_task(scene.refresh())
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait({caller})
    await scene.refresh.close()
    gate.set()
    await asyncio.sleep(0.01)
    assert scene.cache.stored == []


async def test_a_failing_source_keeps_the_old_prices_and_says_why(scene: Scene, quote: MakeQuote) -> None:
    scene.provider.answer = [quote()]
    await scene.refresh()
    scene.provider.answer = ProviderUnavailable("down")
    with pytest.raises(ProviderUnavailable):
        await scene.refresh()
    assert "BTC" in scene.board.prices
    assert scene.board.status(now=scene.clock.now()).problem == "down"


async def test_a_lost_cache_does_not_stop_prices(scene: Scene, quote: MakeQuote) -> None:
    scene.cache.broken = True
    scene.provider.answer = [quote()]
    await scene.refresh()
    assert "BTC" in scene.board.prices
    assert scene.board.status(now=quote().source_time).available
    scene.cache.broken = False
    await scene.refresh()
    assert len(scene.cache.stored) == 1


async def test_the_loop_backs_off_with_a_limit_and_returns_to_its_pace(scene: Scene, quote: MakeQuote) -> None:
    scene.provider.answer = ProviderUnavailable("down")
    pauses = [await scene.keep_fresh.turn() for _ in range(8)]
    assert pauses[:3] == [2.0, 4.0, 8.0]
    assert max(pauses) == BACK_OFF_SECONDS_MAX
    scene.provider.answer = [quote()]
    assert await scene.keep_fresh.turn() == 1.0
    scene.provider.answer = ProviderUnavailable("down")
    assert await scene.keep_fresh.turn() == 2.0


async def test_the_loop_waits_as_long_as_the_source_asks_up_to_an_hour(scene: Scene) -> None:
    scene.provider.answer = ProviderUnavailable("limit", retry_after_seconds=90.0)
    assert await scene.keep_fresh.turn() == 90.0
    scene.provider.answer = ProviderUnavailable("limit", retry_after_seconds=1e9)
    assert await scene.keep_fresh.turn() == 3600.0


async def test_the_loop_says_when_it_has_tried_even_in_vain(scene: Scene) -> None:
    scene.provider.answer = ProviderUnavailable("down")
    assert not scene.keep_fresh.tried
    await scene.keep_fresh.turn()
    assert scene.keep_fresh.tried
