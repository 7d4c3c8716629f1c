"""What a batch of the exchange's journal tells about who did what."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from auth.clients import trading
from auth.clients.trading import UnknownJournalEvent, acts_of
from auth.domain.audit import AuditEntry
from chassis.testing import SequentialIds
from cryptovault.trading.v1 import events_pb2 as pb

ANN, BOB = "01890000-0000-7000-8000-00000000000a", "01890000-0000-7000-8000-00000000000b"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
BY_ANN = pb.Actor(user_id=ANN, credential_id="session-1", request_id="request-1", address="203.0.113.7")
BY_PORTFOLIO = pb.Actor(credential_id="portfolio", request_id="request-2")


def acts(*events: pb.JournalEvent) -> list[AuditEntry]:
    batch = pb.JournalBatch(number=7, events=events)
    batch.time.FromDatetime(NOON)
    return list(acts_of(batch, SequentialIds()))


def posting(account: str, amount: str) -> pb.Posting:
    return pb.Posting(account=account, asset="USD", amount=amount)


def test_an_order_is_told_with_who_placed_it_from_where_in_which_session() -> None:
    placed = pb.OrderPlaced(
        order_id="o1", user_id=ANN, market="BTC-USD", side="buy", type="limit", quantity="1", price="5"
    )
    (act,) = acts(pb.JournalEvent(order_placed=placed, actor=BY_ANN))
    assert (act.user_id, act.actor, act.session_id) == (UUID(ANN), f"user:{ANN}", "session-1")
    assert (act.action, act.resource, act.address) == ("order_placed", "order:o1", "203.0.113.7")
    assert (act.request_id, act.timestamp) == ("request-1", NOON)
    assert act.details == {"market": "BTC-USD", "side": "buy", "type": "limit", "quantity": "1", "price": "5"}
    assert act.is_by_its_user


def test_what_somebody_asked_for_is_told_and_what_followed_is_not() -> None:
    told = acts(
        pb.JournalEvent(order_amended=pb.OrderAmended(order_id="o1", user_id=ANN, price="6"), actor=BY_ANN),
        pb.JournalEvent(order_triggered=pb.OrderTriggered(order_id="o1", user_id=ANN)),
        pb.JournalEvent(traded=pb.Traded(taker_user_id=ANN)),
        pb.JournalEvent(order_closed=pb.OrderClosed(order_id="o1", user_id=ANN, status="filled")),
        pb.JournalEvent(order_closed=pb.OrderClosed(order_id="o2", user_id=ANN, status="cancelled"), actor=BY_ANN),
    )
    assert [(act.action, act.resource) for act in told] == [
        ("order_amended", "order:o1"),
        ("order_cancelled", "order:o2"),
    ]


def test_every_movement_of_money_has_one_entry_on_its_users_account() -> None:
    postings = [posting("external", "-10"), posting(f"user:{ANN}", "10")]
    (paid,) = acts(
        pb.JournalEvent(
            transferred=pb.Transferred(transfer_id="t1", business_key="k1", kind="practice_money", postings=postings),
            actor=BY_PORTFOLIO,
        )
    )
    assert (paid.user_id, paid.actor, paid.session_id, paid.action) == (
        UUID(ANN), "portfolio", None, "transfer_posted"
    )  # fmt: skip
    assert paid.resource == "transfer:k1"
    assert paid.details == {
        "kind": "practice_money", "transfer_id": "t1", "postings": f"external -10 USD; user:{ANN} 10 USD"
    }  # fmt: skip
    between = [posting(f"user:{BOB}", "10"), posting(f"user:{ANN}", "-10")]
    (sent,) = acts(pb.JournalEvent(transferred=pb.Transferred(postings=between), actor=BY_ANN))
    assert sent.user_id == UUID(ANN)
    held, released = acts(
        pb.JournalEvent(transfer_held=pb.TransferHeld(business_key="w", postings=between[1:]), actor=BY_ANN),
        pb.JournalEvent(
            transfer_released=pb.TransferReleased(hold_key="w", end="expired", released=[posting(f"user:{ANN}", "10")])
        ),
    )
    assert (held.action, held.resource, held.actor) == ("transfer_held", "transfer:w", f"user:{ANN}")
    assert (released.action, released.actor, released.user_id) == ("transfer_expired", "trading", UUID(ANN))


@pytest.mark.parametrize(
    ("act", "subject", "resource", "user_id"),
    [
        ("market_set", "BTC-USD", "market:BTC-USD", None),
        ("trading_resumed", "BTC-USD", "market:BTC-USD", None),
        ("asset_frozen", "BTC", "asset:BTC", None),
        ("asset_set", "BTC", "asset:BTC", None),
        ("user_fees_set", BOB, f"user:{BOB}", UUID(BOB)),
    ],
)
def test_an_operators_act_is_told_with_its_reason(act: str, subject: str, resource: str, user_id: Any) -> None:
    acted = pb.OperatorActed(act=act, subject=subject, change='{"status": "halted"}')
    (told,) = acts(pb.JournalEvent(operator_acted=acted, actor=BY_ANN, reason="a storm"))
    assert (told.action, told.resource, told.user_id, told.actor) == (act, resource, user_id, f"user:{ANN}")
    assert told.details == {"change": '{"status": "halted"}', "reason": "a storm"}


def test_every_kind_of_the_contract_is_an_act_or_known_to_be_none() -> None:
    kinds = {field.name for field in pb.JournalEvent.DESCRIPTOR.oneofs_by_name["event"].fields}
    assert trading._READERS.keys() == kinds


def test_a_kind_that_is_not_known_stops_the_reader() -> None:
    with pytest.raises(UnknownJournalEvent):
        acts(pb.JournalEvent())


def test_who_is_no_user_of_ours_stays_readable() -> None:
    placed = pb.OrderPlaced(order_id="o1", user_id="somebody")
    (act,) = acts(pb.JournalEvent(order_placed=placed, actor=pb.Actor(user_id="somebody")))
    assert (act.user_id, act.actor) == (None, "user:somebody")
