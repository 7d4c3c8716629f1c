import asyncio
import base64
import random
from collections import Counter
from typing import Any
from uuid import uuid4

import pytest
from auth.domain.errors import (
    InvalidRefreshToken,
    RefreshTokenReused,
    SessionEnded,
)
from auth.use_cases.open_session import SignedIn
from chassis.identity import Caller, NotSignedIn, use_caller

HERE = "203.0.113.7"
ELSEWHERE = "198.51.100.66"


def caller(signed_in: SignedIn | None = None, *, address: str = HERE, service: str = "gateway") -> Caller:
    return Caller(
        service=service,
        user_id=str(signed_in.user.id) if signed_in else None,
        session_id=str(signed_in.session.id) if signed_in else None,
        request_id="",
        address=address,
    )


async def refresh(world: Any, token: str, *, device: str = "", address: str = HERE) -> SignedIn:
    with use_caller(caller(address=address)):
        signed_in: SignedIn = await world.do.refresh_session(refresh_token=token, device_token=device)
        return signed_in


async def assert_dead(world: Any, session: SignedIn, *tokens: str) -> None:
    """The session is over, for whoever holds whichever token of it."""
    for token in tokens:
        with pytest.raises(SessionEnded):
            await refresh(world, token, device=session.device_token)
    assert await world.is_blacklisted(session.session.id)
    assert Counter(name for name, _ in await world.events())["SessionRevoked"] == 1


async def test_each_refresh_spends_the_token_and_gives_the_next(world: Any) -> None:
    signed_in = await world.member()
    tokens = [signed_in.refresh_token]
    for _ in range(3):
        world.clock.advance(1800)
        signed_in = await refresh(world, tokens[-1])
        tokens.append(signed_in.refresh_token)
    assert len(set(tokens)) == 4
    assert signed_in.refresh_expires_in == 604_800


async def test_a_token_spent_long_ago_ends_the_session(world: Any) -> None:
    first = await world.member()
    second = await refresh(world, first.refresh_token)
    third = await refresh(world, second.refresh_token)
    world.clock.advance(11)
    with pytest.raises(RefreshTokenReused):
        await refresh(world, first.refresh_token, device=first.device_token)
    await assert_dead(world, first, third.refresh_token)
    # The owner hears of it, once.
    with pytest.raises(SessionEnded):
        await refresh(world, first.refresh_token, device=first.device_token)
    await world.settle()
    assert world.notices() == ["session_copied"]
    assert world.courier.mails[-1].facts["link"].endswith("/freeze")


async def test_two_generations_back_is_reuse_even_within_the_grace(world: Any) -> None:
    first = await world.member()
    second = await refresh(world, first.refresh_token, device=first.device_token)
    await refresh(world, second.refresh_token, device=first.device_token)
    with pytest.raises(RefreshTokenReused):
        await refresh(world, first.refresh_token, device=first.device_token)


async def test_a_lost_reply_is_answered_again_with_the_same_successor(world: Any) -> None:
    first = await world.member()
    second = await refresh(world, first.refresh_token, device=first.device_token)
    world.clock.advance(10)
    # Even from elsewhere: a phone that changes its network is the same phone.
    again = await refresh(world, first.refresh_token, device=first.device_token, address=ELSEWHERE)
    assert again.refresh_token == second.refresh_token
    assert again.access_token != second.access_token
    assert (await refresh(world, again.refresh_token)).refresh_token != again.refresh_token


@pytest.mark.parametrize("seconds", [0, 9])
async def test_a_thief_of_the_token_who_is_second_ends_the_session_even_behind_the_same_address(
    world: Any, seconds: int
) -> None:
    first = await world.member()
    second = await refresh(world, first.refresh_token, device=first.device_token)
    world.clock.advance(seconds)
    with pytest.raises(RefreshTokenReused):
        await refresh(world, first.refresh_token)
    await assert_dead(world, first, second.refresh_token)


@pytest.mark.parametrize("seconds", [0, 9, 1800])
async def test_a_thief_of_the_token_who_is_first_is_found_when_the_owner_comes(world: Any, seconds: int) -> None:
    first = await world.member()
    stolen = await refresh(world, first.refresh_token)
    world.clock.advance(seconds)
    with pytest.raises(RefreshTokenReused):
        await refresh(world, first.refresh_token, device=first.device_token)
    await assert_dead(world, first, stolen.refresh_token)


