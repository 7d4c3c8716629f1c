"""A process that dies right after the commit that closes something: nobody is left inside.

Nobody would do it again: the link was used, the role is gone, the operator's prompt has vanished.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from auth.domain.api_keys import ApiKey
from auth.domain.errors import InvalidRefreshToken, SessionEnded
from auth.domain.users import User
from auth.storage.revoked_sessions import MirroredRevokedSessions
from auth.use_cases.end_sessions import EndSessions
from auth.use_cases.open_session import SignedIn
from auth.use_cases.record_audit import RecordAudit
from auth.use_cases.record_audit_soon import RecordAuditSoon
from auth.use_cases.remove_second_factor import RemoveSecondFactor
from auth.use_cases.revoke_api_keys import RevokeApiKeys
from auth.use_cases.revoke_role import RevokeRole
from auth.use_cases.revoke_sessions import RevokeSessions
from chassis.identity import Caller, use_caller
from chassis.testing import eventually

EMAIL = "ada@example.com"
PASSWORD = "correct horse battery"

Act = Callable[[Any, SignedIn], Awaitable[None]]


class Died(Exception):
    """The process, right after the commit."""


class Dying:
    """Runs what it is given, and dies once `is_done` says that this was it."""

    def __init__(self, world: Any, transactions: Any, is_done: Callable[[User], bool]) -> None:
        self._world = world
        self._transactions = transactions
        self._is_done = is_done

    async def run(self, work: Any) -> Any:
        done = await self._transactions.run(work)
        if self._is_done(await self._world.user()):
            raise Died
        return done


def end_sessions(a: Any) -> EndSessions:
    revoke = RevokeSessions(
        sessions=a.sessions,
        revoked=a.revoked,
        announcements=a.announcements,
        record_soon=RecordAuditSoon(deferred=a.deferred_audit, clock=a.clock, ids=a.ids),
        transactions=a.transactions,
        clock=a.clock,
    )
    return EndSessions(sessions=a.sessions, revoke_sessions=revoke, clock=a.clock)


def record_audit(a: Any) -> RecordAudit:
    return RecordAudit(audit_trail=a.audit_trail, clock=a.clock, ids=a.ids)


async def freeze_by_link(world: Any, member: SignedIn) -> None:
    a = world.adapters
    await world.do.freeze_account(ticket=a.freeze_tickets.issue(member.user, a.clock.now()))


async def freeze_by_its_owner(world: Any, member: SignedIn) -> None:
    session = {"user_id": str(member.user.id), "session_id": str(member.session.id)}
    with use_caller(Caller(service="gateway", request_id="r", address="203.0.113.7", **session)):
        await world.do.freeze_account(ticket="")


async def revoke_role(world: Any, _member: SignedIn) -> None:
    a = world.adapters
    revoke = RevokeRole(
        users=a.users, end_sessions=end_sessions(a), record_audit=record_audit(a), transactions=a.transactions
    )
    await revoke(email=EMAIL, role="admin")


async def remove_second_factor(world: Any, _member: SignedIn) -> None:
    a = world.adapters
    remove = RemoveSecondFactor(
        users=a.users,
        second_factors=a.second_factors,
        end_sessions=end_sessions(a),
        revoke_api_keys=RevokeApiKeys(
            api_keys=a.api_keys,
            revoked=a.revoked,
            record_audit=record_audit(a),
            transactions=a.transactions,
            clock=a.clock,
        ),
        announcements=a.announcements,
        record_audit=record_audit(a),
        transactions=a.transactions,
        clock=a.clock,
    )
    await remove(email=EMAIL)


async def reset_password(world: Any, _member: SignedIn) -> None:
    await world.do.request_password_reset(email=EMAIL)
    await world.settle()
    await world.do.reset_password(email=EMAIL, code=world.last_code(), password="a new battery staple")


def is_frozen(user: User) -> bool:
    return user.frozen_at is not None


def is_no_admin(user: User) -> bool:
    return "admin" not in user.roles


def has_a_new_password(user: User) -> bool:
    return user.password_resets > 0


@pytest.mark.parametrize(
    ("act", "is_done", "ends_keys"),
    [
        (freeze_by_link, is_frozen, True),
        (freeze_by_its_owner, is_frozen, True),
        (remove_second_factor, is_frozen, True),
        (reset_password, has_a_new_password, True),
        # What a key may is looked up with its owner's roles.
        (revoke_role, is_no_admin, False),
    ],
)
async def test_a_process_that_dies_as_something_is_closed_leaves_nobody_inside(
    world: Any, act: Act, is_done: Callable[[User], bool], *, ends_keys: bool
) -> None:
    member = await world.member()
    other = await world.do.log_in(email=EMAIL, password=PASSWORD)
    a, key_id = world.adapters, uuid4()
    await a.users.add_role(member.user.id, "admin")
    await a.second_factors.propose(member.user.id, "sealed")
    await a.second_factors.enable(member.user.id, secret="sealed", step=1, recovery_digests=[])
    await a.users.set_two_factor(member.user.id, enabled=True)
    fields: dict[str, Any] = {"name": "bot", "scopes": ("trade",), "networks": (), "secret": "sealed"}
    await a.api_keys.add(ApiKey(id=key_id, user_id=member.user.id, created_at=a.clock.now(), **fields))
    world.adapters = replace(
        a, transactions=Dying(world, a.transactions, is_done), in_turn=Dying(world, a.in_turn, is_done)
    )
    with pytest.raises(Died):
        await act(world, member)
    world.adapters = a
    assert is_done(await world.user())
    for signed_in in (member, other):
        assert await world.is_blacklisted(signed_in.session.id)
        with pytest.raises((SessionEnded, InvalidRefreshToken)):
            await world.do.refresh_session(refresh_token=signed_in.refresh_token)
    assert await world.is_blacklisted(key_id) == ends_keys


async def test_the_owner_hears_of_a_removed_factor_though_the_process_died_with_it(world: Any) -> None:
    member = await world.member()
    a = world.adapters
    await a.second_factors.propose(member.user.id, "sealed")
    await a.second_factors.enable(member.user.id, secret="sealed", step=1, recovery_digests=[])
    await a.users.set_two_factor(member.user.id, enabled=True)
    world.adapters = replace(a, transactions=Dying(world, a.transactions, is_frozen))
    with pytest.raises(Died):
        await remove_second_factor(world, member)
    assert (await world.events()).count(("SecondFactorRemoved", str(member.user.id))) == 1


async def test_what_a_dead_process_did_not_tell_redis_a_living_one_does(real_world: Any, redis: Any) -> None:
    """An operator's command, killed between the database and Redis: nobody starts it again, and auth goes on."""
    member = await real_world.member()
    other = await real_world.do.log_in(email=EMAIL, password=PASSWORD)
    a, living = real_world.adapters, real_world.adapters.revoked
    await living.load_if_lost()

    class Silent(MirroredRevokedSessions):
        async def publish(self, revoked_id: UUID, *, seconds: int) -> None:
            raise Died

    real_world.adapters = replace(a, revoked=Silent(redis, a.clock))
    with pytest.raises(Died):
        await freeze_by_its_owner(real_world, member)
    for signed_in in (member, other):
        assert not await real_world.is_blacklisted(signed_in.session.id)
    keeping = asyncio.create_task(living.keep_loaded())
    for signed_in in (member, other):
        await eventually(partial(real_world.is_blacklisted, signed_in.session.id))
        assert 1858 <= await redis.ttl(f"cryptovault:blacklist:{signed_in.session.id}") <= 1861
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
