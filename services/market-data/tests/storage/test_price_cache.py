from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from market_data.domain.price import Price, Quote
from market_data.storage.price_cache import PRICES_KEY, RedisPriceCache
from market_data.use_cases.ports import CacheUnavailable
from redis.asyncio import Redis

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


async def test_prices_are_one_document_that_lives_thirty_seconds(redis: Redis, quote: Callable[..., Quote]) -> None:
    price = Price(quote=quote("BTC", "97000.10"), source="simulator", time=NOON + timedelta(milliseconds=5))
    await RedisPriceCache(redis).store([price])
    assert PRICES_KEY == "cryptovault:prices:all"
    document = await redis.get(PRICES_KEY)
    assert orjson.loads(document or b"") == [
        {
            "symbol": "BTC",
            "price": "97000.10",
            "change_24h": "-1.25",
            "high_24h": "101.00",
            "low_24h": "99.00",
            "volume_24h": "1000000",
            "source": "simulator",
            "source_time": "2026-01-01T12:00:00.000Z",
            "time": "2026-01-01T12:00:00.005Z",
        }
    ]
    assert 29_000 < await redis.pttl(PRICES_KEY) <= 30_000


async def test_a_lost_redis_is_said_in_our_words(quote: Callable[..., Quote]) -> None:
    async with Redis.from_url("redis://127.0.0.1:1") as nowhere:
        with pytest.raises(CacheUnavailable):
            await RedisPriceCache(nowhere).store([Price(quote=quote(), source="simulator", time=NOON)])
