import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from auth.domain.api_keys import KEYS_MAX, PERMISSIONS_BY_SCOPE, permissions_of_key
from auth.domain.errors import ApiKeyNotFound, InvalidApiKey, TooManyApiKeys
from auth.domain.roles import permissions_of
from auth.use_cases.create_api_key import CreatedKey
from auth.use_cases.open_session import SignedIn
from chassis.identity import Caller, NotSignedIn, use_caller

EMAIL = "ada@example.com"


class Died(Exception):
    """The process, right after the commit."""


def caller(session: SignedIn | None = None, *, service: str = "gateway") -> Caller:
    return Caller(
        service=service,
        user_id=str(session.user.id) if session else None,
        session_id=str(session.session.id) if session else None,
        request_id="r",
        address="203.0.113.7",
    )


async def made(world: Any, member: SignedIn, **changes: Any) -> CreatedKey:
    wanted = {"name": "bot", "scopes": ["read", "trade"], "networks": [], "expires_at": None, **changes}
    with use_caller(caller(member)):
        created: CreatedKey = await world.do.create_api_key(**wanted)
    return created


async def found(world: Any, key_id: UUID) -> Any:
    with use_caller(caller()):
        return await world.do.find_api_key(key_id=key_id)


async def test_a_key_is_made_with_a_secret_shown_once_and_found_by_the_gateway(world: Any) -> None:
    member = await world.member()
    created = await made(world, member, networks=["203.0.113.7", "198.51.100.0/24"])
    assert len(created.secret) >= 43
    assert created.key.networks == ("198.51.100.0/24", "203.0.113.7/32")
    usable = await found(world, created.key.id)
    assert usable.secret == created.secret
    assert usable.key.user_id == member.user.id
    assert {"orders:read", "orders:write", "orders:cancel", "api-keys:read"} <= set(usable.permissions)
    assert not {"api-keys:write", "wallet:withdraw", "wallet:transfer"} & set(usable.permissions)
    with use_caller(caller(member)):
        [listed] = await world.do.list_api_keys()
    assert (listed.id, listed.last_used_at) == (created.key.id, world.clock.now())
    await world.settle()
    assert world.notices() == ["api_key_created"]
    assert await world.audited() == [("api_key_created", f"user:{member.user.id}", f"api-key:{created.key.id}")]


async def test_a_key_moves_money_from_networks_that_it_names(memory_world: Any) -> None:
    """Who steals its secret and is elsewhere has nothing; nobody is asked for a second factor then."""
    member = await memory_world.member()
    networks = ["198.51.100.0/24", "2001:db8::/48", "203.0.113.7"]
    created = await made(memory_world, member, scopes=["transfer", "withdraw"], networks=networks)
    assert created.key.networks == ("198.51.100.0/24", "2001:db8::/48", "203.0.113.7/32")
    assert (await made(memory_world, member, networks=["10.0.0.0/8"])).key.networks == ("10.0.0.0/8",)
    mapped = await made(memory_world, member, scopes=["withdraw"], networks=["::ffff:203.0.113.0/120"])
    assert mapped.key.networks == ("203.0.113.0/24",)


def test_each_scope_permits_its_own_and_never_more_than_the_owner_may() -> None:
    owner = permissions_of(["user"])
    for scope, permissions in PERMISSIONS_BY_SCOPE.items():
        assert set(permissions_of_key([scope], owner)) == {*permissions, "api-keys:read"}, scope
    assert set(permissions_of_key(["cancel"], owner)) == {"orders:cancel", "api-keys:read"}
    assert permissions_of_key(list(PERMISSIONS_BY_SCOPE), ["orders:read"]) == ("orders:read",)
    # An administrator's key is no administrator.
    assert "markets:write" not in permissions_of_key(list(PERMISSIONS_BY_SCOPE), permissions_of(["user", "admin"]))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": " "}, "name"),
        ({"name": "x" * 61}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["read", "admin"]}, "scopes"),
        ({"networks": ["here"]}, "networks"),
        ({"networks": ["10.0.0.1/8"]}, "networks"),
        ({"networks": ["300.0.0.1"]}, "networks"),
        ({"networks": ["10.0.0.0/8"] * 21}, "networks"),
        ({"scopes": ["withdraw"]}, "networks"),
        ({"scopes": ["read", "transfer"]}, "networks"),
        ({"scopes": ["withdraw"], "networks": ["0.0.0.0/0"]}, "networks"),
        ({"scopes": ["withdraw"], "networks": ["203.0.113.7", "198.51.100.0/23"]}, "networks"),
        ({"scopes": ["withdraw"], "networks": ["2001:db8::/47"]}, "networks"),
        ({"scopes": ["withdraw"], "networks": ["::ffff:0:0/96"]}, "networks"),
        ({"expires_in": timedelta(seconds=0)}, "expires_at"),
        ({"expires_in": timedelta(days=367)}, "expires_at"),
    ],
)
async def test_a_key_that_cannot_be_names_its_field_and_leaves_nothing(
    memory_world: Any, changes: dict[str, Any], field: str
) -> None:
    member = await memory_world.member()
    if "expires_in" in changes:
        changes = {"expires_at": memory_world.clock.now() + changes["expires_in"]}
    with pytest.raises(InvalidApiKey) as refusal:
        await made(memory_world, member, **changes)
    assert refusal.value.details["field"] == field
    with use_caller(caller(member)):
        assert list(await memory_world.do.list_api_keys()) == []


