"""An account with a second factor, and the app that shows its codes."""

from dataclasses import dataclass
from typing import Any

import pyotp
import pytest
from auth.domain.devices import Device
from auth.domain.errors import MfaRequired
from auth.use_cases.open_session import SignedIn
from chassis.identity import Caller, use_caller

EMAIL = "ada@example.com"
PASSWORD = "correct horse battery"


def told(world: Any) -> list[str]:
    """What the owner heard of, but for devices, which are not this file's business."""
    return [event for event in world.notices() if event != "new_device"]


def caller(session: SignedIn) -> Caller:
    return Caller(
        service="gateway",
        user_id=str(session.user.id),
        session_id=str(session.session.id),
        request_id="r",
        address="203.0.113.7",
    )


@dataclass
class Phone:
    """An authenticator app: it knows the secret and the time."""

    world: Any
    secret: str

    def code(self, steps: int = 0) -> str:
        """Of now, or of so many steps from now."""
        return pyotp.TOTP(self.secret).at(self.world.clock.now(), counter_offset=steps)

    def next_code(self) -> str:
        """Half a minute later: a code that nobody has taken yet."""
        self.world.clock.advance(30)
        return self.code()

    def wrong(self) -> str:
        good = {self.code(steps) for steps in (-1, 0, 1)}
        return next(code for code in (f"{number:06d}" for number in range(10)) if code not in good)


async def enrolled(world: Any) -> tuple[SignedIn, Phone, list[str]]:
    member = await world.member()
    with use_caller(caller(member)):
        phone = Phone(world, (await world.do.set_up_second_factor()).secret)
        return member, phone, await world.do.enable_second_factor(code=phone.code(), password=PASSWORD)


async def challenged(world: Any, device: Device | None = None) -> str:
    with pytest.raises(MfaRequired) as refusal:
        await world.do.log_in(email=EMAIL, password=PASSWORD, device=device or Device())
    return str(refusal.value.details["challenge"])
