from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from chassis.errors import RemoteError
from chassis.grpc_client import open_channel
from chassis.identity import Caller, use_caller
from chassis.testing.services import identity_of
from cryptovault.trading.v1 import events_pb2
from portfolio.clients.trading import TradingJournal, TradingLedger, UnknownJournalEvent, facts_of
from portfolio.domain.exact import MalformedAmount
from portfolio.domain.facts import Bought, Moved, Sold
from portfolio.domain.valuation import Balance
from portfolio.use_cases.ports import UserFact


def _batch(**event: Any) -> events_pb2.JournalBatch:
    batch = events_pb2.JournalBatch(number=4, events=[events_pb2.JournalEvent(**event)])
    batch.time.FromDatetime(datetime(2026, 1, 1, tzinfo=UTC))
    return batch


def _traded(**changes: str) -> events_pb2.Traded:
    fields = {
        "market": "BTC-USD",
        "base_asset": "BTC",
        "quote_asset": "USD",
        "price": "100",
        "quantity": "2",
        "notional": "200",
        "maker_user_id": "m",
        "maker_fee": "0.2",
        "taker_user_id": "t",
        "taker_fee": "0.5",
        "taker_side": "buy",
    }
    return events_pb2.Traded(**{**fields, **changes})


def test_a_trade_is_a_buy_to_one_side_and_a_sale_to_the_other_each_with_its_own_fee() -> None:
    bought = Bought(base="BTC", quote="USD", quantity=Decimal(2), paid=Decimal("200.5"))
    sold = Sold(base="BTC", quote="USD", quantity=Decimal(2), received=Decimal("199.8"))
    assert facts_of(_batch(traded=_traded())).facts == (UserFact("m", sold), UserFact("t", bought))
    turned = facts_of(_batch(traded=_traded(taker_side="sell", maker_fee="0.5", taker_fee="0.2")))
    assert turned.facts == (UserFact("m", bought), UserFact("t", sold))


def test_the_house_has_no_portfolio() -> None:
    facts = facts_of(_batch(traded=_traded(maker_user_id="house")))
    assert facts.touched == ("t",)


def test_a_transfer_moves_users_accounts_only() -> None:
    postings = [
        events_pb2.Posting(account="external", asset="USD", amount="-10"),
        events_pb2.Posting(account="user:u", asset="USD", amount="10"),
    ]
    facts = facts_of(_batch(transferred=events_pb2.Transferred(postings=postings)))
    assert facts.facts == (UserFact("u", Moved(asset="USD", amount=Decimal(10))),)


def test_held_money_touches_its_owner_and_moves_only_when_it_is_posted() -> None:
    taken = events_pb2.Posting(account="user:u", asset="USD", amount="-10")
    given = events_pb2.Posting(account="external", asset="USD", amount="10")
    back = events_pb2.Posting(account="user:u", asset="USD", amount="10")
    held = facts_of(_batch(transfer_held=events_pb2.TransferHeld(postings=[taken, given])))
    released = facts_of(_batch(transfer_released=events_pb2.TransferReleased(released=[back])))
    assert [(found.facts, found.touched) for found in (held, released)] == [((), ("u",))] * 2
    # A part of it moved for another; who gets the rest back is touched all the same.
    others = [
        events_pb2.Posting(account="user:v", asset="USD", amount="-4"),
        events_pb2.Posting(account="external", asset="USD", amount="4"),
    ]
    posted = facts_of(_batch(transferred=events_pb2.Transferred(postings=others, released=[back])))
    assert posted.facts == (UserFact("v", Moved(asset="USD", amount=Decimal(-4))),)
    assert set(posted.touched) == {"u", "v"}


def test_orders_touch_a_user_without_changing_what_he_holds() -> None:
    for amended in (
        _batch(order_amended=events_pb2.OrderAmended(user_id="u")),
        _batch(order_triggered=events_pb2.OrderTriggered(user_id="u")),
    ):
        assert (facts_of(amended).facts, facts_of(amended).touched) == ((), ("u",))
    facts = facts_of(_batch(order_placed=events_pb2.OrderPlaced(user_id="u")))
    assert (facts.facts, facts.touched) == ((), ("u",))


def test_an_operators_change_touches_nobody() -> None:
    facts = facts_of(_batch(operator_acted=events_pb2.OperatorActed(act="market_set", subject="BTC-USD")))
    assert (facts.facts, facts.touched) == ((), ())


def test_an_event_of_an_unknown_kind_stops_the_reader() -> None:
    with pytest.raises(UnknownJournalEvent):
        facts_of(events_pb2.JournalBatch(number=4, events=[events_pb2.JournalEvent()]))


def test_an_amount_that_is_none_stops_the_reader() -> None:
    with pytest.raises(MalformedAmount):
        facts_of(_batch(traded=_traded(quantity="NaN")))


async def test_balances_are_asked_in_the_callers_name(exchange: Any, neighbours_address: str) -> None:
    exchange.deposit("u", "USD", "100")
    exchange.hold("u", "USD", "30")
    caller = Caller(service="gateway", user_id="u", session_id=None, request_id="r", address=None)
    async with open_channel(
        neighbours_address, to="trading", identity=identity_of("portfolio"), deadline_seconds=30
    ) as channel:
        with use_caller(caller):
            balances = await TradingLedger(channel).balances()
    assert (balances.batch, balances.balances) == (2, (Balance("USD", Decimal(70), Decimal(30)),))
    assert (exchange.callers[-1].service, exchange.callers[-1].request_id) == ("portfolio", "r")


async def test_a_gift_is_given_once_per_key(exchange: Any, neighbours_address: str) -> None:
    async with open_channel(
        neighbours_address, to="trading", identity=identity_of("portfolio"), deadline_seconds=30
    ) as channel:
        ledger = TradingLedger(channel)
        outcomes = [
            await ledger.give(
                "u", asset="USD", amount=Decimal("1E+4"), business_key="practice:u", kind="practice_money"
            )
            for _ in range(3)
        ]
    assert outcomes == [True, False, False]
    assert exchange.available["u"]["USD"] == 10000
    assert exchange.keys == {"practice:u": "practice_money"}


async def test_the_journal_is_read_in_pages_and_its_silence_is_an_error(exchange: Any, neighbours_address: str) -> None:
    for _ in range(5):
        exchange.deposit("u", "USD", "1")
    async with open_channel(
        neighbours_address, to="trading", identity=identity_of("portfolio"), deadline_seconds=30
    ) as channel:
        journal = TradingJournal(channel)
        assert [entry.number for entry in await journal.read(2, 2)] == [3, 4]
        assert await journal.read(5, 2) == []
        exchange.down = True
        with pytest.raises(RemoteError):
            await journal.read(0, 2)
