"""Assets and markets that an operator adds: over real gRPC on the real journal, to the first trade and a restart."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from chassis.errors import ErrorKind, RemoteError
from chassis.identity import Caller, use_caller
from chassis.mongo import MongoDatabase
from chassis.testing import eventually
from cryptovault.market_data.v1 import market_data_pb2
from cryptovault.trading.v1 import operator_pb2 as operator
from cryptovault.trading.v1 import trading_pb2
from exchange_over_grpc import Exchange, running_exchange
from google.protobuf.timestamp_pb2 import Timestamp
from trading.clients.price_stream import PriceStream
from trading.domain.default_markets import default_assets, default_markets
from trading.storage.journal import MongoJournal

MARKET = "TRX-USD"
OPERATOR = Caller("gateway", "op", "session-9", "request-9", "203.0.113.9", frozenset({"markets:write"}))
ANN = Caller("gateway", "ann", "session", "request", "203.0.113.7")
NEEDED = {"tick": "0.00001", "lot": "0.1", "min_notional": "1", "max_quantity": "1000000"}


@pytest.fixture
async def exchange(mongo_journal: MongoJournal, mongo_database: MongoDatabase) -> AsyncIterator[Exchange]:
    async with running_exchange(mongo_journal, mongo_database) as running:
        yield running


async def add_asset(exchange: Exchange, **fields: Any) -> operator.AddAssetResponse:
    request = {"code": "TRX", "name": "TRON", "scale": 6, "reason": "asked for", **fields}
    with use_caller(OPERATOR):
        answer: operator.AddAssetResponse = await exchange.operator.AddAsset(
            operator.AddAssetRequest(**request), timeout=5
        )
    return answer


async def add_market(
    exchange: Exchange, *, key: str = "", reason: str = "asked for", base: str = "TRX", quote: str = "USD", **rules: Any
) -> operator.AddMarketResponse:
    named = {name: value for name, value in {**NEEDED, **rules}.items() if value is not None}
    request = operator.AddMarketRequest(
        base_asset=base, quote_asset=quote, reason=reason, idempotency_key=key, rules=operator.MarketChange(**named)
    )
    with use_caller(OPERATOR):
        answer: operator.AddMarketResponse = await exchange.operator.AddMarket(request, timeout=5)
    return answer


async def open_market(exchange: Exchange) -> operator.MarketRules:
    change = operator.ChangeMarketRequest(
        symbol=MARKET, version=1, reason="looked at", change=operator.MarketChange(status="trading")
    )
    with use_caller(OPERATOR):
        rules: operator.MarketRules = (await exchange.operator.ChangeMarket(change, timeout=5)).rules
    return rules


def hear(exchange: Exchange, *, snapshot: bool = False, **prices: str) -> None:
    """What market-data would say now."""
    shell = exchange.shell
    stream = PriceStream(
        stub=None,  # type: ignore[arg-type]  # only `take` is used
        prices=shell.prices, state=lambda: shell.state, time=shell.time,
    )  # fmt: skip
    stream.take(message(exchange, snapshot=snapshot, **prices))


def message(exchange: Exchange, *, snapshot: bool = False, **prices: str) -> market_data_pb2.StreamPricesResponse:
    source_time = Timestamp(seconds=exchange.shell.now // 1000)
    told = [
        market_data_pb2.Price(symbol=symbol, price=price, source="simulator", source_time=source_time)
        for symbol, price in prices.items()
    ]
    return market_data_pb2.StreamPricesResponse(snapshot=snapshot, prices=told)


async def test_a_market_is_added_opened_and_traded_in_while_the_exchange_runs(exchange: Exchange) -> None:
    asset = (await add_asset(exchange)).asset
    assert (asset.code, asset.name, asset.scale, asset.frozen_because) == ("TRX", "TRON", 6, "")
    rules = (await add_market(exchange, maker_fee_basis_points=3)).rules
    assert (rules.market.symbol, rules.status, rules.version) == (MARKET, "cancel_only", 1)
    assert (rules.market.tick, rules.market.lot, rules.market.min_notional) == ("0.00001", "0.1", "1")
    assert (rules.market.maker_fee_basis_points, rules.market.taker_fee_basis_points) == (3, 20)
    assert (rules.house.levels, rules.reference_price) == (0, "")
    assert [source.name for source in rules.sources] == ["simulator", "coingecko"]
    await exchange.pay("ann", "1000", "practice:ann")
    buy = trading_pb2.PlaceOrder(market=MARKET, side="buy", type="limit", quantity="10", price="0.25")

    async def refusal() -> str:
        (answer,) = await exchange.ask(exchange.request("ann", place_order=buy))
        return str(answer.failure.reason)

    assert await refusal() == "market_cancel_only"
    with pytest.raises(RemoteError) as no_price:
        await open_market(exchange)
    assert (no_price.value.kind, no_price.value.reason) == (ErrorKind.CONFLICT, "no_reference_price")
    hear(exchange, BTC="60000", TRX="0.2512345")
    assert (await open_market(exchange)).status == "trading"
    with use_caller(OPERATOR):
        listed = (await exchange.operator.ListMarketRules(operator.ListMarketRulesRequest())).markets
    assert next(one for one in listed if one.market.symbol == MARKET).reference_price == "0.2512345"
    leg = trading_pb2.TransferLeg(asset="TRX", amount="50", debit_account="external", credit_account="user:bob")
    await exchange.ledger.Transfer(trading_pb2.TransferRequest(business_key="d", kind="deposit", legs=[leg]), timeout=5)
    sell = trading_pb2.PlaceOrder(market=MARKET, side="sell", type="limit", quantity="4", price="0.25")
    (resting,) = await exchange.ask(exchange.request("ann", place_order=buy))
    (taking,) = await exchange.ask(exchange.request("bob", place_order=sell))
    assert (resting.result.order.status, taking.result.order.status) == ("open", "filled")
    assert {one.asset: one.available for one in taking.result.balances} == {"TRX": "46", "USD": "0.998"}
    tape = await exchange.queries.ListTrades(
        trading_pb2.ListTradesRequest(market=MARKET, at_least_batch=taking.result.batch)
    )
    assert [(trade.quantity, trade.price) for trade in tape.trades] == [("4", "0.25")]
    markets = await exchange.trading.ListMarkets(trading_pb2.ListMarketsRequest())
    assert [market.symbol for market in markets.markets].count(MARKET) == 1
    listed = {asset.code: asset.name for asset in markets.assets}
    assert listed == {asset.code: asset.name for asset in default_assets()} | {"TRX": "TRON"}


async def test_a_price_that_came_before_the_market_is_not_lost(exchange: Exchange) -> None:
    shell = exchange.shell
    stream = PriceStream(
        stub=None,  # type: ignore[arg-type]  # only `take` is used
        prices=shell.prices, state=lambda: shell.state, time=shell.time,
    )  # fmt: skip
    stream.take(message(exchange, snapshot=True, TRX="0.2", BTC="60000"))
    stream.take(message(exchange, BTC="60001", TRX="0.25"))
    await add_asset(exchange)
    await add_market(exchange)
    stream.take(message(exchange))  # a heartbeat: nothing changed
    tick = shell.prices.command(MARKET, shell.now)
    assert tick is not None
    assert tick.price == 25_000_000
    # After a new snapshot nothing of before stands, also not of an asset without a market.
    stream.take(message(exchange, snapshot=True, BTC="60000"))
    assert shell.prices.command(MARKET, shell.now) is None


async def test_a_repeat_is_answered_with_the_first_result(exchange: Exchange) -> None:
    first = await add_asset(exchange, idempotency_key="key-1")
    again = await add_asset(exchange, idempotency_key="key-1")
    assert (first.replayed, again.replayed, again.asset) == (False, True, first.asset)
    hear(exchange, TRX="0.25")
    market = await add_market(exchange, key="key-2")
    await open_market(exchange)
    repeated = await add_market(exchange, key="key-2")
    assert (repeated.replayed, repeated.rules.version, repeated.rules.status) == (True, 1, "cancel_only")
    assert repeated.rules == market.rules
    for call in (
        add_asset(exchange, name="Other", idempotency_key="key-1"),
        add_market(exchange, key="key-2", tick="1"),
    ):
        with pytest.raises(RemoteError) as refusal:
            await call
        assert (refusal.value.kind, refusal.value.reason) == (ErrorKind.CONFLICT, "idempotency_key_reused")
    for call, reason in ((add_asset(exchange), "asset_exists"), (add_market(exchange), "market_exists")):
        with pytest.raises(RemoteError) as exists:
            await call
        assert (exists.value.kind, exists.value.reason) == (ErrorKind.CONFLICT, reason)


async def test_others_hear_what_was_added_why_and_by_whom(exchange: Exchange) -> None:
    before = exchange.shell.state.batch_number
    await add_asset(exchange, reason="asked for by many")
    await add_market(exchange)
    assert await exchange.projector.reached(exchange.shell.state.batch_number, 5.0)
    journal = (await exchange.journal.ReadJournal(trading_pb2.ReadJournalRequest(after_batch=before, limit=50))).batches
    asset, market = (event for batch in journal for event in batch.events)
    assert (asset.operator_acted.act, asset.operator_acted.subject) == ("asset_set", "TRX")
    assert json.loads(asset.operator_acted.change) == {"name": "TRON", "scale": 6}
    assert (asset.reason, asset.actor.user_id, asset.actor.address) == ("asked for by many", "op", "203.0.113.9")
    assert (market.operator_acted.act, market.operator_acted.subject) == ("market_set", MARKET)
    assert json.loads(market.operator_acted.change) == {
        **NEEDED, "added": {"base_asset": "TRX", "quote_asset": "USD"},
    }  # fmt: skip


async def test_what_was_added_is_there_after_a_restart(
    exchange: Exchange, mongo_journal: MongoJournal, mongo_database: MongoDatabase
) -> None:
    await add_asset(exchange)
    await add_market(exchange)
    await eventually(lambda: exchange.projector.fold.state.markets.get(MARKET))
    async with running_exchange(mongo_journal, mongo_database) as next_one:
        state = next_one.shell.state
        assert (state.assets["TRX"].scale, state.markets[MARKET].version) == (6, 1)
        assert len(state.markets) == len(default_markets()) + 1
        assert len(state.assets) == len(default_assets()) + 1


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"code": ""}, "code"),
        ({"code": "trx"}, "code"),
        ({"code": "T"}, "code"),
        ({"code": "TRX-USD"}, "code"),
        ({"code": "TRX\n"}, "code"),
        ({"code": "A" * 13}, "code"),
        ({"code": "\u0422RX"}, "code"),
        ({"name": ""}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"name": "TR\x00ON"}, "name"),
        ({"scale": 9}, "scale"),
        ({"scale": -1}, "scale"),
        ({"scale": None}, "scale"),
        ({"reason": " "}, "reason"),
        ({"idempotency_key": "k" * 256}, "idempotency_key"),
    ],
)
async def test_an_asset_that_makes_no_sense_is_refused_with_its_field(
    exchange: Exchange, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(RemoteError) as refusal:
        await add_asset(exchange, **fields)
    assert (refusal.value.kind, refusal.value.details["field"]) == (ErrorKind.INVALID, field)
    assert len(exchange.shell.state.assets) == len(default_assets())


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"tick": None}, "tick"),
        ({"lot": None}, "lot"),
        ({"min_notional": None}, "min_notional"),
        ({"max_quantity": None}, "max_quantity"),
        ({"tick": "0"}, "tick"),
        ({"tick": "1e-5"}, "tick"),
        ({"tick": "0.000000001"}, "tick"),
        ({"lot": "0.0000001"}, "lot"),
        ({"lot": "0.000001"}, "lot"),
        ({"max_quantity": "0.15"}, "max_quantity"),
        ({"max_quantity": "99999999999999999"}, "max_quantity"),
        ({"status": "trading"}, "status"),
        ({"status": "open"}, "status"),
        ({"price_band_basis_points": 0}, "price_band_basis_points"),
        ({"slippage_cap_basis_points": 2_000}, "slippage_cap_basis_points"),
        ({"maker_fee_basis_points": 1_001}, "maker_fee_basis_points"),
        ({"sources": operator.PriceSources()}, "sources"),
        ({"quote": "BTC"}, "quote_asset"),
        ({"quote": "TRX"}, "quote_asset"),
        ({"reason": ""}, "reason"),
        ({"key": "k" * 256}, "idempotency_key"),
    ],
)
async def test_a_market_that_makes_no_sense_is_refused_with_its_field(
    exchange: Exchange, fields: dict[str, Any], field: str
) -> None:
    await add_asset(exchange)
    with pytest.raises(RemoteError) as refusal:
        await add_market(exchange, **fields)
    assert (refusal.value.kind, refusal.value.details["field"]) == (ErrorKind.INVALID, field)
    assert MARKET not in exchange.shell.state.markets


async def test_rules_that_keep_every_order_out_are_refused_by_the_price_that_the_exchange_has_heard(
    exchange: Exchange,
) -> None:
    await add_asset(exchange)
    hear(exchange, TRX="0.25")
    with pytest.raises(RemoteError) as added:
        await add_market(exchange, tick="0.01")
    expected = {"field": "tick", "rule": "slippage_cap", "limit": "0.005", "given": "0.01", "nearest": "0.001"}
    assert (added.value.kind, added.value.details.items() >= expected.items()) == (ErrorKind.INVALID, True)
    await add_market(exchange, key="key-1")
    hear(exchange, TRX="0.0001")
    with pytest.raises(RemoteError) as opened:
        await open_market(exchange)
    expected |= {"limit": "0.000002", "given": "0.00001", "nearest": "0.000001"}
    assert opened.value.details.items() >= expected.items()
    # What the price has done since then makes no other change of a repeat.
    assert (await add_market(exchange, key="key-1")).replayed
    hear(exchange, TRX="0.25")
    assert (await open_market(exchange)).status == "trading"


async def test_a_price_of_a_source_that_the_market_does_not_take_opens_it_not(exchange: Exchange) -> None:
    await add_asset(exchange)
    hear(exchange, TRX="0.25")
    other = operator.PriceSource(name="coingecko", maximum_age_milliseconds=120_000)
    await add_market(exchange, sources=operator.PriceSources(sources=[other]))
    with pytest.raises(RemoteError) as refusal:
        await open_market(exchange)
    assert (refusal.value.reason, refusal.value.details["limit"]) == ("no_reference_price", "coingecko")


async def test_a_market_of_assets_that_there_are_not_names_the_one_that_is_missing(exchange: Exchange) -> None:
    for fields, field in (({}, "base_asset"), ({"base": "BTC", "quote": "EUR"}, "quote_asset")):
        with pytest.raises(RemoteError) as refusal:
            await add_market(exchange, **fields)
        assert (refusal.value.reason, refusal.value.details["field"]) == ("unknown_asset", field)


async def test_without_the_permission_nobody_adds_anything(exchange: Exchange) -> None:
    calls = (
        lambda: exchange.operator.AddAsset(operator.AddAssetRequest(code="TRX")),
        lambda: exchange.operator.AddMarket(operator.AddMarketRequest(base_asset="TRX")),
    )
    for call in calls:
        with pytest.raises(RemoteError) as nobody:
            await call()
        assert nobody.value.reason == "not_signed_in"
        with (
            use_caller(Caller("gateway", "ann", "session", "request", "203.0.113.7")),
            pytest.raises(RemoteError) as no,
        ):
            await call()
        assert no.value.reason == "permission_required"
