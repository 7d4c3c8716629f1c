from datetime import UTC, datetime
from decimal import Decimal

from portfolio.domain.valuation import Holding, Portfolio
from portfolio.storage.portfolio_cache import RedisPortfolioCache
from redis.asyncio import Redis

VIEW = Portfolio(
    holdings=(
        Holding(
            symbol="BTC",
            name="Bitcoin",
            amount=Decimal("0.00000001"),
            available=Decimal("0.00000001"),
            held=Decimal("0E-8"),
            price=None,
            value=None,
            allocation=Decimal("0.00"),
            average_cost=Decimal("123456789012.12345678"),
            unrealized_pnl=None,
        ),
    ),
    total_value=Decimal(0),
    cash=Decimal(0),
    realized_pnl=Decimal("-1.5"),
    as_of=datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC),
    batch=7,
    behind=False,
)


async def test_a_view_comes_back_exactly_and_for_fifteen_seconds(redis: Redis) -> None:
    cache = RedisPortfolioCache(redis)
    await cache.put("u", VIEW)
    assert await cache.get("u") == VIEW
    assert 14 <= await redis.ttl("cryptovault:portfolio:u") <= 15


async def test_dropping_takes_those_named_and_no_others(redis: Redis) -> None:
    cache = RedisPortfolioCache(redis)
    for user_id in ("u", "v"):
        await cache.put(user_id, VIEW)
    await cache.drop(["u", "nobody"])
    assert await cache.get("u") is None
    assert await cache.get("v") == VIEW
    await cache.drop([])


async def test_without_redis_there_is_simply_no_cache() -> None:
    # Port 1 is nobody's.
    async with Redis(host="127.0.0.1", port=1, socket_connect_timeout=0.2, retry=None) as dead:
        cache = RedisPortfolioCache(dead)
        await cache.put("u", VIEW)
        assert await cache.get("u") is None
        await cache.drop(["u"])
