"""Sessions whose access tokens are void: the database remembers them, Redis answers the gateway's every request."""

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from chassis.clock import Clock
from chassis.errors import Unavailable
from chassis.logs import get_logger
from chassis.mongo import DatabaseUnavailable
from pymongo.errors import PyMongoError
from redis.asyncio import Redis

from auth.domain.sessions import REVOKED_FOR
from auth.storage.documents import BlacklistedTokenDocument
from auth.storage.redis_errors import redis_errors

# Gone with everything else when Redis is emptied or replaced: its absence says that the list must be loaded again.
LOADED_KEY = "cryptovault:blacklist-loaded"
LOAD_SECONDS_MAX = 600  # one that takes longer is done again
CHECK_SECONDS = 0.1  # so soon after Redis was emptied is the list there again; a look costs 0.1 ms
# And how often it is looked for what others ended and did not live to tell Redis: a query of a few milliseconds.
LOOKS_PER_RECENT = 10
RECENT = timedelta(seconds=30)  # far longer than from one look to the next, and than clocks are apart
RECENT_MAX = 1_000
_TOLD_MAX = 10_000

log = get_logger(__name__)


class MirroredRevokedSessions:
    """`blacklisted_tokens` in MongoDB, `cryptovault:blacklist:{session id}` in Redis until the last token expired."""

    def __init__(self, redis: Redis, clock: Clock) -> None:
        self._redis = redis
        self._clock = clock
        # Until it was looked: whoever ran before may have died between the database and Redis.
        self._redis_missed_one = True
        self._has_looked = False
        # What this process has told Redis of, the latest: others' are told once more, which changes nothing.
        self._told: OrderedDict[UUID, None] = OrderedDict()

    async def remember(self, revoked_id: UUID, *, user_id: UUID, now: datetime, until: datetime) -> None:
        await BlacklistedTokenDocument(id=revoked_id, user_id=user_id, revoked_at=now, expires_at=until).insert()

    async def publish(self, revoked_id: UUID, *, seconds: int) -> None:
        try:
            with redis_errors():
                await self._redis.set(_key(revoked_id), b"1", ex=seconds)
            self._note_told(revoked_id)
        except Unavailable:
            self._redis_missed_one = True
            log.warning("Revocation not in Redis yet", event="blacklist_behind", revoked_id=str(revoked_id))

    async def among(self, ids: Sequence[UUID]) -> Collection[UUID]:
        rows = BlacklistedTokenDocument.get_pymongo_collection().find({"_id": {"$in": list(ids)}}, {"_id": 1})
        return {row["_id"] async for row in rows}

    def doubt(self) -> None:
        self._redis_missed_one = True

    async def keep_loaded(self) -> None:
        """Background: whenever Redis has lost the list or missed an entry, write all of it again; and what others, such
        as an operator's command, have ended without living to tell Redis.
        """
        looks = 0
        while True:
            looks += 1
            try:
                await self.load_if_lost()
                if looks % LOOKS_PER_RECENT == 0:
                    await self.load_recent()
            except DatabaseUnavailable:
                log.warning("Revocations could not be read", event="blacklist_unread")
            except Unavailable:
                # Redis is away; the gateway, too, sees that and fails closed where it must.
                self._redis_missed_one = True
            await asyncio.sleep(CHECK_SECONDS)

    async def load_if_lost(self) -> None:
        with redis_errors():
            if not self._redis_missed_one and await self._redis.exists(LOADED_KEY):
                return
            if self._redis_missed_one and self._has_looked:
                # Gateways ask auth from here on: what Redis did not take it may go on refusing, as when it is full. Not
                # at the first look, or whoever is signed in would wait for each start of auth.
                await self._redis.delete(LOADED_KEY)
        self._redis_missed_one, self._has_looked = False, True
        try:
            count = await self._load()
        except Unavailable:
            self._redis_missed_one = True
            raise
        log.info("Revoked sessions loaded", event="blacklist_loaded", count=count)

    async def load_recent(self) -> None:
        """Tells Redis of what has ended a moment ago, whoever ended it. Raises Unavailable."""
        now = self._clock.now()
        # All end so long after they were revoked; the index is on the end.
        recent = {"expires_at": {"$gt": now + REVOKED_FOR - RECENT}}
        try:
            entries = await BlacklistedTokenDocument.find(recent).sort("expires_at").limit(RECENT_MAX).to_list()
        except PyMongoError as error:
            raise DatabaseUnavailable from error
        for entry in entries:
            if entry.id not in self._told:
                with redis_errors():
                    await self._redis.set(_key(entry.id), b"1", ex=_seconds_left(entry, now))
                self._note_told(entry.id)

    async def _load(self) -> int:
        now = self._clock.now()
        count = 0
        begun = f"{LOADED_KEY}:{uuid4()}"
        with redis_errors():
            await self._redis.set(begun, b"1", ex=LOAD_SECONDS_MAX)
            try:
                async for entry in BlacklistedTokenDocument.find({"expires_at": {"$gt": now}}):
                    await self._redis.set(_key(entry.id), b"1", ex=_seconds_left(entry, now))
                    count += 1
            except PyMongoError as error:
                raise DatabaseUnavailable from error
            # Last: a load that broke off is done again. So is one in whose midst Redis was emptied, which took `begun`.
            await self._redis.rename(begun, LOADED_KEY)
            await self._redis.persist(LOADED_KEY)
        return count

    def _note_told(self, revoked_id: UUID) -> None:
        self._told[revoked_id] = None
        while len(self._told) > _TOLD_MAX:
            self._told.popitem(last=False)


def _seconds_left(entry: BlacklistedTokenDocument, now: datetime) -> int:
    return max(1, int((entry.expires_at - now).total_seconds()) + 1)


def _key(session_id: UUID) -> str:
    return f"cryptovault:blacklist:{session_id}"
