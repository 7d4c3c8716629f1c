"""Sessions whose access tokens are void: the database remembers them, Redis answers the gateway's every request."""

import asyncio
from datetime import datetime
from uuid import UUID, uuid4

from chassis.clock import Clock
from chassis.errors import Unavailable
from chassis.logs import get_logger
from redis.asyncio import Redis

from auth.storage.documents import BlacklistedTokenDocument
from auth.storage.redis_errors import redis_errors

# Gone with everything else when Redis is emptied or replaced: its absence says that the list must be loaded again.
LOADED_KEY = "cryptovault:blacklist-loaded"
LOAD_SECONDS_MAX = 600  # one that takes longer is done again
CHECK_SECONDS = 0.1  # so soon after Redis was emptied is the list there again; a look costs 0.1 ms

log = get_logger(__name__)


class MirroredRevokedSessions:
    """`blacklisted_tokens` in MongoDB, `cryptovault:blacklist:{session id}` in Redis until the last token expired."""

    def __init__(self, redis: Redis, clock: Clock) -> None:
        self._redis = redis
        self._clock = clock
        # Until it was looked: whoever ran before may have died between the database and Redis.
        self._redis_missed_one = True

    async def remember(self, revoked_id: UUID, *, user_id: UUID, now: datetime, until: datetime) -> None:
        await BlacklistedTokenDocument(id=revoked_id, user_id=user_id, revoked_at=now, expires_at=until).insert()

    async def publish(self, revoked_id: UUID, *, seconds: int) -> None:
        try:
            with redis_errors():
                await self._redis.set(_key(revoked_id), b"1", ex=seconds)
        except Unavailable:
            self._redis_missed_one = True
            log.warning("Revocation not in Redis yet", event="blacklist_behind", revoked_id=str(revoked_id))

    def doubt(self) -> None:
        self._redis_missed_one = True

    async def keep_loaded(self) -> None:
        """Background: whenever Redis has lost the list or missed an entry, write all of it again."""
        while True:
            try:
                await self.load_if_lost()
            except Unavailable:
                # Redis is away; the gateway, too, sees that and fails closed where it must.
                self._redis_missed_one = True
            await asyncio.sleep(CHECK_SECONDS)

    async def load_if_lost(self) -> None:
        with redis_errors():
            if not self._redis_missed_one and await self._redis.exists(LOADED_KEY):
                return
        self._redis_missed_one = False
        try:
            count = await self._load()
        except Unavailable:
            self._redis_missed_one = True
            raise
        log.info("Revoked sessions loaded", event="blacklist_loaded", count=count)

    async def _load(self) -> int:
        now = self._clock.now()
        count = 0
        begun = f"{LOADED_KEY}:{uuid4()}"
        with redis_errors():
            await self._redis.set(begun, b"1", ex=LOAD_SECONDS_MAX)
            async for entry in BlacklistedTokenDocument.find({"expires_at": {"$gt": now}}):
                seconds = max(1, int((entry.expires_at - now).total_seconds()) + 1)
                await self._redis.set(_key(entry.id), b"1", ex=seconds)
                count += 1
            # Last: a load that broke off is done again. So is one in whose midst Redis was emptied, which took `begun`.
            await self._redis.rename(begun, LOADED_KEY)
            await self._redis.persist(LOADED_KEY)
        return count


def _key(session_id: UUID) -> str:
    return f"cryptovault:blacklist:{session_id}"
