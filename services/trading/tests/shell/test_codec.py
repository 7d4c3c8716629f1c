import dataclasses
import json
from pathlib import Path

import orjson
import pytest
from shell_factory import MARKET, PRICE, UNIT, MemoryJournal, actor, buy_for, cancel, cancel_all, limit, running_shell
from trading.domain import commands, events
from trading.domain.accounts import HoldChange, Posting
from trading.domain.commands import SetReferencePrice, StartBatch, Transfer
from trading.domain.default_markets import default_assets, default_markets
from trading.domain.events import BatchStarted, Event
from trading.domain.exchange import Exchange
from trading.domain.invariants import check_all
from trading.domain.markets import CircuitBreaker, FeeRates, FeeTier
from trading.domain.orders import CloseReason, OrderStatus, Side
from trading.domain.outcomes import Repeat
from trading.domain.snapshot import state_hash
from trading.journal.batch import BrokenChain, check_follows, digest_of, seal
from trading.journal.codec import AccountAfter, UnknownEventType, decode_body, decode_events, encode_body, encode_entry
from trading.journal.layouts import COMMANDS, EVENTS, PARTS

GOLDEN = Path(__file__).parent / "golden" / "journal_v1.jsonl"
GOLDEN_HASH = GOLDEN.with_suffix(".hash")
TIME = 1_767_225_600_000


