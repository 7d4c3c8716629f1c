"""The circuit breaker as the shell drives it, reference prices as they come in, the operator's changes with keys."""

import asyncio
from dataclasses import replace

import pytest
from chassis.errors import ServiceError
from chassis.testing import FixedClock, eventually
from cryptovault.market_data.v1 import market_data_pb2
from google.protobuf.timestamp_pb2 import Timestamp
from prometheus_client import REGISTRY
from shell_factory import MARKET, PRICE, UNIT, MemoryJournal, actor, buy_for, limit, running_shell
from trading.clients.price_stream import PriceStream
from trading.domain.commands import ResumeMarket, SetMarket
from trading.domain.events import MarketSet, TradingPaused
from trading.domain.orders import Side
from trading.domain.state import ExchangeState
from trading.journal.codec import decode_events
from trading.sequencer.journal_time import JournalTime
from trading.sequencer.market_metrics import MarketMetrics
from trading.sequencer.open_batch import FinishedBatch
from trading.sequencer.reference_prices import RECENT_PRICES_MAX, ReferencePrices, Tick

JUMP = PRICE * 112 // 100


def pauses(journal: MemoryJournal) -> list[TradingPaused]:
    events = [event for batch in journal.batches.values() for event in decode_events(batch.body)]
    return [event for event in events if isinstance(event, TradingPaused)]


