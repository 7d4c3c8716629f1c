"""The current prices in Redis, for whoever cannot follow our stream."""

from collections.abc import Iterable
from typing import Final

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from market_data.domain.price import Price
from market_data.storage.price_document import document_of
from market_data.use_cases.ports import CacheUnavailable

PRICES_KEY: Final = "cryptovault:prices:all"
# Long enough for a restart of ours, short enough that nobody takes old prices for current ones.
PRICES_TTL_SECONDS: Final = 30


class RedisPriceCache:
    """One JSON document: a list of prices, numbers as strings, times as RFC 3339 UTC."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def store(self, prices: Iterable[Price]) -> None:
        """Replaces the document and starts its 30 s anew. Raises CacheUnavailable."""
        document = orjson.dumps([document_of(price) for price in prices])
        try:
            await self._redis.set(PRICES_KEY, document, ex=PRICES_TTL_SECONDS)
        except (RedisError, OSError) as error:
            raise CacheUnavailable(str(error)) from error