def golden_commands() -> list[commands.Command]:
    """Every command and, by what they do, every event that a first release can write."""
    money = [
        Transfer(actor(""), f"practice:{user}", "practice_money", (
            Posting("external", asset, -amount), Posting(f"user:{user}", asset, amount),
        ))
        for user in ("ann", "bob") for asset, amount in (("USD", 10_000 * UNIT),)
    ]  # fmt: skip
    return [
        *(commands.SetAsset(actor(""), asset, "listed") for asset in default_assets()),
        *(commands.SetMarket(actor(""), market, "listed") for market in default_markets()[:3]),
        *money,
        SetReferencePrice(MARKET, PRICE, "simulator", TIME, TIME),
        buy_for("ann", 100 * UNIT, key="k1", client_order_id="mine"),
        limit("bob", Side.BUY, UNIT // 100, PRICE - 100 * UNIT, key="k2"),
        limit("ann", Side.SELL, UNIT // 1000, PRICE - 100 * UNIT),
        cancel_all("bob", key="k3"),
        commands.Continue(MARKET),
    ]


def run_golden() -> tuple[Exchange, list[tuple[commands.Command, list[Event]]]]:
    exchange = Exchange()
    entries = []
    for command in [StartBatch(1, TIME), *golden_commands()]:
        outcome = exchange.execute(command)
        assert not isinstance(outcome, Repeat)
        if outcome:
            entries.append((command, outcome))
    return exchange, entries


def test_what_was_written_is_read_back_the_same() -> None:
    _, entries = run_golden()
    accounts = [AccountAfter("user:ann", "USD", 5, 7)]
    body = encode_body([encode_entry(command, found) for command, found in entries], accounts)
    read = decode_body(body)
    assert [(entry.command, list(entry.events)) for entry in read.entries] == entries
    assert read.accounts == accounts
    assert decode_events(body) == read.events
    again = [encode_entry(entry.command, entry.events) for entry in read.entries]
    assert encode_body(again, read.accounts) == body
    written = [value for command, found in entries for value in (command, *found)]
    for value, original in zip(
        [value for entry in read.entries for value in (entry.command, *entry.events)], written, strict=True
    ):
        # Tuples of different types may be equal, and so may a word and the member of an enum.
        assert type(value) is type(original)
        assert [type(field) for field in value] == [type(field) for field in original]


@pytest.mark.parametrize(
    "event",
    [
        events.OrderRested("o", MARKET),
        events.WorkPostponed(MARKET),
        events.WorkFinished(MARKET),
        events.OrderClosed("o", "u", MARKET, OrderStatus.CANCELLED, CloseReason.SELF_TRADE, "USD", 2**62, 3, None),
        events.KeyUsed("u", 'schlüssel\n"', "cancel|x", ()),
        events.KeyUsed("u", "k", "cancel_all|", ("o",), (events.NotCancelled("p", MARKET, "market_halted"),)),
        events.TradingPaused(MARKET, 2**53, 1, 2**62),
        events.TradingResumed(MARKET, TIME, actor("op"), "the news is real"),
        events.UserFeesSet("u", FeeRates(0, 5), actor("op"), "market maker"),
        events.UserFeesSet("u", None, actor("op"), "no more"),
        events.MarketSet(
            dataclasses.replace(
                default_markets()[0],
                fee_tiers=(FeeTier(2**62, 0, 1),),
                breaker=CircuitBreaker(1, 2, 3),
                maximum_open_orders=7,
            ),
            actor("op"),
            "r",
            9,
        ),
        events.TransferHeld(
            "t",
            1,
            "k",
            "withdrawal",
            (Posting("user:u", "USD", -5), Posting("external", "USD", 5)),
            7,
            "r",
            "f",
            (events.UserSequence("u", 3),),
            actor("u"),
        ),
        events.TransferSettled(
            "t",
            "k",
            "k2",
            "withdrawal",
            (Posting("user:u", "USD", -5), Posting("external", "USD", 5)),
            (HoldChange("user:u", "USD", -5),),
            "r",
            "f",
            (events.UserSequence("u", 4),),
            actor(""),
        ),
        events.TransferReleased(
            "t",
            "k",
            "",
            events.HoldEnd.EXPIRED,
            "fee",
            (HoldChange("user:u", "USD", -5),),
            "",
            "",
            (events.UserSequence("u", 5),),
            None,
        ),
        events.AssetFrozen("USD", actor(""), "M1"),
        events.AssetUnfrozen("USD", actor("u"), "seen"),
        events.OrderTriggered("o", "u", MARKET, 2**62, 5, 7, rests=True, user_sequence=3),
        events.OrderAmended(
            "o", "u", MARKET, 1, 2, 1, 3, 4, 0, False, "USD", -5, OrderStatus.PARTIALLY_FILLED, 3, actor("u")
        ),
    ],
)
def test_rare_events_survive_too(event: Event) -> None:
    body = encode_body([encode_entry(commands.Continue(MARKET), [event])], [])
    assert [(type(read), read) for read in decode_events(body)] == [(type(event), event)]


@pytest.mark.parametrize(
    "command",
    [
        commands.HoldTransfer(
            actor("u"), "k", "fee", (Posting("user:u", "USD", -5), Posting("fees", "USD", 5)), 7, "r"
        ),
        commands.PostTransfer(actor(""), "k2", "k", (), "r"),
        commands.VoidTransfer(actor(""), "k3", "k", "r"),
        commands.ExpireTransfers(),
        commands.FreezeAsset(actor(""), "USD", "M1"),
        commands.UnfreezeAsset(actor("u"), "USD", "seen"),
        commands.AddAsset(actor("u"), default_assets()[1], "asked for", "key"),
        commands.AddMarket(actor("u"), default_markets()[0], "asked for", "key", '{"tick": "0.01"}'),
    ],
)
def test_rare_commands_survive_too(command: commands.Command) -> None:
    (entry,) = decode_body(encode_body([encode_entry(command, [])], [])).entries
    assert (type(entry.command), entry.command) == (type(command), command)


@pytest.mark.parametrize("stored", [[99, 1], [5, 99], [101, 7]])
def test_an_unknown_type_or_version_stops_the_reader(stored: list[int]) -> None:
    body = orjson.dumps([1, [[[109, 1, MARKET], [stored]]], []])
    with pytest.raises(UnknownEventType):
        decode_events(body)
    with pytest.raises(UnknownEventType):
        decode_events(orjson.dumps([2, [], []]))


def test_every_command_and_event_has_a_layout_with_all_its_fields() -> None:
    kinds = {layout.kind: layout for layout in EVENTS + COMMANDS}
    for union in (events.Event, commands.Command):
        assert set(union.__args__) <= set(kinds)
    for kind, names in [*((layout.kind, layout.fields) for layout in kinds.values()), *PARTS.items()]:
        if dataclasses.is_dataclass(kind):
            assert names == tuple(field.name for field in dataclasses.fields(kind) if field.init), kind
        else:
            assert names == kind._fields
    codes = [(layout.code, layout.version) for layout in EVENTS + COMMANDS]
    assert len(codes) == len(set(codes))


def test_a_journal_of_the_first_release_still_folds_to_the_same_state() -> None:
    exchange = Exchange()
    for line in GOLDEN.read_bytes().splitlines():
        for event in decode_events(line):
            exchange.apply(event)
    assert check_all(exchange.state) == []
    assert state_hash(exchange.state) == GOLDEN_HASH.read_text().strip()


def test_a_changed_byte_or_a_gap_breaks_the_chain() -> None:
    first = seal(
        number=1, epoch=1, writer="w", time_milliseconds=TIME, users=("ann/1",), body=b"[]", previous=bytes(32)
    )
    check_follows(first, number=0, digest=bytes(32))
    with pytest.raises(BrokenChain):
        check_follows(dataclasses.replace(first, body=b"[ ]"), number=0, digest=bytes(32))
    with pytest.raises(BrokenChain):
        check_follows(dataclasses.replace(first, users=()), number=0, digest=bytes(32))
    with pytest.raises(BrokenChain):
        check_follows(first, number=1, digest=bytes(32))
    assert digest_of(first) != digest_of(dataclasses.replace(first, writer="x"))


async def test_a_running_exchange_journals_what_it_did() -> None:
    journal = MemoryJournal()
    async with running_shell(journal) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        placed = await shell.send(limit("ann", Side.BUY, UNIT // 100, PRICE - 100 * UNIT))
        assert placed.order is not None
        await shell.send(cancel("ann", placed.order.order_id))
        body = decode_body(journal.batches[max(journal.batches)].body)
        assert body.accounts == [AccountAfter("user:ann", "USD", 1_000 * UNIT, 0)]
        assert json.loads(journal.batches[1].body)[0] == 1
        assert isinstance(body.events[0], BatchStarted)
