"""What operators change, what anybody sees of a market: rules, fees, tape, book; over real gRPC on the real journal."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from chassis.errors import ErrorKind, RemoteError
from chassis.grpc_client import open_channel
from chassis.identity import Caller, use_caller
from chassis.mongo import MongoDatabase
from chassis.testing import eventually
from chassis.testing.services import identity_of
from cryptovault.trading.v1 import events_pb2, operator_pb2_grpc, trading_pb2
from cryptovault.trading.v1 import operator_pb2 as operator
from exchange_over_grpc import Exchange, buy, rest, running_exchange
from shell_factory import PRICE
from trading.api.watch import BEAT_SECONDS
from trading.domain.commands import SetMarket
from trading.journal.codec import decode_body
from trading.storage.journal import MongoJournal

MARKET = "BTC-USD"
ANN = Caller("gateway", "01890000-0000-7000-8000-00000000000a", "session", "request-1", "203.0.113.7")
OPERATOR = Caller("gateway", "op", "session-9", "request-9", "203.0.113.9", frozenset({"markets:write"}))


@pytest.fixture
async def exchange(mongo_journal: MongoJournal, mongo_database: MongoDatabase) -> AsyncIterator[Exchange]:
    async with running_exchange(mongo_journal, mongo_database) as running:
        yield running


async def change(
    exchange: Exchange, *, version: int = 1, key: str = "", reason: str = "a reason", **fields: Any
) -> Any:
    request = operator.ChangeMarketRequest(
        symbol=fields.pop("symbol", MARKET), version=version, idempotency_key=key, reason=reason,
        change=operator.MarketChange(**fields),
    )  # fmt: skip
    with use_caller(OPERATOR):
        return await exchange.operator.ChangeMarket(request, timeout=5)


async def rules(exchange: Exchange) -> operator.MarketRules:
    with use_caller(OPERATOR):
        answer = await exchange.operator.ListMarketRules(operator.ListMarketRulesRequest())
    return next(one for one in answer.markets if one.market.symbol == MARKET)


async def test_an_operator_changes_what_is_named_and_the_journal_says_who_and_why(
    exchange: Exchange, mongo_journal: MongoJournal
) -> None:
    before = await rules(exchange)
    answer = await change(
        exchange,
        reason="the tariff of 2027",
        maker_fee_basis_points=7,
        fee_tiers=operator.FeeTiers(tiers=[trading_pb2.FeeTier(volume="50000.5", maker_fee_basis_points=1)]),
        circuit_breaker=trading_pb2.CircuitBreaker(
            move_basis_points=300, window_milliseconds=5_000, pause_milliseconds=9_000
        ),
        max_open_orders=5,
        min_notional="2.5",
    )
    after = await rules(exchange)
    assert answer.rules == after
    assert (before.version, after.version, answer.replayed) == (1, 2, False)
    assert (after.market.maker_fee_basis_points, after.market.max_open_orders) == (7, 5)
    assert [(tier.volume, tier.taker_fee_basis_points) for tier in after.market.fee_tiers] == [("50000.5", 0)]
    assert after.market.circuit_breaker.pause_milliseconds == 9_000
    assert after.market.min_notional == "2.5"
    assert after.house == before.house
    assert after.market.tick == before.market.tick
    head = exchange.shell.sequencer._memory.number
    batch = await mongo_journal.read(head)
    assert batch is not None
    (entry,) = (entry for entry in decode_body(batch.body).entries if isinstance(entry.command, SetMarket))
    assert isinstance(entry.command, SetMarket)
    assert entry.command.actor == ("op", "session-9", "request-9", "203.0.113.9")
    assert entry.command.reason == "the tariff of 2027"
    assert '"min_notional": "2.5"' in entry.command.change


async def test_others_hear_what_operators_did_and_who_it_was(exchange: Exchange) -> None:
    user = "01890000-0000-7000-8000-00000000000a"
    await exchange.pay(user, "1", "deposit:1")
    before = exchange.shell.state.batch_number
    await change(exchange, reason="the tariff of 2027", maker_fee_basis_points=7)
    with use_caller(OPERATOR):
        fees = operator.UserFees(maker_fee_basis_points=1, taker_fee_basis_points=2)
        for own in (fees, None):
            await exchange.operator.SetUserFees(
                operator.SetUserFeesRequest(user_id=user, fees=own, reason="a maker"), timeout=5
            )
    async with open_channel(exchange.address, to="trading", identity=identity_of("trading-projector")) as reconciler:
        freeze = operator.FreezeAssetRequest(asset="BTC", reason="doubt")
        await operator_pb2_grpc.TradingOperatorServiceStub(reconciler).FreezeAsset(freeze, timeout=5)
    with use_caller(OPERATOR):
        await exchange.operator.UnfreezeAsset(operator.UnfreezeAssetRequest(asset="BTC", reason="seen"), timeout=5)
    assert await exchange.projector.reached(exchange.shell.state.batch_number, 5.0)
    journal = (await exchange.journal.ReadJournal(trading_pb2.ReadJournalRequest(after_batch=before, limit=50))).batches
    events = [event for batch in journal for event in batch.events]
    acts = [(event.operator_acted.act, event.operator_acted.subject) for event in events]
    assert acts[:4] == [
        ("market_set", "BTC-USD"), ("user_fees_set", user), ("user_fees_set", user), ("asset_frozen", "BTC")
    ]  # fmt: skip
    assert acts[-1] == ("asset_unfrozen", "BTC")
    assert {act for act, _ in acts[4:-1]} == {"market_set"}
    assert [json.loads(event.operator_acted.change) for event in events[:3]] == [
        {"maker_fee_basis_points": 7}, {"rates": {"maker": 1, "taker": 2}}, {"rates": None}
    ]  # fmt: skip
    assert json.loads(events[4].operator_acted.change)["status"] == "cancel_only"
    assert [event.reason for event in events[:4]] == ["the tariff of 2027", "a maker", "a maker", "doubt"]
    assert events[3].actor.credential_id == "trading-projector"
    expected = events_pb2.Actor(user_id="op", credential_id="session-9", request_id="request-9", address="203.0.113.9")
    assert [event.actor for event in events[:3]] == [expected] * 3


async def test_two_operators_do_not_undo_each_other_unseen(exchange: Exchange) -> None:
    await change(exchange, status="halted", key="first")
    with pytest.raises(RemoteError) as refusal:
        await change(exchange, maker_fee_basis_points=3)
    assert (refusal.value.kind, refusal.value.reason) == (ErrorKind.CONFLICT, "market_changed")
    assert (refusal.value.details["given"], refusal.value.details["limit"]) == ("1", "2")
    await change(exchange, version=2, status="trading")
    again = await change(exchange, status="halted", key="first")
    assert again.replayed
    assert (again.rules.version, again.rules.status) == (2, "halted")
    assert ((await rules(exchange)).version, (await rules(exchange)).status) == (3, "trading")
    with pytest.raises(RemoteError) as other:
        await change(exchange, status="cancel_only", key="first")
    assert other.value.reason == "idempotency_key_reused"


def house(**fields: int) -> operator.House:
    whole: dict[str, Any] = {"levels": 1, "half_spread_basis_points": 1, "step_basis_points": 1} | fields
    return operator.House(level_quantity="1", inventory_limit="1", refill_per_second="1", **whole)


def breaker(move: int, window: int, pause: int) -> trading_pb2.CircuitBreaker:
    return trading_pb2.CircuitBreaker(move_basis_points=move, window_milliseconds=window, pause_milliseconds=pause)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"version": 0, "status": "halted"}, "version"),
        ({"reason": " ", "status": "halted"}, "reason"),
        ({"reason": "x" * 501, "status": "halted"}, "reason"),
        ({}, "change"),
        ({"status": "paused"}, "status"),
        ({"tick": "1e3"}, "tick"),
        ({"tick": "0.000000001"}, "tick"),
        ({"tick": "0"}, "tick"),
        ({"lot": "0.00000003"}, "lot"),
        ({"maker_fee_basis_points": -1}, "maker_fee_basis_points"),
        ({"maker_fee_basis_points": 1_001}, "maker_fee_basis_points"),
        ({"max_open_orders": 0}, "max_open_orders"),
        ({"price_band_basis_points": 10_000}, "price_band_basis_points"),
        ({"fee_tiers": operator.FeeTiers(tiers=[trading_pb2.FeeTier(volume="-1")])}, "fee_tiers.volume_from"),
        ({"fee_tiers": operator.FeeTiers(tiers=[trading_pb2.FeeTier(volume="1")] * 2)}, "fee_tiers.volume_from"),
        ({"fee_tiers": operator.FeeTiers(tiers=[trading_pb2.FeeTier(volume="1")] * 21)}, "fee_tiers"),
        ({"house": operator.House(levels=1, level_quantity="NaN")}, "house.level_quantity"),
        ({"house": operator.House(levels=101)}, "house.level_quantity"),
        ({"house": house(half_spread_basis_points=0)}, "house.half_spread_basis_points"),
        ({"house": house(step_basis_points=0)}, "house.step_basis_points"),
        ({"min_notional": "0"}, "min_notional"),
        ({"max_quantity": "0"}, "max_quantity"),
        ({"circuit_breaker": breaker(10_000, 1, 1)}, "circuit_breaker.move_basis_points"),
        ({"circuit_breaker": breaker(1, 0, 1)}, "circuit_breaker.window_seconds"),
        ({"circuit_breaker": breaker(1, 1, 0)}, "circuit_breaker.pause_seconds"),
        ({"sources": operator.PriceSources(sources=[operator.PriceSource(name="a b")])}, "sources.name"),
        ({"sources": operator.PriceSources(sources=[operator.PriceSource(name="a")])}, "sources"),
        ({"sources": operator.PriceSources()}, "sources"),
        ({"slippage_cap_basis_points": 1_001}, "slippage_cap_basis_points"),
        ({"price_band_basis_points": 199}, "slippage_cap_basis_points"),
        ({"tick": "5000"}, "tick"),
        ({"min_notional": "500001"}, "min_notional"),
        ({"max_quantity": "0.000001"}, "min_notional"),
        ({"silence_limit_milliseconds": 0}, "silence_limit_seconds"),
        ({"silence_limit_milliseconds": 1}, "silence_limit_seconds"),
        ({"house": house(half_spread_basis_points=200)}, "house.half_spread_basis_points"),
    ],
)
async def test_a_change_that_makes_no_sense_is_refused_with_its_field(
    exchange: Exchange, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(RemoteError) as refusal:
        await change(exchange, **fields)
    assert refusal.value.kind is ErrorKind.INVALID
    assert refusal.value.details["field"] == field
    assert (await rules(exchange)).version == 1


async def test_without_the_permission_nobody_changes_or_sees_the_rules(exchange: Exchange) -> None:
    calls = (
        exchange.operator.ListMarketRules(operator.ListMarketRulesRequest()),
        exchange.operator.ChangeMarket(operator.ChangeMarketRequest(symbol=MARKET)),
        exchange.operator.ResumeMarket(operator.ResumeMarketRequest(symbol=MARKET, reason="x")),
        exchange.operator.SetUserFees(operator.SetUserFeesRequest(user_id=ANN.user_id or "", reason="x")),
    )
    for call in calls:
        with pytest.raises(RemoteError) as nobody:
            await call
        assert nobody.value.reason == "not_signed_in"
    with use_caller(ANN), pytest.raises(RemoteError) as refusal:
        await exchange.operator.ListMarketRules(operator.ListMarketRulesRequest())
    assert refusal.value.reason == "permission_required"
    with pytest.raises(RemoteError) as unknown:
        await change(exchange, symbol="XXX-USD", status="halted")
    assert unknown.value.reason == "unknown_market"


async def test_a_pause_shows_as_status_until_an_operator_ends_it(exchange: Exchange) -> None:
    exchange.shell.tick(PRICE * 120 // 100)
    await eventually(lambda: not exchange.shell.state.markets[MARKET].trades_at(exchange.shell.now))
    answer = await exchange.trading.ListMarkets(trading_pb2.ListMarketsRequest())
    shown = next(market for market in answer.markets if market.symbol == MARKET)
    assert shown.status == "paused"
    assert shown.paused_until.seconds > exchange.shell.now // 1000
    assert (await rules(exchange)).status == "trading"
    with use_caller(OPERATOR):
        resumed = await exchange.operator.ResumeMarket(
            operator.ResumeMarketRequest(symbol=MARKET, reason="the news is real")
        )
    assert resumed.rules.market.status == "trading"
    assert not resumed.rules.market.HasField("paused_until")


async def test_an_order_says_what_it_pays_and_fees_say_why(exchange: Exchange) -> None:
    user = ANN.user_id or ""
    await exchange.pay(user, "300000", "practice:ann")

    async def fees() -> trading_pb2.MarketFees:
        with use_caller(ANN):
            answer = await exchange.trading.GetFees(trading_pb2.GetFeesRequest())
        return next(one for one in answer.markets if one.market == MARKET)

    assert (await fees()).next_tier.volume == "100000"
    (first,) = await exchange.ask(exchange.request(user, **buy("150000")))
    assert (first.result.order.maker_fee_basis_points, first.result.order.taker_fee_basis_points) == (10, 20)
    reached = await fees()
    assert (reached.tier, reached.maker_fee_basis_points, reached.taker_fee_basis_points) == (1, 8, 18)
    assert reached.volume_30d == first.result.order.filled_quote_quantity
    (second,) = await exchange.ask(exchange.request(user, **buy("100")))
    assert second.result.order.taker_fee_basis_points == 18
    with use_caller(ANN):
        read = await exchange.queries.GetOrder(
            trading_pb2.GetOrderRequest(order_id=second.result.order.id, at_least_batch=second.result.batch)
        )
    assert read.order == second.result.order
    own = operator.SetUserFeesRequest(
        user_id=user, fees=operator.UserFees(maker_fee_basis_points=0, taker_fee_basis_points=1), reason="market maker"
    )
    with use_caller(OPERATOR):
        await exchange.operator.SetUserFees(own)
    assert ((await fees()).overridden, (await fees()).taker_fee_basis_points, (await fees()).tier) == (True, 1, 1)
    with use_caller(OPERATOR):
        await exchange.operator.SetUserFees(operator.SetUserFeesRequest(user_id=user, reason="no more"))
        with pytest.raises(RemoteError) as refusal:
            await exchange.operator.SetUserFees(operator.SetUserFeesRequest(user_id="ann", reason="who"))
    assert refusal.value.details["field"] == "user_id"
    assert not (await fees()).overridden


async def test_the_tape_is_read_page_by_page_without_gap(exchange: Exchange) -> None:
    await exchange.pay("ann", "10000", "practice:ann")
    batch = 0
    # Several in a batch, then one in each, which are read from the rows.
    for together in (4, 4, 1, 1, 1, 1):
        answers = await exchange.ask(*(exchange.request("ann", **buy("10")) for _ in range(together)))
        batch = max(answer.result.batch for answer in answers)
    assert await exchange.projector.stored(batch, 10)

    async def page(**place: int) -> trading_pb2.ListTradesResponse:
        answer: trading_pb2.ListTradesResponse = await exchange.queries.ListTrades(
            trading_pb2.ListTradesRequest(market=MARKET, at_least_batch=batch, **place)
        )
        assert not answer.behind
        return answer

    whole = await page()
    assert [trade.sequence for trade in whole.trades] == list(range(12, 0, -1))
    assert not whole.more
    assert {trade.taker_side for trade in whole.trades} == {"buy"}
    for size in (1, 2, 3, 4, 5, 12):
        read: list[trading_pb2.PublicTrade] = []
        more, before = True, 0
        while more:
            answer = await page(limit=size, before=before)
            read += answer.trades
            more, before = answer.more, answer.trades[-1].sequence
        assert read == list(whole.trades), size
    newer = await page(after=7)
    assert [trade.sequence for trade in newer.trades] == [12, 11, 10, 9, 8]
    assert not newer.more
    assert [trade.sequence for trade in (await page(after=7, limit=2)).trades] == [12, 11]
    other = await exchange.queries.ListTrades(trading_pb2.ListTradesRequest(market="ETH-USD"))
    assert not other.trades
    for wrong, reason in (
        ({"market": "XXX-USD"}, "unknown_market"),
        ({"market": MARKET, "limit": -1}, "invalid_argument"),
    ):
        with pytest.raises(RemoteError) as refusal:
            await exchange.queries.ListTrades(trading_pb2.ListTradesRequest(**wrong))  # type: ignore[arg-type]
        assert refusal.value.reason == reason


async def test_a_watched_book_is_the_snapshot_and_every_change_after_it(exchange: Exchange) -> None:
    await exchange.pay("ann", "100000", "practice:ann")
    watching: Any = exchange.trading.WatchBook(trading_pb2.WatchBookRequest(market=MARKET, depth=30))
    first = await watching.read()
    assert first.snapshot
    book = {"bids": levels(first.bids), "asks": levels(first.asks)}
    (placed,) = await exchange.ask(exchange.request("ann", **rest("buy", "0.5", "59000")))
    await exchange.ask(exchange.request("ann", **rest("buy", "0.25", "59000")), exchange.request("ann", **buy("1000")))
    cancelled = trading_pb2.CancelOrder(order_id=placed.result.order.id)
    exchange.shell.tick(PRICE + 10_000_000_000)
    await exchange.ask(exchange.request("ann", cancel_order=cancelled))
    while book["bids"].get("59000") != "0.25":
        update = await watching.read()
        assert not update.snapshot
        for side in ("bids", "asks"):
            book[side].update(levels(getattr(update, side)))
            book[side] = {price: quantity for price, quantity in book[side].items() if quantity != "0"}
    watching.cancel()
    exchange.shell.tick(PRICE + 10_000_000_000)
    now = await exchange.trading.GetBook(trading_pb2.GetBookRequest(market=MARKET, depth=30))
    # The house's used-up depth refills with time: prices agree at any moment, quantities of users' levels too.
    assert set(book["bids"]) == set(levels(now.bids))
    assert set(book["asks"]) == set(levels(now.asks))
    for wrong, reason in (
        ({"market": "XXX-USD"}, "unknown_market"),
        ({"market": MARKET, "depth": 101}, "invalid_argument"),
    ):
        refused: Any = exchange.trading.WatchBook(trading_pb2.WatchBookRequest(**wrong))  # type: ignore[arg-type]
        with pytest.raises(RemoteError) as refusal:
            await refused.read()
        assert refusal.value.reason == reason


async def test_a_watched_book_that_stands_still_says_that_its_exchange_lives(exchange: Exchange) -> None:
    exchange.shell.prices.update({}, received_milliseconds=exchange.shell.now)
    watching: Any = exchange.trading.WatchBook(trading_pb2.WatchBookRequest(market=MARKET, depth=30))
    assert (await watching.read()).snapshot
    async with asyncio.timeout(10 * BEAT_SECONDS):
        beat = await watching.read()
    assert (beat.snapshot, len(beat.bids), len(beat.asks)) == (False, 0, 0)
    watching.cancel()


def levels(found: Any) -> dict[str, str]:
    return {level.price: level.quantity for level in found}
