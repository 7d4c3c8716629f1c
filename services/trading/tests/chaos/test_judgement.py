"""The judgement over what was told under kills: what it must find, put there by hand. Nobody is killed here."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from chassis.mongo import MongoConnection
from cryptovault.trading.v1 import trading_pb2
from exchange_processes import USERS
from handwritten_journal import CUSTOMER, UNIT, Writer, paid, placed, sound_journal
from order_load import Load, Request, check_outcomes
from trading.domain.accounts import Posting
from trading.domain.commands import (
    Actor,
    CancelOrder,
    HoldTransfer,
)
from trading.domain.events import OrderPlaced
from trading.domain.history import History
from trading.storage.journal import MongoJournal
from whole_journal import Effect, WholeJournal, read_whole_journal


@pytest.fixture
async def writer(mongo_journal: MongoJournal) -> Writer:
    return await sound_journal(mongo_journal)


def told_of(journal: WholeJournal) -> Load:
    """Of each key what it did first."""
    load = Load("nowhere")
    for (user, key), effects in journal.effects.items():
        request = Request(principal=trading_pb2.Principal(user_id=user), idempotency_key=key)
        load.acknowledged[key] = (request, _result(effects[0]))
    return load


def _result(effect: Effect) -> trading_pb2.OrderResult:
    order = trading_pb2.Order(
        id=effect.order_id, status=effect.status, close_reason=effect.close_reason, price=str(effect.price),
        quantity=str(effect.quantity), filled_quantity=str(effect.filled_quantity),
    )  # fmt: skip
    balances = [
        trading_pb2.Balance(asset=asset, available=str(available), held=str(held))
        for asset, (available, held) in effect.balances.items()
    ]
    return trading_pb2.OrderResult(order=order, balances=balances)


async def test_what_took_effect_once_and_as_it_was_told_is_sound(writer: Writer, mongo: MongoConnection) -> None:
    journal = await read_whole_journal(mongo)
    assert journal.effects.keys() == {(USERS[0], "rest-1"), (USERS[0], "cancel-1")}
    check_outcomes(told_of(journal), journal)


async def test_what_the_journal_has_done_twice_under_one_key_is_found(
    writer: Writer, mongo: MongoConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.forget_keys()
    await writer.write(placed("rest-1"))
    await writer.write(CancelOrder(CUSTOMER, writer.order_id, "cancel-2"))
    with pytest.raises(AssertionError, match="key rest-1 had a second effect"):
        await read_whole_journal(mongo)
    # Also where no invariant says so.
    monkeypatch.setattr(History, "compare", lambda _history, _state: [])
    journal = await read_whole_journal(mongo)
    with pytest.raises(AssertionError):
        check_outcomes(told_of(journal), journal)


async def leave_an_order(writer: Writer) -> None:
    await writer.write(placed("rest-2"))


async def leave_a_hold(writer: Writer) -> None:
    """Of no order."""
    moved = (Posting(f"user:{USERS[1]}", "USD", -UNIT), Posting("external", "USD", UNIT))
    await writer.write(HoldTransfer(Actor("", "portfolio", "r", ""), "w", "withdrawal", moved))


async def pay_twice(writer: Writer) -> None:
    await writer.write(paid(USERS[2], "practice again"))


@pytest.mark.parametrize("fault", [leave_an_order, leave_a_hold, pay_twice])
async def test_what_is_left_held_or_was_paid_twice_is_found(
    writer: Writer, mongo: MongoConnection, fault: Callable[[Writer], Awaitable[None]]
) -> None:
    await fault(writer)
    journal = await read_whole_journal(mongo)
    with pytest.raises(AssertionError):
        check_outcomes(told_of(journal), journal)


def lose(load: Load) -> None:
    load.acknowledged["rest-9"] = load.acknowledged["rest-1"]


def do_what_was_refused(load: Load) -> None:
    del load.acknowledged["cancel-1"]


def tell_otherwise(load: Load) -> None:
    load.acknowledged["rest-1"][1].balances[0].held = "7"


def contradict(load: Load) -> None:
    load.contradictions.append("rest-1")


@pytest.mark.parametrize("fault", [lose, do_what_was_refused, tell_otherwise, contradict])
async def test_what_was_told_and_is_not_so_is_found(
    writer: Writer, mongo: MongoConnection, fault: Callable[[Load], None]
) -> None:
    journal = await read_whole_journal(mongo)
    load = told_of(journal)
    fault(load)
    with pytest.raises(AssertionError):
        check_outcomes(load, journal)


async def test_two_orders_of_one_id_are_found(writer: Writer, mongo: MongoConnection) -> None:
    journal = await read_whole_journal(mongo)
    (order,) = (event for event in journal.events if isinstance(event, OrderPlaced))
    with pytest.raises(AssertionError):
        check_outcomes(told_of(journal), replace(journal, events=[*journal.events, order]))
