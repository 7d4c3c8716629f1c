"""Every way in, every field that holds a number, every trick with numbers: taken exactly or refused clearly."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from chassis.errors import ErrorKind, ServiceError
from chassis.testing.number_literals import NOT_DECIMALS
from cryptovault.trading.v1 import operator_pb2, trading_pb2
from google.protobuf.timestamp_pb2 import Timestamp
from shell_factory import MARKET, PRICE, UNIT, actor
from trading.api import parsing
from trading.api.additions import add_market_command
from trading.api.market_rules import change_command
from trading.api.teaching import teach
from trading.domain.accounts import Posting
from trading.domain.commands import SetAsset, SetMarket, SetReferencePrice, StartBatch, Transfer
from trading.domain.default_markets import default_assets, default_markets
from trading.domain.errors import Rejection
from trading.domain.exchange import Exchange
from trading.domain.orders import OrderStatus
from trading.domain.preview_order import preview_order
from trading.domain.snapshot import state_hash

ANN = actor("ann")
NOW = 1_767_225_600_000
CPU_SECONDS_MAX = 0.010
# Well-formed, but no amount that the field takes: too fine, too large, too small.
MISFITS = (
    "0", "0.0", "0.000000000000000000", "0.0000000001", "0.123456789", "0.00000000000000001", "999999999999999999",
    "92233720368.54775807", "92233720368.54775808", "123456789012345678.123456789012345678", "184467440737.09551616",
)  # fmt: skip
ACCEPTED = (
    ("1", "1"), ("1.0", "1"), ("1.00000000", "1"), ("1.000000000000000000", "1"), ("0.5", "0.5"), ("0.50", "0.5"),
    ("0.01", "0.01"), ("0.010000", "0.01"), ("2.000001", "2.000001"), ("2.0000010000", "2.000001"), ("3", "3"),
)  # fmt: skip
TRIED_MIN = 180  # in each field; some tricks are no text that a message can hold
Place, Amend = trading_pb2.PlaceOrder, trading_pb2.AmendOrder
NEAR, STOP = str(PRICE // UNIT - 100), str(PRICE // UNIT + 100)


@pytest.fixture
def exchange() -> Exchange:
    exchange = Exchange()
    commands: list[Any] = [StartBatch(1, NOW)]
    commands += [SetAsset(ANN, asset, "listed") for asset in default_assets()]
    commands += [SetMarket(ANN, market, "listed") for market in default_markets()]
    paid = (Posting("external", "USD", -(10**9) * UNIT), Posting("user:ann", "USD", 10**9 * UNIT))
    commands.append(Transfer(ANN, "k", "practice_money", paid))
    commands.append(SetReferencePrice(MARKET, PRICE, "simulator", NOW, NOW))
    for command in commands:
        exchange.execute(command)
    return exchange


def resting(exchange: Exchange) -> str:
    command = parsing.place_order(
        Place(market=MARKET, side="buy", type="limit", quantity="4", price=NEAR), exchange.state, ANN, ""
    )
    exchange.execute(command)
    return next(reversed(exchange.state.orders))


def orders() -> Iterator[tuple[str, Callable[[str], Place]]]:
    """(field, an order with that text in it) for each field that holds an amount."""
    yield "quantity", lambda text: Place(market=MARKET, side="buy", type="limit", quantity=text, price=NEAR)
    yield "quantity", lambda text: Place(market=MARKET, side="buy", type="market", quantity=text)
    yield "quote_quantity", lambda text: Place(market=MARKET, side="buy", type="market", quote_quantity=text)
    yield "price", lambda text: Place(market=MARKET, side="buy", type="limit", quantity="1", price=text)
    yield "stop_price", lambda text: Place(market=MARKET, side="buy", type="stop", quantity="1", stop_price=text)
    yield (
        "price",
        lambda text: Place(market=MARKET, side="buy", type="stop_limit", quantity="1", price=text, stop_price=STOP),
    )


def attempt(exchange: Exchange, way: Callable[[], object], request: Any) -> ServiceError | None:
    """None where it was accepted. A refusal is clear, writes nothing, and neither takes long."""
    before = state_hash(exchange.state)
    started = time.process_time()
    refusal: ServiceError | None = None
    try:
        way()
    except ServiceError as error:
        refusal = error
        if isinstance(error, Rejection) and isinstance(request, Place | Amend):
            teach(error, request, exchange.state, ANN)
    took = time.process_time() - started
    if refusal is not None:
        assert state_hash(exchange.state) == before
        assert refusal.kind in {ErrorKind.INVALID, ErrorKind.REJECTED}
        assert refusal.reason
        assert refusal.message
    assert took < CPU_SECONDS_MAX, took
    return refusal


def place(exchange: Exchange, order: Place) -> None:
    exchange.execute(parsing.place_order(order, exchange.state, ANN, ""))


def preview(exchange: Exchange, order: Place) -> None:
    preview_order(exchange.state, parsing.place_order(order, exchange.state, ANN, ""))


def test_no_trick_passes_for_a_number_in_an_order_or_its_preview(exchange: Exchange) -> None:
    tried = 0
    for field, order in orders():
        for text in NOT_DECIMALS:
            try:
                request = order(text)
            except ValueError:
                continue  # no text that a message can hold
            for way in (place, preview):
                refusal = attempt(exchange, lambda way=way, request=request: way(exchange, request), request)  # type: ignore[misc]
                assert refusal is not None, (field, text)
                if text:  # an empty text is a field that is not there
                    assert refusal.details["field"] == field, (field, text)
                    assert (refusal.kind, refusal.reason) == (ErrorKind.INVALID, "invalid_argument"), (field, text)
                tried += 1
    assert tried > 1_000


def test_a_number_that_does_not_fit_is_refused_by_the_rule_it_breaks(exchange: Exchange) -> None:
    for field, order in orders():
        for text in MISFITS:
            request = order(text)
            for way in (place, preview):
                refusal = attempt(exchange, lambda way=way, request=request: way(exchange, request), request)  # type: ignore[misc]
                assert refusal is not None, (field, text)
                assert refusal.details.get("rule"), (field, text)


def test_a_number_that_fits_is_taken_exactly(exchange: Exchange) -> None:
    state = exchange.state
    for text, canonical in ACCEPTED:
        request = Place(market=MARKET, side="buy", type="limit", quantity=text, price=f"{NEAR}.10")
        assert attempt(exchange, lambda request=request: preview(exchange, request), request) is None  # type: ignore[misc]
        assert attempt(exchange, lambda request=request: place(exchange, request), request) is None, text  # type: ignore[misc]
        order = next(reversed(state.orders.values()))
        market = state.markets[MARKET].market
        assert (market.quantity_text(order.quantity), market.price_text(order.price)) == (canonical, f"{NEAR}.1")
        stop = Place(market=MARKET, side="buy", type="stop", quantity=text, stop_price=f"{STOP}.50")
        assert attempt(exchange, lambda stop=stop: place(exchange, stop), stop) is None, text  # type: ignore[misc]
        waiting = next(reversed(state.orders.values()))
        assert (waiting.status, market.price_text(waiting.stop_price)) == (OrderStatus.NEW, f"{STOP}.5")


def test_no_trick_passes_for_a_number_in_an_amendment(exchange: Exchange) -> None:
    order_id = resting(exchange)
    tried = 0
    for field in ("price", "quantity"):
        for text in (*NOT_DECIMALS, *MISFITS):
            try:
                request = Amend(order_id=order_id, **{field: text})
            except ValueError:
                continue
            refusal = attempt(
                exchange, lambda request=request: exchange.execute(parsing.amend_order(request, ANN, "")), request
            )  # type: ignore[misc]
            assert refusal is not None, (field, text)
            if text:
                assert refusal.details.get("field", field) == field, (field, text)
            tried += 1
    assert tried > 2 * TRIED_MIN
    for text, canonical in ACCEPTED:
        request = Amend(order_id=order_id, quantity=text, price=f"{NEAR}.20")
        assert (
            attempt(exchange, lambda request=request: exchange.execute(parsing.amend_order(request, ANN, "")), request)  # type: ignore[misc]
            is None
        ), text
        order, market = exchange.state.orders[order_id], exchange.state.markets[MARKET].market
        assert (market.quantity_text(order.quantity), market.price_text(order.price)) == (canonical, f"{NEAR}.2")


def changes() -> Iterator[tuple[str, Callable[[str], operator_pb2.MarketChange]]]:
    """(field, an operator's change with that text in it) for each field of a market's rules that holds an amount."""
    for name in ("tick", "lot", "min_notional", "max_quantity"):
        yield name, lambda text, name=name: operator_pb2.MarketChange(**{name: text})  # type: ignore[misc]
    tier = trading_pb2.FeeTier
    tiers = operator_pb2.FeeTiers
    yield "fee_tiers.volume_from", lambda text: operator_pb2.MarketChange(fee_tiers=tiers(tiers=[tier(volume=text)]))
    for name in ("level_quantity", "inventory_limit", "refill_per_second"):
        house = {"level_quantity": "1", "inventory_limit": "1", "refill_per_second": "1"}
        yield (
            f"house.{name}",
            lambda text, name=name, house=house: operator_pb2.MarketChange(  # type: ignore[misc]
                house=operator_pb2.House(levels=1, **{**house, name: text})
            ),
        )


def test_no_trick_passes_for_a_number_in_an_operators_change(exchange: Exchange) -> None:
    known = exchange.state.markets[MARKET]
    tried = 0
    for field, change in changes():
        for text in NOT_DECIMALS:
            try:
                request = operator_pb2.ChangeMarketRequest(symbol=MARKET, version=1, reason="r", change=change(text))
            except ValueError:
                continue
            refusal = attempt(exchange, lambda request=request: change_command(request, known, ANN), request)  # type: ignore[misc]
            assert refusal is not None, (field, text)
            assert (refusal.kind, refusal.details["field"]) == (ErrorKind.INVALID, field), (field, text)
            tried += 1
    assert tried > len(list(changes())) * TRIED_MIN


def test_no_trick_passes_for_a_number_in_a_market_that_is_added(exchange: Exchange) -> None:
    assets = exchange.state.assets
    needed = operator_pb2.MarketChange(tick="0.01", lot="0.000001", min_notional="1", max_quantity="1")
    tried = 0
    for field, change in changes():
        for text in NOT_DECIMALS:
            request = operator_pb2.AddMarketRequest(base_asset="BTC", quote_asset="USD", reason="r", rules=needed)
            try:
                request.rules.MergeFrom(change(text))
            except ValueError:
                continue
            refusal = attempt(exchange, lambda request=request: add_market_command(request, assets, ANN), request)  # type: ignore[misc]
            assert refusal is not None, (field, text)
            assert (refusal.kind, refusal.details["field"]) == (ErrorKind.INVALID, field), (field, text)
            tried += 1
    assert tried > len(list(changes())) * TRIED_MIN


def test_no_trick_passes_for_a_number_in_a_transfer(exchange: Exchange) -> None:
    state = exchange.state
    tried = 0
    for text in (*NOT_DECIMALS, "0", "0.0", "0.123456789", "92233720368.54775808"):
        try:
            leg = trading_pb2.TransferLeg(asset="USD", amount=text, debit_account="external", credit_account="user:ann")
        except ValueError:
            continue
        transfer = trading_pb2.TransferRequest(business_key="b", kind="deposit", legs=[leg])
        hold = trading_pb2.HoldTransferRequest(business_key="b", kind="withdrawal", legs=[leg])
        post = trading_pb2.PostTransferRequest(business_key="b", hold_key="h", legs=[leg])
        ways = (
            lambda transfer=transfer: parsing.transfer(transfer, state, ANN),  # type: ignore[misc]
            lambda hold=hold: parsing.hold_transfer(hold, state, ANN),  # type: ignore[misc]
            lambda post=post: parsing.post_transfer(post, state, ANN),  # type: ignore[misc]
        )
        for way in ways:
            refusal = attempt(exchange, way, None)
            assert refusal is not None, text
            assert refusal.details["field"] == "amount", text
            tried += 1
    assert tried > len(ways) * TRIED_MIN


def test_there_are_two_hundred_tricks() -> None:
    assert len(NOT_DECIMALS) >= 200


@pytest.mark.parametrize(
    ("seconds", "nanos", "reason"),
    [
        (0, 0, "expiry_in_past"), (-1, 0, "expiry_in_past"), (2**62, 0, "invalid_argument"),
        (253_402_300_800, 0, "invalid_argument"), (4_000_000_000, -1, "invalid_argument"),
        (4_000_000_000, 2**31 - 1, "invalid_argument"), (NOW // 1000, 0, "expiry_in_past"),
        (1, 0, "expiry_in_past"), (NOW // 1000, 999_999, "expiry_in_past"), (NOW // 1000, 1_000_000, ""),
        (253_402_300_799, 999_999_999, ""),
    ],
)  # fmt: skip
def test_an_expiry_is_a_moment_to_come(exchange: Exchange, seconds: int, nanos: int, reason: str) -> None:
    moment = Timestamp(seconds=seconds, nanos=nanos)
    request = Place(
        market=MARKET, side="buy", type="limit", quantity="1", price=NEAR, time_in_force="gtd", expires_at=moment
    )
    refusal = attempt(exchange, lambda: place(exchange, request), request)
    assert (refusal.reason if refusal is not None else "") == reason