async def test_a_jump_pauses_a_market_that_nobody_trades_in_and_then_it_goes_on() -> None:
    journal = MemoryJournal()
    async with running_shell(journal) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        shell.clock.advance(30)
        appends = journal.appends
        shell.tick(PRICE * 109 // 100)
        await asyncio.sleep(0.02)
        assert journal.appends == appends  # large, but within the breaker's move: an idle market writes nothing
        shell.tick(JUMP)
        await eventually(lambda: pauses(journal))
        assert pauses(journal)[0].price_before == PRICE
        refused = {"market": MARKET, "reason": "market_paused"}
        before = REGISTRY.get_sample_value("cryptovault_refused_commands_total", refused) or 0
        with pytest.raises(ServiceError) as refusal:
            await shell.send(buy_for("ann", 10 * UNIT))
        assert refusal.value.reason == "market_paused"
        assert REGISTRY.get_sample_value("cryptovault_refused_commands_total", refused) == before + 1
        with pytest.raises(ServiceError):
            await shell.send(buy_for("ann", 10 * UNIT)._replace(market="whatever-a-caller-wrote"))
        assert REGISTRY.get_sample_value(
            "cryptovault_refused_commands_total", {"market": "", "reason": "unknown_market"}
        )
        shell.clock.advance(60)
        shell.tick(JUMP)
        assert (await shell.send(buy_for("ann", 10 * UNIT))).order is not None
        assert len(pauses(journal)) == 1


async def test_a_slow_move_of_the_same_size_pauses_nothing() -> None:
    journal = MemoryJournal()
    async with running_shell(journal) as shell:
        for step in range(13):
            shell.tick(PRICE * (100 + step) // 100)
            shell.clock.advance(6.7)
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        assert pauses(journal) == []


async def test_after_the_pause_a_heartbeat_is_enough_to_fill_what_was_crossed() -> None:
    async with running_shell(MemoryJournal()) as shell:
        await shell.deposit("ann", "USD", 10_000 * UNIT)
        assert (await shell.send(limit("ann", Side.BUY, UNIT // 100, PRICE - 1_000 * UNIT))).order is not None
        shell.tick(PRICE * 85 // 100)
        await eventually(lambda: not shell.state.markets[MARKET].trades_at(shell.now))
        shell.clock.advance(59)
        # A polled source that is then silent for a minute; its price stands, the stream says.
        shell.prices.update({MARKET: Tick(PRICE * 85 // 100, "coingecko", shell.now)}, received_milliseconds=shell.now)
        shell.clock.advance(2)
        shell.prices.update({}, received_milliseconds=shell.now)
        await eventually(lambda: shell.balance("ann", "BTC") == (UNIT // 100, 0))


async def test_an_operator_ends_a_pause() -> None:
    async with running_shell(MemoryJournal()) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        shell.tick(JUMP)
        await eventually(lambda: not shell.state.markets[MARKET].trades_at(shell.now))
        shell.clock.advance(1)
        await shell.send(ResumeMarket(actor("operator"), MARKET, "the news is real"))
        shell.tick(JUMP)
        assert (await shell.send(buy_for("ann", 10 * UNIT))).order is not None


@pytest.mark.parametrize("recent", [True, False])
async def test_a_repeated_change_gets_the_first_reply_though_others_followed(*, recent: bool) -> None:
    async with running_shell(MemoryJournal()) as shell:
        market = shell.state.markets[MARKET].market
        change = SetMarket(actor("operator"), replace(market, maker_fee_basis_points=7), "cheaper", 1, "key")
        first = await shell.send(change)
        await shell.send(SetMarket(actor("operator"), market, "back", 2, "other key"))
        if not recent:
            shell.sequencer._recent.clear()
        again = await shell.send(change)
        assert again.replayed
        assert [event for event in again.events if isinstance(event, MarketSet)] == [first.events[0]]
        with pytest.raises(ServiceError) as refusal:
            await shell.send(change._replace(idempotency_key="a third"))
        assert refusal.value.reason == "market_changed"


async def test_pauses_trades_and_positions_are_told_by_market() -> None:
    metrics = MarketMetrics()
    async with running_shell(MemoryJournal()) as shell:

        def tell(batch: FinishedBatch) -> None:
            metrics(batch, shell.state)

        shell.sequencer.on_batch(tell)
        metrics.begin(shell.state)
        before = REGISTRY.get_sample_value("cryptovault_market_pauses_total", {"market": MARKET}) or 0
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        await shell.send(buy_for("ann", 100 * UNIT))
        shell.tick(JUMP)
        await eventually(lambda: not shell.state.markets[MARKET].trades_at(shell.now))
        await shell.deposit("ann", "USD", UNIT)
        assert REGISTRY.get_sample_value("cryptovault_market_pauses_total", {"market": MARKET}) == before + 1
        until = REGISTRY.get_sample_value("cryptovault_market_paused_until_seconds", {"market": MARKET})
        assert until == shell.state.markets[MARKET].paused_until_milliseconds / 1000
        position = REGISTRY.get_sample_value("cryptovault_house_position", {"market": MARKET})
        assert position == shell.state.markets[MARKET].house_position / UNIT < 0
        assert (REGISTRY.get_sample_value("cryptovault_market_turnover_total", {"market": MARKET}) or 0) > 99


def streamed(
    *, source: str, age_seconds: int, clock: FixedClock, snapshot: bool = False, symbol: str = "BTC"
) -> object:
    time = Timestamp(seconds=int(clock.now().timestamp()) - age_seconds)
    price = market_data_pb2.Price(symbol=symbol, price="60000", source=source, source_time=time)
    return market_data_pb2.StreamPricesResponse(sequence=1, snapshot=snapshot, prices=[price])


async def test_a_source_whose_clock_is_ahead_makes_no_price_younger_than_its_arrival() -> None:
    clock, prices, state = FixedClock(), ReferencePrices(), ExchangeState()
    async with running_shell(MemoryJournal()) as shell:
        state = shell.state
    stream = PriceStream(stub=None, prices=prices, state=lambda: state, time=JournalTime(clock))  # type: ignore[arg-type]
    now = int(clock.now().timestamp() * 1000)
    stream.take(streamed(source="coingecko", age_seconds=-90, clock=clock))  # type: ignore[arg-type]
    tick = prices.command(MARKET, now)
    assert tick is not None
    assert tick.source_milliseconds == now


async def test_after_a_switch_of_the_source_nothing_stands_of_the_one_before() -> None:
    clock, prices = FixedClock(), ReferencePrices()
    async with running_shell(MemoryJournal()) as shell:
        state = shell.state
    stream = PriceStream(stub=None, prices=prices, state=lambda: state, time=JournalTime(clock))  # type: ignore[arg-type]
    now = int(clock.now().timestamp() * 1000)
    stream.take(streamed(source="coingecko", age_seconds=1, clock=clock, symbol="ETH"))  # type: ignore[arg-type]
    assert prices.command("ETH-USD", now) is not None
    stream.take(streamed(source="simulator", age_seconds=0, clock=clock, snapshot=True))  # type: ignore[arg-type]
    assert prices.command("ETH-USD", now) is None
    assert prices.command(MARKET, now) is not None


def test_the_window_holds_every_price_that_stood_in_it() -> None:
    prices = ReferencePrices()
    for second, price in ((0, 50), (10, 90), (20, 100), (20, 80), (21, 101), (30, 99)):
        prices.update({MARKET: Tick(price, "simulator", 0)}, received_milliseconds=second * 1_000)
    recent = prices._recent[MARKET]
    assert recent.extremes(30_000) == (99, 101)  # 101 stood until then
    assert recent.extremes(20_001) == (80, 101)
    assert recent.extremes(20_000) == (80, 101)
    assert recent.extremes(19_999) == (80, 101)
    assert recent.extremes(10_001) == (80, 101)
    assert recent.extremes(0) == (50, 101)
    assert recent.extremes(30_001) == (99, 99)


def test_the_window_holds_every_price_that_came_also_where_the_clock_was_set_back() -> None:
    prices = ReferencePrices()
    for millisecond, price in ((5_000, 100), (4_700, 120), (4_900, 90), (6_000, 101)):
        prices.update({MARKET: Tick(price, "simulator", 0)}, received_milliseconds=millisecond)
    assert prices._recent[MARKET].extremes(5_000) == (90, 120)
    assert prices._recent[MARKET].extremes(6_001) == (101, 101)


def test_of_prices_without_end_the_last_thousand_are_kept() -> None:
    prices = ReferencePrices()
    for price in range(1, 3_000):
        prices.update({MARKET: Tick(price, "simulator", 0)}, received_milliseconds=price)
    assert prices._recent[MARKET].extremes(0) == (3_000 - RECENT_PRICES_MAX, 2_999)
