"""What has ended is over for everybody who asks: Redis for each request, auth where Redis does not know."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from auth.domain.users import User
from auth.storage.documents import BlacklistedTokenDocument
from auth.storage.revoked_sessions import LOADED_KEY, MirroredRevokedSessions
from authenticator import caller
from chassis.errors import InvalidArgument, Unavailable
from chassis.identity import use_caller
from chassis.mongo import DatabaseUnavailable


async def test_who_cannot_ask_redis_is_told_which_of_some_sessions_are_over(world: Any) -> None:
    ended = await world.member()
    living = await world.do.log_in(email="ada@example.com", password="correct horse battery")
    with use_caller(caller(ended)):
        await world.do.log_out(refresh_token="")
    # As many as a gateway asks for at once.
    ids = [ended.session.id, living.session.id, *(uuid4() for _ in range(254))]
    assert set(await world.do.list_revoked(ids=ids)) == {ended.session.id}
    with pytest.raises(InvalidArgument):
        await world.do.list_revoked(ids=[*ids, uuid4()])


async def test_a_token_that_is_made_while_its_session_ends_is_void_for_as_long_as_it_lives(
    real_world: Any, redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = real_world
    signed_in = await world.member()
    spent, device = signed_in.refresh_token, signed_in.device_token
    await world.do.refresh_session(refresh_token=spent, device_token=device)
    find_user = world.adapters.users.by_id

    async def ended_meanwhile(user_id: UUID) -> User | None:
        """The refresh has read its session; the database takes its time."""
        user: User | None = await find_user(user_id)
        monkeypatch.undo()
        with use_caller(caller(signed_in)):
            await world.do.log_out(refresh_token="")
        world.clock.advance(8)
        return user

    monkeypatch.setattr(world.adapters.users, "by_id", ended_meanwhile)
    late = await world.do.refresh_session(refresh_token=spent, device_token=device)
    entry = await BlacklistedTokenDocument.get(signed_in.session.id)
    assert entry is not None
    token_ends_at = world.clock.now() + timedelta(seconds=late.access_expires_in)
    assert entry.expires_at > token_ends_at
    assert await redis.ttl(f"cryptovault:blacklist:{signed_in.session.id}") > late.access_expires_in + 8


async def test_an_emptied_redis_revives_no_revoked_session(real_world: Any, redis: Any) -> None:
    signed_in = await real_world.member()
    revoked = real_world.adapters.revoked
    await revoked.load_if_lost()
    with use_caller(caller(signed_in)):
        await real_world.do.log_out(refresh_token="")
    await redis.flushall()
    assert not await real_world.is_blacklisted(signed_in.session.id)
    await revoked.load_if_lost()
    assert await real_world.is_blacklisted(signed_in.session.id)
    assert 1858 <= await redis.ttl(f"cryptovault:blacklist:{signed_in.session.id}") <= 1861


async def test_a_redis_that_is_emptied_while_it_is_filled_is_filled_again(real_world: Any, redis: Any) -> None:
    signed_in = await real_world.member()
    with use_caller(caller(signed_in)):
        await real_world.do.log_out(refresh_token="")
    await redis.flushall()

    class EmptiedMeanwhile:
        """Redis, emptied after an entry was written and before all are."""

        def __getattr__(self, name: str) -> Any:
            return getattr(redis, name)

        async def set(self, key: str, *arguments: Any, **options: Any) -> None:
            await redis.set(key, *arguments, **options)
            if key == f"cryptovault:blacklist:{signed_in.session.id}" and not emptied:
                emptied.append(key)
                await redis.flushall()

    emptied: list[str] = []
    revoked = MirroredRevokedSessions(cast(Any, EmptiedMeanwhile()), real_world.clock)
    with pytest.raises(Unavailable):
        await revoked.load_if_lost()
    assert emptied
    await revoked.load_if_lost()
    assert await real_world.is_blacklisted(signed_in.session.id)


async def test_a_full_redis_is_not_believed_until_it_takes_what_it_missed(real_world: Any, redis: Any) -> None:
    signed_in = await real_world.member()
    revoked = real_world.adapters.revoked
    await revoked.load_if_lost()
    assert await redis.exists(LOADED_KEY)
    maximum = (await redis.config_get("maxmemory"))["maxmemory"]
    await redis.config_set("maxmemory", 1)
    try:
        with use_caller(caller(signed_in)):
            await real_world.do.log_out(refresh_token="")
        with pytest.raises(Unavailable):
            await revoked.load_if_lost()
        assert not await redis.exists(LOADED_KEY)
    finally:
        await redis.config_set("maxmemory", maximum)
    await revoked.load_if_lost()
    assert await redis.exists(LOADED_KEY)
    assert await real_world.is_blacklisted(signed_in.session.id)


async def test_who_starts_looks_once_before_it_takes_from_redis_that_it_is_whole(real_world: Any, redis: Any) -> None:
    """Or whoever is signed in would wait for each start of auth."""
    await real_world.adapters.revoked.load_if_lost()
    maximum = (await redis.config_get("maxmemory"))["maxmemory"]
    await redis.config_set("maxmemory", 1)
    started = MirroredRevokedSessions(redis, real_world.clock)
    try:
        for is_whole in (1, 0):
            with pytest.raises(Unavailable):
                await started.load_if_lost()
            assert await redis.exists(LOADED_KEY) == is_whole
    finally:
        await redis.config_set("maxmemory", maximum)


async def test_a_session_whose_end_got_no_further_than_the_database_is_over_in_redis_too(
    real_world: Any, redis: Any
) -> None:
    signed_in = await real_world.member()
    revoked, transactions = real_world.adapters.revoked, real_world.adapters.transactions
    await revoked.load_if_lost()

    class ReplyLost:
        async def run(self, work: Any) -> None:
            await transactions.run(work)
            raise DatabaseUnavailable

    real_world.adapters = replace(real_world.adapters, transactions=ReplyLost())
    with use_caller(caller(signed_in)), pytest.raises(DatabaseUnavailable):
        await real_world.do.log_out(refresh_token="")
    await revoked.load_if_lost()
    assert await real_world.is_blacklisted(signed_in.session.id)
    # Nor does it help that the process died in between: the next one looks.
    await redis.delete(f"cryptovault:blacklist:{signed_in.session.id}")
    await revoked.load_if_lost()
    assert not await real_world.is_blacklisted(signed_in.session.id)
    await MirroredRevokedSessions(redis, real_world.clock).load_if_lost()
    assert await real_world.is_blacklisted(signed_in.session.id)
