from datetime import UTC, datetime
from decimal import Decimal

import pytest
from chassis.testing import FixedClock
from portfolio.domain.valuation import Portfolio
from portfolio.storage import near_portfolio_cache
from portfolio.storage.near_portfolio_cache import NearPortfolioCache
from portfolio.storage.portfolio_cache import RedisPortfolioCache
from redis.asyncio import Redis


def _view(batch: int) -> Portfolio:
    return Portfolio(
        holdings=(),
        total_value=Decimal(0),
        cash=Decimal(0),
        realized_pnl=Decimal(0),
        as_of=datetime(2026, 1, 1, tzinfo=UTC),
        batch=batch,
        behind=False,
    )


async def test_redis_is_asked_once_a_second(redis: Redis) -> None:
    clock = FixedClock()
    near = NearPortfolioCache(RedisPortfolioCache(redis), clock)
    await near.put("u", _view(1))
    await RedisPortfolioCache(redis).put("u", _view(2))
    clock.advance(0.9)
    assert await near.get("u") == _view(1)
    clock.advance(0.2)
    assert await near.get("u") == _view(2)


async def test_what_one_process_composed_serves_another(redis: Redis) -> None:
    first, second = (NearPortfolioCache(RedisPortfolioCache(redis), FixedClock()) for _ in range(2))
    await first.put("u", _view(1))
    assert await second.get("u") == _view(1)
    assert await second.get("v") is None


async def test_dropping_reaches_both_copies(redis: Redis) -> None:
    near = NearPortfolioCache(RedisPortfolioCache(redis), FixedClock())
    await near.put("u", _view(1))
    await near.drop(["u", "nobody"])
    assert await near.get("u") is None


async def test_the_copy_is_bounded(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_portfolio_cache, "VIEWS_MAX", 3)
    near = NearPortfolioCache(RedisPortfolioCache(redis), FixedClock())
    for number in range(10):
        await near.put(f"u{number}", _view(number))
    assert list(near._views) == ["u7", "u8", "u9"]
