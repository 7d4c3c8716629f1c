"""People's own profiles, and where they are reached."""

from typing import Any
from uuid import uuid4

import pytest
from auth.domain.errors import (
    InvalidName,
    SessionEnded,
    UserNotFound,
)
from auth.use_cases.open_session import SignedIn
from chassis.identity import Caller, NotSignedIn, use_caller

HERE = "203.0.113.7"


def caller(signed_in: SignedIn | None = None, *, address: str = HERE, service: str = "gateway") -> Caller:
    return Caller(
        service=service,
        user_id=str(signed_in.user.id) if signed_in else None,
        session_id=str(signed_in.session.id) if signed_in else None,
        request_id="",
        address=address,
    )


async def test_a_profile_is_the_callers_own(world: Any) -> None:
    signed_in = await world.member()
    with pytest.raises(NotSignedIn):
        await world.do.get_user()
    with use_caller(caller(signed_in)):
        assert (await world.do.get_user()).email == "ada@example.com"
        await world.do.log_out(refresh_token="")
        with pytest.raises(SessionEnded):
            await world.do.get_user()


async def test_people_change_the_name_they_are_greeted_by_and_it_is_on_record_once(world: Any) -> None:
    member, other = await world.member(), await world.member("bob@example.com")
    with use_caller(caller(member)):
        for _ in range(2):
            assert (await world.do.change_profile(name="  Ada Lovelace ")).name == "Ada Lovelace"
        assert (await world.do.get_user()).name == "Ada Lovelace"
        for name in ("", " ", "a" * 101, "A\nda", "<b>", "http://evil.example"):
            with pytest.raises(InvalidName):
                await world.do.change_profile(name=name)
    with use_caller(caller(other)):
        assert (await world.do.get_user()).name == "Ada"
    changed = [entry for entry in await world.audited() if entry[0] == "profile_changed"]
    assert changed == [("profile_changed", f"user:{member.user.id}", None)]


async def test_an_ended_session_changes_no_name(world: Any) -> None:
    member = await world.member()
    with use_caller(caller(member)):
        await world.do.log_out(refresh_token="")
        with pytest.raises(SessionEnded):
            await world.do.change_profile(name="Eve")
    assert (await world.user()).name == "Ada"


async def test_somebody_is_reached_where_they_signed_up(world: Any) -> None:
    signed_in = await world.member()
    assert (await world.do.get_contact(user_id=signed_in.user.id)).email == "ada@example.com"
    with pytest.raises(UserNotFound):
        await world.do.get_contact(user_id=uuid4())
