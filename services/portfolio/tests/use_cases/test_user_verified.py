"""Who is verified: paid where there is practice money, and taken off the bus in any case."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from chassis.events import Envelope
from cryptovault.auth.v1 import events_pb2
from portfolio.events.subscriptions import NoUser, user_verified
from portfolio.use_cases.pay_practice_money import PayPracticeMoney


class Ledger:
    def __init__(self) -> None:
        self.keys: list[str] = []

    async def give(self, _user_id: str, *, business_key: str, **_rest: Any) -> bool:
        self.keys.append(business_key)
        return True


def envelope(user_id: str) -> Envelope[events_pb2.UserVerified]:
    return Envelope(
        id="event-1", type="auth.v1.UserVerified", source="auth", subject=user_id,
        time=datetime(2026, 1, 1, tzinfo=UTC), traceparent=None, event=events_pb2.UserVerified(user_id=user_id),
    )  # fmt: skip


async def test_a_verified_user_is_paid() -> None:
    ledger: Any = Ledger()
    await user_verified(PayPracticeMoney(ledger=ledger, amount=Decimal(10000))).handler(envelope("u"))
    assert ledger.keys == ["practice:u"]


async def test_without_practice_money_the_event_is_taken_all_the_same() -> None:
    """It is a required one: with nobody bound, its sender would keep it and its user's later events for ever."""
    await user_verified(None).handler(envelope("u"))


async def test_an_event_about_nobody_is_no_event() -> None:
    with pytest.raises(NoUser):
        await user_verified(None).handler(envelope(""))
