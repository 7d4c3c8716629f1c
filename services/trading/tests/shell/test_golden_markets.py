"""A journal with what operators and the circuit breaker do, and an order that rests later, still means the same."""

import json
from pathlib import Path
from typing import Any

from trading.domain.exchange import Exchange
from trading.domain.history import History
from trading.domain.invariants import check_all
from trading.domain.orders import OrderStatus
from trading.domain.snapshot import state_hash
from trading.journal.codec import decode_body
from trading.journal.layouts import EVENTS

FOLDER = Path(__file__).parent / "golden"
GOLDEN = FOLDER / "markets_v1.jsonl"
UNIT = 10**8
START = 1_767_225_600_000


def test_the_first_changes_and_pauses_of_a_market_still_fold_to_the_same_rules_and_orders() -> None:
    exchange, history = Exchange(), History()
    for line in GOLDEN.read_bytes().splitlines():
        for entry in decode_body(line).entries:
            for event in entry.events:
                exchange.apply(event)
                history.feed(event)
            history.end_command(postponed=any(market.postponed for market in exchange.state.markets.values()))
    state = exchange.state
    assert check_all(state) == []
    assert history.compare(state) == []
    market = state.markets["BTC-USD"]
    assert (market.paused_until_milliseconds - START, market.version) == (4_000, 2)
    assert market.market.maker_fee_basis_points == 9
    assert market.reference is not None
    assert market.reference.price == 67_000 * UNIT
    (order,) = state.orders.values()
    # It took from two, one in each command, at the rates of its own that its owner had then, and the rest went to rest.
    assert (order.status, order.resting, order.quantity, order.filled_quantity) == (
        OrderStatus.PARTIALLY_FILLED, True, 1_000_000, 200_000,
    )  # fmt: skip
    assert (order.fees, order.taker_fee_basis_points) == (2_400_060, 2)
    ann = state.owners["user:ann"]
    assert ann.fee_rates is None
    assert (ann.accounts["USD"].available, ann.accounts["USD"].held) == (939_985_299_460, 48_012_000_480)
    assert state_hash(state) == "db7e4a4fb8e2d5be432bb643a53ddfa2b06b4cbcd766eedd072650f807f7b4cf"


def test_every_event_of_every_version_is_in_a_golden_journal() -> None:
    written: set[tuple[int, int]] = set()
    for journal in FOLDER.glob("*.jsonl"):
        for line in journal.read_bytes().splitlines():
            body: list[Any] = json.loads(line)
            written |= {(event[0], event[1]) for _, events in body[1] for event in events}
    assert {(layout.code, layout.version) for layout in EVENTS} - written == set()
