"""A market whose two assets count in other and different units than the default ones: all ways in and out agree."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from chassis.errors import RemoteError
from chassis.identity import Caller, use_caller
from chassis.mongo import MongoDatabase
from cryptovault.trading.v1 import trading_pb2
from exchange_over_grpc import Exchange, running_exchange
from shell_factory import actor
from trading.domain.commands import AmendOrder, SetAsset, SetMarket
from trading.domain.default_markets import default_markets
from trading.domain.markets import Asset, HouseQuoting
from trading.domain.state import Limits
from trading.journal.codec import decode_body
from trading.sequencer.recovery import recover
from trading.sequencer.reference_prices import Tick
from trading.storage.journal import MongoJournal

ANN = Caller("gateway", "ann", "session", "request-1", "203.0.113.7")
SYMBOL = "ORE-EUR"
# Euros in cents, tonnes of ore in kilograms: 4 kg at 2.50 euros a tonne are one cent.
MARKET = replace(
    default_markets()[0], base="ORE", quote="EUR", base_scale=3, quote_scale=2, tick=250, lot=4, minimum_notional=100,
    maximum_quantity=1_000_000, maker_fee_basis_points=7, taker_fee_basis_points=13, fee_tiers=(),
    house=HouseQuoting(3, 20, 20, 5_000, 100_000, 0),
)  # fmt: skip


@pytest.fixture
async def exchange(mongo_journal: MongoJournal, mongo_database: MongoDatabase) -> AsyncIterator[Exchange]:
    async with running_exchange(mongo_journal, mongo_database) as exchange:
        for asset in (Asset("EUR", "Euro", 2), Asset("ORE", "Ore", 3)):
            await exchange.shell.send(SetAsset(actor("operator"), asset, "listed"))
        await exchange.shell.send(SetMarket(actor("operator"), MARKET, "listed"))
        now = exchange.shell.time.now()
        exchange.shell.prices.update({SYMBOL: Tick(7_700, "simulator", now)}, received_milliseconds=now)
        for user, asset, amount in (("ann", "EUR", "1000"), ("bob", "ORE", "10")):
            leg = trading_pb2.TransferLeg(
                asset=asset, amount=amount, debit_account="external", credit_account=f"user:{user}"
            )
            request = trading_pb2.TransferRequest(business_key=f"d:{user}", kind="deposit", legs=[leg])
            await exchange.ledger.Transfer(request, timeout=30)
        yield exchange


def place(**fields: str) -> trading_pb2.PlaceOrder:
    return trading_pb2.PlaceOrder(market=SYMBOL, type="limit", **fields)


def money(balances: list[trading_pb2.Balance]) -> dict[str, tuple[str, str]]:
    return {one.asset: (one.available, one.held) for one in balances}


async def test_an_order_is_the_same_in_reply_row_fills_postings_and_balances(exchange: Exchange) -> None:
    sell = place(side="sell", quantity="1.504", price="77.5")
    buy = place(side="buy", quantity="2.504", price="77.50")
    (rested,) = await exchange.ask(exchange.request("bob", "k", place_order=sell))
    assert money(rested.result.balances)["ORE"] == ("8.496", "1.504")
    with use_caller(ANN):
        shown = await exchange.trading.PreviewOrder(trading_pb2.PreviewOrderRequest(order=buy), timeout=5)
    (answer,) = await exchange.ask(exchange.request("ann", "k", place_order=buy))
    order, batch = answer.result.order, answer.result.batch
    # 1.504 of bob's, then one of the house's at the same price: 116.56 and 77.50 euros, and 13 basis points of each.
    assert [(fill.price, fill.quantity, fill.fee) for fill in answer.result.fills] == [
        ("77.5", "1.504", "0.16"), ("77.5", "1", "0.1"),
    ]  # fmt: skip
    assert (order.status, order.filled_quantity, order.filled_quote_quantity) == ("filled", "2.504", "194.06")
    assert (order.average_price, order.fees[0].amount) == ("77.5", "0.26")
    assert money(answer.result.balances) == {"ORE": ("2.504", "0"), "EUR": ("805.68", "0")}
    assert [(fill.price, fill.quantity, fill.fee) for fill in shown.fills] == [
        (fill.price, fill.quantity, fill.fee) for fill in answer.result.fills
    ]
    assert list(shown.balances) == list(answer.result.balances)
    with use_caller(ANN):
        row = await exchange.queries.GetOrder(
            trading_pb2.GetOrderRequest(order_id=order.id, at_least_batch=batch), timeout=5
        )
        listed = await exchange.queries.ListFills(trading_pb2.ListFillsRequest(at_least_batch=batch), timeout=5)
        postings = await exchange.queries.ListPostings(trading_pb2.ListPostingsRequest(at_least_batch=batch), timeout=5)
        then = await exchange.queries.GetBalancesAsOf(trading_pb2.GetBalancesAsOfRequest(sequence=3), timeout=5)
        tape = await exchange.queries.ListTrades(trading_pb2.ListTradesRequest(market=SYMBOL), timeout=5)
    assert row.order == order
    assert list(row.fills) == list(answer.result.fills)
    assert list(listed.fills) == list(answer.result.fills)[::-1]
    assert [(one.asset, one.amount, one.balance_after) for one in postings.postings] == [
        ("EUR", "-77.6", "805.68"), ("ORE", "1", "2.504"), ("EUR", "-116.72", "883.28"), ("ORE", "1.504", "1.504"),
        ("EUR", "1000", "1000"),
    ]  # fmt: skip
    assert money(list(then.balances)) == {"EUR": ("805.68", "77.6"), "ORE": ("1.504", "0")}
    assert [(trade.price, trade.quantity) for trade in tape.trades] == [("77.5", "1"), ("77.5", "1.504")]


async def test_what_is_off_its_units_is_refused_and_mended_in_them(exchange: Exchange) -> None:
    for fields, reason, mended in (
        ({"quantity": "1", "price": "76.3"}, "invalid_tick", {"price": "77.5"}),
        ({"quantity": "1.0315", "price": "75"}, "invalid_lot", {"quantity": "1.032"}),
        ({"quantity": "0.016", "price": "76.1234567"}, "invalid_tick", {"price": "75", "quantity": "0.016"}),
        ({"quantity": "50", "price": "75"}, "insufficient_funds", {"quantity": "13.316"}),
        ({"quantity": "0.00", "price": "75"}, "invalid_order", {"quantity": "0.016"}),
    ):
        order = place(side="buy", **fields)
        with use_caller(ANN), pytest.raises(RemoteError) as refusal:
            await exchange.trading.PreviewOrder(trading_pb2.PreviewOrderRequest(order=order), timeout=5)
        assert refusal.value.reason == reason
        suggested = json.loads(refusal.value.details["suggested"])
        assert {name: suggested[name] for name in mended} == mended
    (placed,) = await exchange.ask(
        exchange.request("ann", "k", place_order=place(side="buy", quantity="1", price="75"))
    )
    order_id = placed.result.order.id
    for figures, mended in (
        ({"price": "77.7"}, {"price": "77.5"}),
        ({"quantity": "1.0315"}, {"quantity": "1.032"}),
        ({"quantity": "50"}, {"quantity": "13.316"}),
    ):
        amend = trading_pb2.AmendOrder(order_id=order_id, **figures)
        (answer,) = await exchange.ask(exchange.request("ann", amend_order=amend))
        assert json.loads(answer.failure.details["suggested"]) == mended
    amend = trading_pb2.AmendOrder(order_id=order_id, price="72.5", quantity="1.032")
    (answer,) = await exchange.ask(exchange.request("ann", amend_order=amend))
    assert (answer.result.order.price, answer.result.order.quantity) == ("72.5", "1.032")
    # 74.82 euros and 13 basis points of them, rounded up.
    assert money(answer.result.balances)["EUR"] == ("925.08", "74.92")


async def test_an_order_of_more_than_63_bits_hold_in_hundred_millionths_is_amended(exchange: Exchange) -> None:
    """Coins of which there are billions have few decimals, or none."""
    await exchange.shell.send(SetAsset(actor("operator"), Asset("BIT", "Bits", 0), "listed"))
    market = replace(
        MARKET, base="BIT", base_scale=0, tick=1, lot=100, minimum_notional=100, maximum_quantity=10**13,
        house=HouseQuoting(0, 0, 0, 0, 0, 0),
    )  # fmt: skip
    await exchange.shell.send(SetMarket(actor("operator"), market, "listed"))
    now = exchange.shell.time.now()
    exchange.shell.prices.update({"BIT-EUR": Tick(2, "simulator", now)}, received_milliseconds=now)
    leg = trading_pb2.TransferLeg(
        asset="BIT", amount="400000000000", debit_account="external", credit_account="user:ann"
    )
    await exchange.ledger.Transfer(
        trading_pb2.TransferRequest(business_key="d:bits", kind="deposit", legs=[leg]), timeout=30
    )
    sell = trading_pb2.PlaceOrder(market="BIT-EUR", type="limit", side="sell", quantity="200000000000", price="0.02")
    (placed,) = await exchange.ask(exchange.request("ann", "k", place_order=sell))
    order_id = placed.result.order.id
    assert placed.result.order.status == "open", placed
    amend = trading_pb2.AmendOrder(order_id=order_id, quantity="150000000000")
    (answer,) = await exchange.ask(exchange.request("ann", "a", amend_order=amend))
    assert answer.result.order.quantity == "150000000000"
    assert money(answer.result.balances)["BIT"] == ("250000000000", "150000000000")
    (again,) = await exchange.ask(exchange.request("ann", "a", amend_order=amend))
    assert (again.result.replayed, again.result.order.quantity) == (True, "150000000000")
    for refused, reason, mended in (
        ("999999999999999900", "above_max_quantity", "400000000000"),
        ("150000000000.5", "invalid_lot", "150000000000"),
    ):
        amend.quantity = refused
        (answer,) = await exchange.ask(exchange.request("ann", amend_order=amend))
        assert (answer.failure.reason, answer.failure.details["given"]) == (reason, refused)
        assert json.loads(answer.failure.details["suggested"]) == {"quantity": mended}
    folded = await recover(exchange.shell.sequencer._journal, Limits())
    assert folded.state.orders[order_id].quantity == 150_000_000_000
    batch = await exchange.shell.sequencer._journal.read(again.result.batch)
    assert batch is not None
    (command,) = (entry.command for entry in decode_body(batch.body).entries if isinstance(entry.command, AmendOrder))
    assert (command.quantity, command.quantity_scale) == (15 * 10**17, 7)
