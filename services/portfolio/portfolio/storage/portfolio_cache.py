"""Composed views in Redis, `cryptovault:portfolio:{user_id}`, for 15 seconds. Losing them costs time, nothing else."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
from chassis.logs import get_logger
from prometheus_client import Counter
from redis.asyncio import Redis
from redis.exceptions import RedisError

from portfolio.domain.valuation import Holding, Portfolio

TIME_TO_LIVE_SECONDS = 15
_KEY = "cryptovault:portfolio:"
_KEYS_PER_CALL = 500  # Redis answers nobody else meanwhile

LOOKUPS = Counter("cryptovault_portfolio_cache_lookups", "Reads of cached portfolios, by outcome", ["outcome"])

log = get_logger(__name__)


class RedisPortfolioCache:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def get(self, user_id: str) -> Portfolio | None:
        try:
            stored = await self._redis.get(_KEY + user_id)
        except RedisError as error:
            LOOKUPS.labels("failed").inc()
            log.warning("Cache not read", event="portfolio_cache_failed", problem=repr(error))
            return None
        LOOKUPS.labels("miss" if stored is None else "hit").inc()
        return None if stored is None else _decoded(stored)

    async def put(self, user_id: str, portfolio: Portfolio) -> None:
        try:
            await self._redis.set(_KEY + user_id, _encoded(portfolio), ex=TIME_TO_LIVE_SECONDS)
        except RedisError as error:
            log.warning("Cache not written", event="portfolio_cache_failed", problem=repr(error))

    async def drop(self, user_ids: Iterable[str]) -> None:
        keys = [_KEY + user_id for user_id in user_ids]
        try:
            for start in range(0, len(keys), _KEYS_PER_CALL):
                await self._redis.unlink(*keys[start : start + _KEYS_PER_CALL])
        except RedisError as error:
            log.warning("Cache not dropped", event="portfolio_cache_failed", problem=repr(error))


def _encoded(portfolio: Portfolio) -> bytes:
    # orjson writes dataclasses and times by itself; a Decimal it does not know goes as its exact text.
    return orjson.dumps(portfolio, default=str)


def _decoded(stored: bytes | str) -> Portfolio:
    view: dict[str, Any] = orjson.loads(stored)
    return Portfolio(
        holdings=tuple(
            Holding(
                symbol=holding["symbol"],
                name=holding["name"],
                amount=Decimal(holding["amount"]),
                available=Decimal(holding["available"]),
                held=Decimal(holding["held"]),
                price=_optional(holding["price"]),
                value=_optional(holding["value"]),
                allocation=Decimal(holding["allocation"]),
                average_cost=_optional(holding["average_cost"]),
                unrealized_pnl=_optional(holding["unrealized_pnl"]),
            )
            for holding in view["holdings"]
        ),
        total_value=Decimal(view["total_value"]),
        cash=Decimal(view["cash"]),
        realized_pnl=Decimal(view["realized_pnl"]),
        as_of=datetime.fromisoformat(view["as_of"]),
        batch=view["batch"],
        behind=view["behind"],
    )


def _optional(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
