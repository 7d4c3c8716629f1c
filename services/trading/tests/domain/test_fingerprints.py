"""What makes two commands under one key the same: everything they say, but who said it, why, and the key itself."""

from dataclasses import replace
from typing import Any

import pytest
from exchange_factory import COIN_USD, DUST, DUST_USD, OPERATOR, UNIT, USD, Bench, actor
from trading.domain.accounts import Posting
from trading.domain.commands import (
    AddAsset,
    AddMarket,
    AmendOrder,
    CancelAll,
    CancelOrder,
    HoldTransfer,
    PlaceOrder,
    PostTransfer,
    SetMarket,
    Transfer,
    VoidTransfer,
)
from trading.domain.errors import IdempotencyKeyReused
from trading.domain.keys import fingerprint_of
from trading.domain.orders import OrderType, Side, TimeInForce

# Nor what the leader had heard by then.
NO_CONTENTS = {"actor", "reason", "idempotency_key", "business_key", "reference_price"}
ANN = actor("alice")
PAID = (Posting("external", "USD", -UNIT), Posting("user:alice", "USD", UNIT))
MORE, TO_BOB = (
    (Posting("external", "USD", -UNIT - 1), Posting("user:alice", "USD", UNIT + 1)),
    (Posting("external", "USD", -UNIT), Posting("user:bob", "USD", UNIT)),
)
ORDER = PlaceOrder(ANN, "COIN-USD", Side.BUY, OrderType.LIMIT, TimeInForce.GTC, quantity=UNIT, price=99 * UNIT)
# A command, and of each of its fields other values.
COMMANDS: tuple[tuple[Any, dict[str, tuple[Any, ...]]], ...] = (
    (ORDER, {
        "market": ("DUST-USD",), "side": (Side.SELL,), "order_type": tuple(OrderType)[2:],
        "time_in_force": tuple(TimeInForce)[1:], "quantity": (UNIT + 1, 0), "quote_quantity": (1,), "price": (1, 0),
        "post_only": (True,), "client_order_id": ("c",), "stop_price": (1, 2), "expires_milliseconds": (1, 2),
    }),
    (AmendOrder(ANN, "o1", 1, 2), {
        "order_id": ("o2",), "price": (0, 2), "quantity": (0, 1), "price_scale": (7, 0), "quantity_scale": (7, 0),
    }),
    (CancelOrder(ANN, "o1"), {"order_id": ("o2",)}),
    (CancelAll(ANN, ""), {"market": ("COIN-USD", "DUST-USD")}),
    (SetMarket(OPERATOR, COIN_USD, "r"), {
        "market": (DUST_USD, replace(COIN_USD, tick=UNIT)), "expected_version": (1, 2), "change": ("a", "b"),
    }),
    (AddAsset(OPERATOR, USD, "r"), {"asset": (DUST, replace(USD, scale=2), replace(USD, name="Dollar"))}),
    (AddMarket(OPERATOR, COIN_USD, "r"), {
        "market": (DUST_USD, replace(COIN_USD, tick=UNIT)), "change": ("a", "b"),
    }),
    (Transfer(OPERATOR, "k", "deposit", PAID), {"kind": ("adjustment",), "postings": (MORE, TO_BOB)}),
    (HoldTransfer(OPERATOR, "k", "deposit", PAID), {
        "kind": ("adjustment",), "postings": (MORE, TO_BOB), "expires_milliseconds": (1, 2),
    }),
    (PostTransfer(OPERATOR, "k", "h1"), {"hold_key": ("h2",), "postings": (PAID, MORE, TO_BOB)}),
    (VoidTransfer(OPERATOR, "k", "h1"), {"hold_key": ("h2",)}),
)  # fmt: skip


@pytest.mark.parametrize(("command", "others"), COMMANDS)
def test_every_field_that_says_what_to_do_counts_and_no_other(command: Any, others: dict[str, tuple[Any, ...]]) -> None:
    assert others.keys() == set(command._fields) - NO_CONTENTS
    changed = [command._replace(**{name: value}) for name, values in others.items() for value in values]
    fingerprints = {fingerprint_of(one) for one in (command, *changed)}
    assert len(fingerprints) == 1 + len(changed)
    for name in NO_CONTENTS & set(command._fields):
        said_otherwise = command._replace(**{name: actor("bob") if name == "actor" else "another"})
        assert fingerprint_of(said_otherwise) == fingerprint_of(command)


def test_no_two_kinds_of_commands_are_the_same() -> None:
    assert len({fingerprint_of(command) for command, _ in COMMANDS}) == len(COMMANDS)


def test_under_one_key_an_order_that_differs_in_anything_is_refused() -> None:
    bench = Bench()
    bench.reference("100")
    (placed,) = bench.done(ORDER._replace(idempotency_key="k"))
    for name, values in COMMANDS[0][1].items():
        for value in values:
            with pytest.raises(IdempotencyKeyReused):
                bench.do(ORDER._replace(idempotency_key="k", **{name: value}))
    assert list(bench.exchange.state.orders) == [placed.order_id]  # type: ignore[union-attr]
