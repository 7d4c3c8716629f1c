"""The judgement over what people were told under kills: what it must find, put there by hand. Nobody is killed here."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from chassis.mongo import MongoConnection
from handwritten_journal import CUSTOMER, Writer, placed, sound_journal
from trading.domain.commands import CancelOrder
from trading.storage.journal import MongoJournal
from whole_journal import Effect, read_whole_journal

from tests.chaos import audit
from tests.chaos.test_kills_under_load import Told, Trader, _check_journal

Balances = dict[str, dict[str, Decimal]]


@dataclass
class Person:
    """A customer, as far as the judgement asks."""

    told: Balances
    user_id: str = CUSTOMER.user_id

    async def balances(self) -> Balances:
        return self.told


@dataclass
class Judged:
    """A trader who was told what the journal says, and the journal, to put faults into either."""

    writer: Writer
    mongo: MongoConnection
    url: str
    trader: Trader

    async def tell(self) -> None:
        journal = await read_whole_journal(self.mongo)
        for (_, key), (effect,) in journal.effects.items():
            answer = _answer(effect)
            self.trader.told[key] = Told("POST", "/orders", None, answer)
            if key.startswith("rest"):
                self.trader.acknowledged[key] = answer
        balances = audit.balances_of(journal, CUSTOMER.user_id)
        told = {asset: {"available": available, "held": held} for asset, (available, held) in balances.items()}
        self.trader.customer = Person(told)  # type: ignore[assignment]

    async def judge(self) -> None:
        platform: Any = SimpleNamespace(journal_url=self.url)
        await _check_journal(platform, [self.trader])


def _answer(effect: Effect) -> dict[str, Any]:
    return {
        "id": effect.order_id, "status": effect.status, "close_reason": effect.close_reason or None,
        "price": str(effect.price), "quantity": str(effect.quantity), "filled_quantity": str(effect.filled_quantity),
        "balances": [
            {"asset": asset, "available": str(available), "held": str(held)}
            for asset, (available, held) in effect.balances.items()
        ],
    }  # fmt: skip


@pytest.fixture
async def judged(mongo_url: str, mongo: MongoConnection, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Judged]:
    monkeypatch.setattr(audit, "TRADING_DATABASE", mongo.database.name)
    nobody: Any = None
    trader = Trader(nobody, nobody, Decimal(0), random.Random(0))
    journal = MongoJournal(mongo)
    judged = Judged(await sound_journal(journal), mongo, mongo_url, trader)
    await judged.tell()
    yield judged
    await journal.close()


async def test_what_took_effect_once_and_as_it_was_told_is_sound(judged: Judged) -> None:
    await judged.judge()


async def place_more_than_was_acknowledged(judged: Judged) -> None:
    await judged.writer.write(placed("rest-2"))
    await judged.writer.write(CancelOrder(CUSTOMER, judged.writer.order_id, "cancel-2"))
    await judged.tell()
    del judged.trader.acknowledged["rest-2"]


async def tell_another_outcome(judged: Judged) -> None:
    judged.trader.told["rest-1"].answer["filled_quantity"] = "0.001"


async def tell_another_balance(judged: Judged) -> None:
    (await judged.trader.customer.balances())["USD"]["available"] += 1


async def leave_something_held(judged: Judged) -> None:
    await judged.writer.write(placed("rest-2"))
    await judged.tell()


@pytest.mark.parametrize(
    "fault", [place_more_than_was_acknowledged, tell_another_outcome, tell_another_balance, leave_something_held]
)
async def test_what_is_not_as_it_was_told_or_is_left_held_is_found(
    judged: Judged, fault: Callable[[Judged], Awaitable[None]]
) -> None:
    await fault(judged)
    with pytest.raises(AssertionError):
        await judged.judge()
