"""Balances of the past and the postings that explain them, against what the exchange itself said at each step."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from chassis.errors import InvalidArgument
from chassis.mongo import MongoDatabase
from shell_factory import PRICE, UNIT, Shell, actor, buy_for, cancel, limit, running_shell
from trading.domain.accounts import Posting
from trading.domain.commands import HoldTransfer, PostTransfer, VoidTransfer
from trading.domain.orders import Side
from trading.domain.queries import balances, user_cursor
from trading.domain.transfer_kinds import Party
from trading.journal.codec import decode_body
from trading.journal.history import user_steps
from trading.journal.postings import TRADE, account_lines
from trading.projector import ledger_reader
from trading.projector.ledger_reader import (
    ExplainedPosting,
    HistoryArchived,
    LedgerReader,
    PostingFilter,
    SequenceAhead,
)
from trading.projector.projector import Projector
from trading.sequencer.open_batch import FinishedBatch
from trading.storage.balance_points import EVENTS_PER_POINT, BalancePointDocument, BalancePoints
from trading.storage.journal import MongoJournal
from trading.storage.projection import Projection

Balances = dict[str, tuple[int, int]]
ROUNDS = 14


@dataclass
class Past:
    """What was said live: ann's balances after each of her events, and when."""

    shell: Shell
    reader: LedgerReader
    projector: Projector
    after: list[Balances] = field(default_factory=lambda: [{}])
    times: list[int] = field(default_factory=lambda: [0])

    def note(self, batch: FinishedBatch) -> None:
        steps = user_steps(batch.events, accounts=batch.accounts, order_after=batch.orders.__getitem__, user_id="ann")
        for step in steps:
            changed = {asset: (available, held) for asset, available, held in step.balances}
            self.after.append({**self.after[-1], **changed})
            self.times.append(batch.time_milliseconds)

    async def everything(self, size: int, **filters: object) -> list[ExplainedPosting]:
        """All pages, one after the other."""
        found: list[ExplainedPosting] = []
        cursor = ""
        while True:
            wanted = PostingFilter(**filters)  # type: ignore[arg-type]
            page = await self.reader.postings("ann", wanted, limit=size, cursor=cursor)
            assert len(page.postings) <= size
            found += page.postings
            cursor = page.next_cursor
            if not cursor:
                return found


