"""A journal with the commands that no other golden one holds, as first written, still means the same: it is read by
whoever decides them again (`cryptovault exchange verify`) and whoever answers their repeats.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from trading.domain.commands import Actor, AddMarket, AmendOrder, CancelOrder, ExpireOrders, SetMarket
from trading.domain.events import KeyUsed, NotCancelled
from trading.domain.exchange import Exchange
from trading.domain.invariants import check_all
from trading.domain.markets import MarketStatus
from trading.domain.snapshot import state_hash
from trading.journal.codec import decode_body
from trading.journal.layouts import COMMANDS

FOLDER = Path(__file__).parent / "golden"
GOLDEN = FOLDER / "commands_v1.jsonl"
UNIT = 10**8
OPERATOR = Actor("op", "session-9", "request-9", "203.0.113.9")


def test_what_was_first_asked_for_is_read_with_all_its_figures_and_keys() -> None:
    exchange = Exchange()
    commands = []
    for line in GOLDEN.read_bytes().splitlines():
        for entry in decode_body(line).entries:
            commands.append(entry.command)
            for event in entry.events:
                exchange.apply(event)
    (added,) = (command for command in commands if isinstance(command, AddMarket))
    assert (added.actor, added.market.symbol, added.market.status) == (OPERATOR, "BTC-USD", MarketStatus.CANCEL_ONLY)
    assert added[2:] == ("asked for by many", "add-key", "market=BTC-USD", 60_000 * UNIT)
    (opened,) = (command for command in commands if isinstance(command, SetMarket))
    assert (opened.actor, opened.market) == (OPERATOR, replace(added.market, status=MarketStatus.TRADING))
    assert opened[2:] == ("opened", 1, "set-key", "status=trading", 60_000 * UNIT)
    assert [command for command in commands if isinstance(command, ExpireOrders | CancelOrder)] == [
        ExpireOrders("BTC-USD"),
        CancelOrder(
            Actor("ann", "session-1", "request-1", "203.0.113.7"), "01a0c450-6c0a-7000-8000-000000000001", "cancel-key"
        ),
    ]
    state = exchange.state
    assert check_all(state) == []
    # Of three orders one has expired and one was cancelled.
    (order,) = state.orders.values()
    assert (order.price, order.hold) == (58_000 * UNIT, state.owners["user:ann"].accounts["USD"].held)
    assert state_hash(state) == "1c66dacaba95738d13cb6d33aa4b04455a432a91eae56ff43235a2dd48b35405"


def test_an_amendment_beyond_63_bits_of_hundred_millionths_is_read_at_the_scale_it_was_written_with() -> None:
    exchange = Exchange()
    for line in (FOLDER / "amendments_v1.jsonl").read_bytes().splitlines():
        entries = decode_body(line).entries
        for entry in entries:
            for event in entry.events:
                exchange.apply(event)
    (order,) = exchange.state.orders.values()
    assert order.quantity == 150_000_000_000
    assert entries[-1].command == AmendOrder(
        Actor("ann", "session-1", "request-1", "203.0.113.7"), order.order_id, 0, 15 * 10**17, "amend-key", 8, 7
    )
    assert check_all(exchange.state) == []


def test_what_a_cancel_of_all_had_to_leave_is_read_as_it_was_told() -> None:
    exchange = Exchange()
    for line in (FOLDER / "cancels_v1.jsonl").read_bytes().splitlines():
        entries = decode_body(line).entries
        for entry in entries:
            for event in entry.events:
                exchange.apply(event)
    (order,) = exchange.state.orders.values()
    used = entries[-1].events[-1]
    assert isinstance(used, KeyUsed)
    assert used.not_cancelled == (NotCancelled(order.order_id, "ETH-USD", "market_halted"),)
    assert check_all(exchange.state) == []
    assert state_hash(exchange.state) == "c58baa68b210ff3177b52d4df3fd24cac40d3355c2e0852509f4224a9246246a"


def test_every_command_of_every_version_is_in_a_golden_journal() -> None:
    written: set[tuple[int, int]] = set()
    for journal in FOLDER.glob("*.jsonl"):
        for line in journal.read_bytes().splitlines():
            body: list[Any] = json.loads(line)
            written |= {(command[0], command[1]) for command, _ in body[1]}
    assert {(layout.code, layout.version) for layout in COMMANDS} - written == set()
