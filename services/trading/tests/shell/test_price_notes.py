"""What the only process has heard of prices is known to the one that comes after it, though the journal is silent."""

import pytest
from chassis.mongo import MongoDatabase
from chassis.testing import FixedClock, eventually
from shell_factory import (
    MARKET,
    PRICE,
    UNIT,
    MemoryJournal,
    Shell,
    buy_for,
    clock_of_today,
    limit,
    running_shell,
)
from trading.domain.events import TradingPaused
from trading.domain.orders import Side
from trading.journal.codec import decode_events
from trading.sequencer.price_notes import PriceNotes
from trading.sequencer.reference_prices import PriceWindow
from trading.storage import price_notes
from trading.storage.price_notes import MongoPriceNotes

HIGHER, LOWER = PRICE * 102 // 100, PRICE * 91 // 100


@pytest.fixture
def store(mongo_database: MongoDatabase) -> MongoPriceNotes:
    return MongoPriceNotes(mongo_database)


def notes_of(shell: Shell, store: MongoPriceNotes) -> PriceNotes:
    return PriceNotes(store, prices=shell.prices, state=lambda: shell.state, time=shell.time)


def pauses(journal: MemoryJournal) -> list[TradingPaused]:
    events = [event for batch in journal.batches.values() for event in decode_events(batch.body)]
    return [event for event in events if isinstance(event, TradingPaused)]


async def traded_and_died(journal: MemoryJournal, store: MongoPriceNotes, clock: FixedClock) -> None:
    """An order rests that a price of 95 % reaches; the journal's last price is older than the breaker's window."""
    async with running_shell(journal, clock=clock) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        await shell.send(limit("ann", Side.BUY, UNIT // 1_000, PRICE * 95 // 100))
        clock.advance(90)
        shell.tick(HIGHER)
        await notes_of(shell, store).note()


@pytest.mark.parametrize("seconds_down", [5, 3_600])
async def test_a_jump_that_happened_while_nobody_listened_pauses(store: MongoPriceNotes, seconds_down: int) -> None:
    journal, clock = MemoryJournal(), clock_of_today()
    await traded_and_died(journal, store, clock)
    clock.advance(seconds_down)
    async with running_shell(journal, clock=clock, price=None) as shell:
        await notes_of(shell, store).recall()
        assert shell.prices.command(MARKET, shell.now) is None  # known, but nobody trades at it
        shell.tick(LOWER)
        await eventually(lambda: pauses(journal))
        assert [(pause.price_before, pause.price) for pause in pauses(journal)] == [(HIGHER, LOWER)]
        assert shell.balance("ann", "BTC") == (0, 0)


async def test_a_price_that_stayed_within_the_move_pauses_nothing(store: MongoPriceNotes) -> None:
    journal, clock = MemoryJournal(), clock_of_today()
    await traded_and_died(journal, store, clock)
    clock.advance(5)
    async with running_shell(journal, clock=clock, price=None) as shell:
        await notes_of(shell, store).recall()
        shell.tick(PRICE * 93 // 100)
        await eventually(lambda: shell.balance("ann", "BTC") == (UNIT // 1_000, 0))
    assert pauses(journal) == []


async def test_notes_hold_the_window_and_not_what_was_before_it(store: MongoPriceNotes) -> None:
    assert await store.load() == ({}, 0)
    async with running_shell(MemoryJournal()) as shell:
        for price in (PRICE * 80 // 100, PRICE, PRICE * 103 // 100, HIGHER):
            shell.clock.advance(40)
            shell.tick(price)
        await notes_of(shell, store).note()
        windows, noted = await store.load()
        assert windows == {MARKET: PriceWindow(PRICE, PRICE * 103 // 100, HIGHER)}
        assert noted == shell.now


async def test_who_has_heard_nothing_leaves_the_notes_as_they_are(store: MongoPriceNotes) -> None:
    await traded_and_died(MemoryJournal(), store, clock_of_today())
    noted = await store.load()
    async with running_shell(MemoryJournal(), price=None) as shell:
        await notes_of(shell, store).note()
    assert await store.load() == noted


async def test_without_an_answer_a_process_starts_and_goes_on(
    store: MongoPriceNotes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(price_notes, "_TIMEOUT_SECONDS", 0.000_001)
    async with running_shell(MemoryJournal(), price=None) as shell:
        await notes_of(shell, store).recall()
        shell.tick()
        await notes_of(shell, store).note()
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        assert (await shell.send(buy_for("ann", 10 * UNIT))).order is not None
