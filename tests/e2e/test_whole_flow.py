"""A newcomer's first hour, through HTTP and WebSocket alone."""

from collections.abc import Awaitable, Callable
from decimal import Decimal

import httpx
from chassis.testing import eventually
from local_stack.platform import Platform

from tests.customers import MAIL_SECONDS, Customer, MarketRules, amount, mails_to
from tests.error_shape import assert_error, assert_success
from tests.sockets import open_socket

PRACTICE_MONEY = Decimal(10_000)
CENT = Decimal("0.01")


async def test_a_newcomer_buys_bitcoin_and_sees_it_everywhere(
    platform: Platform,
    http: httpx.AsyncClient,
    new_customer: Callable[[], Awaitable[Customer]],
    bitcoin: MarketRules,
) -> None:
    customer = await new_customer()
    assert (await customer.get("/auth/me"))["email"] == customer.email
    price = await _live_price(http)
    async with open_socket(platform.websocket_url) as socket:
        await socket.send(op="subscribe", channel="prices")
        snapshot = await socket.read_channel("prices")
        assert snapshot["type"] == "snapshot"
        await socket.send(op="auth", token=customer.access_token)
        await socket.send(op="subscribe", channel="orders")
        await socket.read_channel("orders")

        order = await customer.place(type="market", quote_quantity="1000", client_order_id="first-buy")
        heard = await socket.read_until(
            lambda message: message.get("channel") == "orders" and order["id"] in str(message["data"])
        )
        assert heard["type"] == "update"
        assert (await socket.read_until(lambda m: m.get("channel") == "prices"))["type"] == "update"

    _check_fill(order, price)
    seen = await customer.get(f"/orders/{order['id']}")
    assert {name: seen[name] for name in order if name != "balances"} == {
        name: order[name] for name in order if name != "balances"
    }
    assert (await customer.get("/orders/by-client-id/first-buy"))["id"] == order["id"]
    assert [listed["id"] for listed in await customer.orders()] == [order["id"]]
    await _check_portfolio(customer, order)
    await eventually(lambda: _order_mail(http, customer, order), timeout_seconds=MAIL_SECONDS)
    await _limit_order_holds_and_returns(customer, bitcoin, price)
    assert_success(await customer.send("POST", "/auth/logout", {}))
    assert_error(await customer.send("GET", "/portfolio"), 401, "AUTHENTICATION_ERROR")


async def _live_price(http: httpx.AsyncClient) -> Decimal:
    prices = (await http.get("/api/v1/prices")).raise_for_status().json()["items"]
    assert len(prices) >= 20
    ticker = (await http.get("/api/v1/markets/BTC-USD/ticker")).raise_for_status().json()
    assert ticker["market"] == "BTC-USD"
    first_time = ticker["source_time"]

    async def moved_on() -> bool:
        return bool((await http.get("/api/v1/markets/BTC-USD/ticker")).json()["source_time"] > first_time)

    await eventually(moved_on)
    return Decimal(ticker["price"])


def _check_fill(order: dict[str, object], price: Decimal) -> None:
    assert order["status"] == "filled"
    fills = order["fills"]
    assert isinstance(fills, list)
    assert fills
    quantity = sum((Decimal(fill["quantity"]) for fill in fills), Decimal(0))
    cost = sum((Decimal(fill["quantity"]) * Decimal(fill["price"]) for fill in fills), Decimal(0))
    fees = sum((Decimal(fill["fee"]) for fill in fills), Decimal(0))
    assert quantity == Decimal(str(order["filled_quantity"]))
    assert cost == Decimal(str(order["filled_quote_quantity"]))
    # Fees are inside what a buyer says to spend; what is left over is less than one lot's worth.
    assert Decimal(999) < cost + fees <= Decimal(1000)
    assert abs(cost / quantity / price - 1) < Decimal("0.02")


async def _check_portfolio(customer: Customer, order: dict[str, object]) -> None:
    bought = Decimal(str(order["filled_quantity"]))

    async def shown() -> bool:
        portfolio = await customer.get("/portfolio")
        return {holding["symbol"] for holding in portfolio["holdings"]} >= {"BTC"}

    await eventually(shown)
    portfolio, balances = await customer.get("/portfolio"), await customer.balances()
    holdings = {holding["symbol"]: holding for holding in portfolio["holdings"]}
    assert Decimal(holdings["BTC"]["amount"]) == amount(balances, "BTC", "available") == bought
    assert Decimal(portfolio["cash"]) == amount(balances, "USD", "available")
    value = Decimal(holdings["BTC"]["amount"]) * Decimal(holdings["BTC"]["price"])
    assert abs(Decimal(holdings["BTC"]["value"]) - value) <= CENT
    assert abs(Decimal(portfolio["total_value"]) - Decimal(portfolio["cash"]) - value) <= CENT
    spent = PRACTICE_MONEY - amount(balances, "USD", "available")
    assert abs(Decimal(holdings["BTC"]["average_cost"]) * bought - spent) < Decimal(3)


async def _order_mail(http: httpx.AsyncClient, customer: Customer, order: dict[str, object]) -> bool:
    mails = await mails_to(http, customer.email)
    return any(str(order["id"]) in mail["text"] or "filled" in mail["subject"].lower() for mail in mails)


async def _limit_order_holds_and_returns(customer: Customer, bitcoin: MarketRules, price: Decimal) -> None:
    before = await customer.balances()
    limit = bitcoin.price(price * Decimal("0.95"))
    order = await customer.place(type="limit", price=limit, quantity=bitcoin.quantity(Decimal("0.01")))
    assert order["status"] == "open"
    held = await customer.held()
    assert held >= Decimal(limit) * Decimal("0.01")
    assert await customer.available() == amount(before, "USD", "available") - held
    assert [listed["id"] for listed in (await customer.get("/orders", status="open"))["items"]] == [order["id"]]
    cancelled = await customer.cancel(order["id"])
    assert cancelled.status_code == 200, cancelled.text
    assert cancelled.json()["status"] == "cancelled"
    assert (await customer.get(f"/orders/{order['id']}"))["status"] == "cancelled"
    assert await customer.balances() == before