async def test_an_account_has_so_many_keys(memory_world: Any) -> None:
    member = await memory_world.member()
    for _ in range(KEYS_MAX):
        await made(memory_world, member)
    with pytest.raises(TooManyApiKeys):
        await made(memory_world, member)


async def test_of_those_made_at_once_so_many_are_made_and_a_reset_ends_them_all(real_world: Any) -> None:
    member = await real_world.member()
    outcomes = await asyncio.gather(*(made(real_world, member) for _ in range(KEYS_MAX + 5)), return_exceptions=True)
    assert sum(isinstance(outcome, TooManyApiKeys) for outcome in outcomes) == 5
    keys = real_world.adapters.api_keys
    [row] = await keys.of_user(member.user.id, 1)
    # However more came to be there than there may be.
    await keys.add(replace(row, id=uuid4()))
    await real_world.do.request_password_reset(email=EMAIL)
    await real_world.settle()
    await real_world.do.reset_password(email=EMAIL, code=real_world.last_code(), password="a new battery staple")
    assert list(await keys.of_user(member.user.id, KEYS_MAX)) == []


async def test_a_key_ends_by_its_owner_alone_and_every_gateway_hears_of_it(world: Any) -> None:
    member = await world.member()
    other = await world.member("bob@example.com")
    created = await made(world, member)
    with use_caller(caller(other)), pytest.raises(ApiKeyNotFound):
        await world.do.delete_api_key(key_id=created.key.id)
    assert await found(world, created.key.id)
    with use_caller(caller(member)):
        await world.do.delete_api_key(key_id=created.key.id)
        with pytest.raises(ApiKeyNotFound):
            await world.do.delete_api_key(key_id=created.key.id)
        assert list(await world.do.list_api_keys()) == []
    assert await world.is_blacklisted(created.key.id)
    with pytest.raises(ApiKeyNotFound):
        await found(world, created.key.id)
    assert [action for action, _, _ in await world.audited()] == ["api_key_created", "api_key_revoked"]


async def test_a_key_ends_when_it_says(world: Any) -> None:
    member = await world.member()
    created = await made(world, member, expires_at=world.clock.now() + timedelta(hours=1))
    world.clock.advance(3_599)
    assert await found(world, created.key.id)
    world.clock.advance(1)
    with pytest.raises(ApiKeyNotFound):
        await found(world, created.key.id)


async def test_freezing_and_a_reset_end_all_keys(world: Any) -> None:
    member = await world.member()
    first = await made(world, member)
    with use_caller(caller(member)):
        await world.do.freeze_account(ticket="")
    assert await world.is_blacklisted(first.key.id)
    for unfrozen in range(2):
        await world.reset_limits()
        await world.do.request_password_reset(email=EMAIL)
        await world.settle()
        await world.do.reset_password(email=EMAIL, code=world.last_code(), password=f"a new battery staple {unfrozen}")
        if not unfrozen:
            second = await made(world, await world.do.log_in(email=EMAIL, password="a new battery staple 0"))
    assert await world.is_blacklisted(second.key.id)
    for key in (first, second):
        with pytest.raises(ApiKeyNotFound):
            await found(world, key.key.id)


async def test_a_frozen_owners_key_is_not_found_whatever_became_of_it(world: Any) -> None:
    member = await world.member()
    created = await made(world, member)
    await world.adapters.users.freeze(member.user.id, world.clock.now())
    with pytest.raises(ApiKeyNotFound):
        await found(world, created.key.id)


async def test_only_people_make_keys(world: Any) -> None:
    with pytest.raises(NotSignedIn):
        await world.do.create_api_key(name="bot", scopes=["read"], networks=[], expires_at=None)


async def test_the_secret_does_not_lie_in_the_database(real_world: Any, mongo: Any) -> None:
    created = await made(real_world, await real_world.member())
    kept = []
    for name in await mongo.database.list_collection_names():
        kept += [repr(row) for row in await mongo.database[name].find({}).to_list(None)]
    assert not [row for row in kept if created.secret in row]


async def test_a_reset_that_dies_half_way_leaves_no_key_of_who_had_the_account_before(world: Any) -> None:
    """Its code is spent and the new password works: nobody would do it again."""
    member = await world.member()
    key = (await made(world, member)).key
    old_hash, transactions = (await world.user()).password_hash, world.adapters.transactions

    class Dying:
        async def run(self, work: Any) -> Any:
            done = await transactions.run(work)
            if (await world.user()).password_hash != old_hash:
                raise Died
            return done

    await world.do.request_password_reset(email=EMAIL)
    await world.settle()
    world.adapters = replace(world.adapters, transactions=Dying(), in_turn=Dying())
    with pytest.raises(Died):
        await world.do.reset_password(email=EMAIL, code=world.last_code(), password="a new battery staple")
    assert await world.is_blacklisted(key.id)
    with pytest.raises(ApiKeyNotFound):
        await found(world, key.id)


async def test_a_key_that_is_being_made_while_the_account_is_taken_back_is_not_made(world: Any) -> None:
    """Its request was let in before; it may have waited for its turn, or for the end of its own body."""
    member, transactions = await world.member(), world.adapters.in_turn
    owners = world.do
    await owners.request_password_reset(email=EMAIL)
    await world.settle()

    class Late:
        async def run(self, work: Any) -> Any:
            await owners.reset_password(email=EMAIL, code=world.last_code(), password="a new battery staple")
            return await transactions.run(work)

    world.adapters = replace(world.adapters, in_turn=Late())
    with pytest.raises(NotSignedIn):
        await made(world, member)
    assert list(await world.adapters.api_keys.of_user(member.user.id, KEYS_MAX)) == []