async def test_who_has_the_refresh_token_alone_is_not_handed_the_device(world: Any) -> None:
    """It would outlive the session: a known device has tries of its own, and no mail about it is sent."""
    first = await world.member()
    stolen = await refresh(world, first.refresh_token)
    assert stolen.device_token == ""
    again = await refresh(world, stolen.refresh_token, device=stolen.device_token)
    assert again.device_token == ""
    assert (await refresh(world, again.refresh_token, device=first.device_token)).device_token == first.device_token


async def test_another_accounts_or_a_made_up_device_token_proves_no_device(world: Any) -> None:
    for number, strange in enumerate(("bob", "", "x" * 64, "é")):
        email = f"ada{number}@example.com"
        first = await world.member(email)
        other = await world.member("bob@example.com") if strange == "bob" else None
        second = await refresh(world, first.refresh_token, device=first.device_token)
        with pytest.raises(RefreshTokenReused):
            await refresh(world, first.refresh_token, device=other.device_token if other else strange)
        with pytest.raises(SessionEnded):
            await refresh(world, second.refresh_token, device=first.device_token)


async def test_another_device_of_the_same_owner_proves_not_this_one(world: Any) -> None:
    first = await world.member()
    phone = await world.do.log_in(email="ada@example.com", password="correct horse battery")
    await refresh(world, first.refresh_token, device=first.device_token)
    with pytest.raises(RefreshTokenReused):
        await refresh(world, first.refresh_token, device=phone.device_token)
    assert await refresh(world, phone.refresh_token, device=phone.device_token)


async def test_a_thief_of_both_tokens_is_found_when_the_two_part(world: Any) -> None:
    """Within the grace nothing tells him from a second tab; but he gets the same successor, so there is one line."""
    first = await world.member()
    owners = await refresh(world, first.refresh_token, device=first.device_token)
    thiefs = await refresh(world, first.refresh_token, device=first.device_token, address=ELSEWHERE)
    assert thiefs.refresh_token == owners.refresh_token
    world.clock.advance(1800)
    ahead = await refresh(world, owners.refresh_token, device=first.device_token)
    world.clock.advance(11)
    with pytest.raises(RefreshTokenReused):
        await refresh(world, thiefs.refresh_token, device=first.device_token, address=ELSEWHERE)
    await assert_dead(world, first, ahead.refresh_token)


async def test_parallel_refreshes_with_one_token_share_one_successor(world: Any) -> None:
    first = await world.member()
    outcomes = await asyncio.gather(
        *(refresh(world, first.refresh_token, device=first.device_token) for _ in range(20))
    )
    assert len({outcome.refresh_token for outcome in outcomes}) == 1
    assert await refresh(world, outcomes[0].refresh_token)
    assert "SessionRevoked" not in {name for name, _ in await world.events()}


async def test_two_tabs_that_race_two_hundred_times_sign_nobody_out(real_world: Any) -> None:
    """Of one browser: both wake up and send the token that they share. Sometimes the reply that was second is kept."""
    signed_in = await real_world.member()
    token, device = signed_in.refresh_token, signed_in.device_token
    order = random.Random(1)
    spent = {token}
    for _ in range(200):
        one, other = await asyncio.gather(
            refresh(real_world, token, device=device), refresh(real_world, token, device=device)
        )
        assert one.refresh_token == other.refresh_token
        token = order.choice([one, other]).refresh_token
        assert token not in spent
        spent.add(token)
        # A tab that has slept through it all comes within the grace.
        real_world.clock.advance(order.choice([0, 1, 9, 1800]))
    stolen = min(spent - {token})
    real_world.clock.advance(11)
    with pytest.raises(RefreshTokenReused):
        await refresh(real_world, stolen, device=device)
    await assert_dead(real_world, signed_in, token)


async def test_a_refresh_token_ends_after_seven_days_and_a_session_after_thirty(world: Any) -> None:
    signed_in = await world.member()
    idle = await world.do.log_in(email="ada@example.com", password="correct horse battery")
    for _ in range(4):
        world.clock.advance(6 * 86_400)
        signed_in = await refresh(world, signed_in.refresh_token)
    with pytest.raises(SessionEnded):
        await refresh(world, idle.refresh_token)
    world.clock.advance(5 * 86_400)
    signed_in = await refresh(world, signed_in.refresh_token)
    assert signed_in.refresh_expires_in == 86_400
    world.clock.advance(86_400)
    with pytest.raises(SessionEnded):
        await refresh(world, signed_in.refresh_token)