@pytest.fixture
async def past(mongo_journal: MongoJournal, mongo_database: MongoDatabase) -> AsyncIterator[Past]:
    projector = Projector(mongo_journal, Projection(mongo_database))
    await projector.catch_up()
    following = asyncio.create_task(projector.run())
    async with running_shell(mongo_journal) as shell:
        reader = LedgerReader(journal=mongo_journal, projector=projector, points=BalancePoints())
        past = Past(shell, reader, projector)
        shell.sequencer.on_batch(past.note)
        await live_a_little(shell)
        assert await projector.stored(shell.state.batch_number, 10)
        yield past
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def live_a_little(shell: Shell) -> None:
    """Some hundred events of ann's, beside bob's, many of them in one batch."""
    await shell.deposit("ann", "USD", 100_000 * UNIT)
    await shell.deposit("bob", "USD", 100_000 * UNIT)
    payment = (Posting("user:ann", "USD", -UNIT), Posting("user:bob", "USD", UNIT))
    for step in range(ROUNDS):
        shell.clock.advance(1)
        shell.tick()
        resting = await shell.send(limit("ann", Side.BUY, UNIT // 1000, PRICE - 100 * UNIT))
        await asyncio.gather(*(shell.send(buy_for(user, 100 * UNIT)) for user in ("ann", "bob", "ann")))
        await asyncio.gather(
            shell.send(HoldTransfer(actor("ann"), f"p{step}", "user_transfer", payment)),
            shell.send(limit("ann", Side.SELL, UNIT // 1000, PRICE - 100 * UNIT)),
        )
        end = PostTransfer(actor("ann"), f"e{step}", f"p{step}")
        await shell.send(end if step % 2 else VoidTransfer(actor("ann"), f"e{step}", f"p{step}"))
        if resting.order is not None and resting.order.order_id in shell.state.orders:
            await shell.send(cancel("ann", resting.order.order_id))


async def test_balances_as_of_any_event_are_those_that_were_told_then(past: Past) -> None:
    assert len(past.after) > 3 * EVENTS_PER_POINT
    for sequence, expected in enumerate(past.after):
        found = await past.reader.at_sequence("ann", sequence)
        assert found.balances == expected
        assert (found.sequence, found.time_milliseconds) == (sequence, past.times[sequence])
    with pytest.raises(SequenceAhead):
        await past.reader.at_sequence("ann", len(past.after))
    assert (await past.reader.at_sequence("nobody", 0)).balances == {}


async def test_balances_as_of_any_time_hold_everything_up_to_it(past: Past) -> None:
    moments = sorted({time + shift for time in past.times[1:] for shift in (-1, 0, 1)})
    for moment in moments:
        newest = max(sequence for sequence, time in enumerate(past.times) if time <= moment)
        found = await past.reader.at_time("ann", moment)
        assert (found.sequence, found.balances) == (newest, past.after[newest])


async def test_the_postings_sum_to_the_balance_and_say_it_on_the_way(past: Past) -> None:
    for size in (1, 7, 200):
        postings = await past.everything(size)
        assert len({(one.step.sequence, one.place) for one in postings}) == len(postings)
        assert [one.step.sequence for one in postings] == sorted((one.step.sequence for one in postings), reverse=True)
        for asset, available, held in balances(past.shell.state, "ann"):
            mine = [one for one in postings if one.posting.asset == asset]
            total = 0
            for one in reversed(mine):
                total += one.posting.amount
                assert one.total == total
                assert total == sum(past.after[one.step.sequence][asset])
            assert total == available + held


async def test_postings_are_filtered_by_asset_kind_and_time(past: Past) -> None:
    everything = await past.everything(200)
    middle = past.times[len(past.times) // 2]
    end = past.times[-1]
    for filters in (
        {"asset": "BTC"},
        {"kind": "user_transfer"},
        {"asset": "USD", "kind": TRADE},
        {"from_milliseconds": middle},
        {"to_milliseconds": middle},
        {"from_milliseconds": middle - 2_000, "to_milliseconds": middle + 2_000, "asset": "USD"},
        {"from_milliseconds": end + 1},
        {"to_milliseconds": 1},
    ):
        expected = [
            one
            for one in everything
            if one.posting.asset == filters.get("asset", one.posting.asset)
            and one.step.kind == filters.get("kind", one.step.kind)
            and int(str(filters.get("from_milliseconds", 0))) <= one.step.time_milliseconds
            and one.step.time_milliseconds < int(str(filters.get("to_milliseconds", end + 1)))
        ]
        assert await past.everything(3, **filters) == expected, filters
    assert {one.step.kind for one in everything} == {"deposit", "user_transfer", TRADE}


async def test_a_posting_names_what_made_it_and_the_kind_of_its_other_side(past: Past) -> None:
    postings = await past.everything(200)
    sides = {(one.step.kind, one.posting.asset, one.posting.amount > 0): one.posting.counterparties for one in postings}
    assert sides["deposit", "USD", True] == (Party.EXTERNAL,)
    assert sides["user_transfer", "USD", False] == (Party.USER,)
    assert sides[TRADE, "BTC", True] == (Party.HOUSE,)
    assert sides[TRADE, "USD", False] == (Party.HOUSE, Party.FEES)
    for one in postings:
        assert one.step.reference
        assert bool(one.step.order_id) is (one.step.kind == TRADE)
        assert bool(one.step.business_key) is (one.step.kind != TRADE)


async def test_a_page_stops_looking_after_so_many_events(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_reader, "EVENTS_PER_PAGE_MAX", EVENTS_PER_POINT)
    page = await past.reader.postings("ann", PostingFilter(kind="deposit"), limit=50, cursor="")
    assert page.postings == []
    assert page.next_cursor
    (deposit,) = await past.everything(50, kind="deposit")
    assert deposit.step.sequence == 1


async def test_points_that_are_missing_only_make_the_way_longer(past: Past) -> None:
    assert await BalancePointDocument.count() >= 4
    newest = user_cursor(past.shell.state, "ann").sequence
    expected = await past.everything(200)
    await BalancePointDocument.find({"sequence": {"$gt": EVENTS_PER_POINT}}).delete()
    assert (await past.reader.at_sequence("ann", newest)).balances == past.after[newest]
    assert (await past.reader.at_time("ann", past.times[-1])).balances == past.after[newest]
    assert await past.everything(200) == expected


async def test_what_the_journal_no_longer_has_is_said_to_be_archived(past: Past, mongo_database: MongoDatabase) -> None:
    newest = user_cursor(past.shell.state, "ann").sequence
    first = await past.reader.at_sequence("ann", 3)
    await mongo_database["journal"].delete_one({"_id": first.batch})
    with pytest.raises(HistoryArchived):
        await past.reader.at_sequence("ann", 3)
    with pytest.raises(HistoryArchived):
        await past.everything(200)
    assert (await past.reader.at_sequence("ann", newest)).balances == past.after[newest]


async def test_every_account_is_the_sum_of_its_lines_in_the_journal(past: Past, mongo_journal: MongoJournal) -> None:
    batches = await mongo_journal.read_after(0, 1_000)
    checked = set()
    for owner in past.shell.state.owners.values():
        for asset, account in owner.accounts.items():
            lines = [
                line
                for batch in batches
                for line in account_lines(
                    decode_body(batch.body).entries, owner.name, asset, batch=batch.number,
                    time_milliseconds=batch.time_milliseconds,
                )
            ]  # fmt: skip
            assert sum(line.amount for line in lines) == account.available + account.held
            assert all(line.kind and line.reference and line.counterparties for line in lines)
            assert all(line.actor is not None or line.kind == TRADE for line in lines)
            checked.add(owner.name)
    assert {"house", "fees", "external", "user:ann"} <= checked


@pytest.mark.parametrize("cursor", ["x", "1", "1.", ".1", "1.1.1", "-1.0", "0.1", "1.1\n", "٣.1", "1.01", "1_0.1"])
async def test_a_cursor_that_is_not_ours_is_refused(past: Past, cursor: str) -> None:
    with pytest.raises(InvalidArgument):
        await past.reader.postings("ann", PostingFilter(), limit=10, cursor=cursor)