async def test_a_made_up_token_neither_refreshes_nor_ends_a_session(world: Any) -> None:
    signed_in = await world.member()
    raw = base64.urlsafe_b64decode(signed_in.refresh_token + "==")
    await refresh(world, signed_in.refresh_token)
    world.clock.advance(60)
    forged = [
        "",
        "x",
        "é" * len(signed_in.refresh_token),
        signed_in.refresh_token + "A",
        base64.urlsafe_b64encode(raw[:-1] + bytes([raw[-1] ^ 1])).decode().rstrip("="),
        base64.urlsafe_b64encode(raw[:19] + b"\x01" + raw[20:]).decode().rstrip("="),
        base64.urlsafe_b64encode(uuid4().bytes + raw[16:]).decode().rstrip("="),
    ]
    for token in forged:
        with pytest.raises(InvalidRefreshToken):
            await refresh(world, token)
    assert not await world.is_blacklisted(signed_in.session.id)


async def test_signing_out_ends_the_session_at_once_and_once(world: Any) -> None:
    signed_in = await world.member()
    with use_caller(caller(signed_in)):
        for _ in range(2):
            await world.do.log_out(refresh_token=signed_in.refresh_token)
    with pytest.raises(SessionEnded):
        await refresh(world, signed_in.refresh_token)
    assert await world.is_blacklisted(signed_in.session.id)
    assert (await world.events()).count(("SessionRevoked", str(signed_in.user.id))) == 1


async def test_signing_out_needs_only_the_token_or_only_the_session(world: Any) -> None:
    by_token = await world.member()
    by_session = await world.do.log_in(email="ada@example.com", password="correct horse battery")
    spent = by_token.refresh_token
    await refresh(world, spent)
    with use_caller(caller()):
        await world.do.log_out(refresh_token=spent)
        with pytest.raises(NotSignedIn):
            await world.do.log_out(refresh_token="")
        await world.do.log_out(refresh_token="nonsense")
    with use_caller(caller(by_session)):
        await world.do.log_out(refresh_token="")
    for signed_in in (by_token, by_session):
        assert await world.is_blacklisted(signed_in.session.id)


async def test_signing_out_everywhere_ends_all_sessions_of_one_user(world: Any) -> None:
    first = await world.member()
    second = await world.do.log_in(email="ada@example.com", password="correct horse battery")
    other = await world.member("bob@example.com")
    with use_caller(caller(first)):
        await world.do.log_out_all()
    for signed_in in (first, second):
        with pytest.raises(SessionEnded):
            await refresh(world, signed_in.refresh_token)
        assert await world.is_blacklisted(signed_in.session.id)
    assert await refresh(world, other.refresh_token)


async def test_signing_out_and_refreshing_at_once_leaves_no_way_in(real_world: Any) -> None:
    world = real_world
    for _ in range(5):
        signed_in = (
            await world.do.log_in(email="ada@example.com", password="correct horse battery")
            if (await world.adapters.users.by_email("ada@example.com"))
            else await world.member()
        )

        async def leave(leaving: SignedIn = signed_in) -> None:
            with use_caller(caller(leaving)):
                await world.do.log_out(refresh_token="")

        refreshed, left = await asyncio.gather(refresh(world, signed_in.refresh_token), leave(), return_exceptions=True)
        assert left is None
        token = refreshed.refresh_token if isinstance(refreshed, SignedIn) else signed_in.refresh_token
        with pytest.raises(SessionEnded):
            await refresh(world, token)


async def test_a_rotation_that_comes_late_changes_nothing(world: Any) -> None:
    """Read at generation 0, written after others went on to 2: it must not turn the session back."""
    opened = (await world.member()).session
    sessions, now = world.adapters.sessions, world.clock.now()
    for generation in range(2):
        current = await sessions.by_id(opened.id)
        assert current.generation == generation
        assert await sessions.rotate(current, now=now, by_device=False, address=None, expires_at=opened.expires_at)
    assert not await sessions.rotate(opened, now=now, by_device=False, address=None, expires_at=opened.expires_at)
    assert (await sessions.by_id(opened.id)).generation == 2
    assert await sessions.revoke(opened.id, now)
    assert not await sessions.rotate(
        await sessions.by_id(opened.id), now=now, by_device=False, address=None, expires_at=opened.expires_at
    )
