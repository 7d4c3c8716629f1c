"""Orders that wait, end at a moment, are amended, or are only asked about; through HTTP, on the whole platform."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
from chassis.testing import eventually

from tests.customers import Customer, Json, MarketRules
from tests.error_shape import assert_error

SECONDS = 30.0  # of a machine where a dozen others want the processor


async def _price(http: httpx.AsyncClient) -> Decimal:
    return Decimal((await http.get("/api/v1/markets/BTC-USD/ticker")).raise_for_status().json()["price"])


async def _ended(customer: Customer, order_id: str, status: str) -> Json:
    found: Json = {}

    async def has_ended() -> bool:
        nonlocal found
        found = await customer.get(f"/orders/{order_id}")
        return bool(found["status"] == status)

    await eventually(has_ended, timeout_seconds=SECONDS)
    return found


async def test_a_stop_waits_is_amended_and_gives_its_money_back(
    http: httpx.AsyncClient, new_customer: Callable[[], Awaitable[Customer]], bitcoin: MarketRules
) -> None:
    customer = await new_customer()
    before = await customer.available()
    far = bitcoin.price(await _price(http) * Decimal("1.5"))
    order = await customer.place(type="stop", quantity=bitcoin.quantity(Decimal("0.01")), stop_price=far)
    assert (order["status"], order["stop_price"], order["fills"]) == ("new", far.rstrip("0").rstrip("."), [])
    # The stop price, the slippage cap of 2 % and the taker's fee of 0.2 %.
    held = Decimal(far) * Decimal("0.01") * Decimal("1.02") * Decimal("1.002")
    assert abs(await customer.held() - held) < Decimal("0.01")
    reply = await customer.send("PATCH", f"/orders/{order['id']}", {"quantity": "0.005"}, key="amend-1")
    assert (reply.status_code, reply.json()["quantity"]) == (200, "0.005"), reply.text
    again = await customer.send("PATCH", f"/orders/{order['id']}", {"quantity": "0.005"}, key="amend-1")
    assert {**again.json(), "balances": None} == {**reply.json(), "balances": None}
    assert again.headers["idempotency-replayed"] == "true"
    assert abs(await customer.held() - held / 2) < Decimal("0.01")
    assert [listed["id"] for listed in (await customer.get("/orders", status="new"))["items"]] == [order["id"]]
    reply = await customer.send("DELETE", "/orders", market="BTC-USD")
    assert reply.json() == {"order_ids": [order["id"]], "not_cancelled": []}, reply.text
    assert (await customer.available(), await customer.held()) == (before, 0)
    assert (await _ended(customer, order["id"], "cancelled"))["quantity"] == "0.005"
    for reply in (
        await customer.send("PATCH", f"/orders/{order['id']}", {"quantity": "0.004"}),
        await customer.cancel(order["id"]),
    ):
        assert_error(reply, 404, "NOT_FOUND", "order_not_open")


async def test_a_take_profit_beside_the_price_is_triggered_by_the_live_price(
    http: httpx.AsyncClient, new_customer: Callable[[], Awaitable[Customer]], bitcoin: MarketRules
) -> None:
    customer = await new_customer()
    # The live price wanders: within a while it touches one of the two that stand beside it.
    price = await _price(http)
    orders = []
    for kind, factor in (("stop", Decimal("1.0002")), ("take_profit", Decimal("0.9998"))):
        reply = await customer.try_to_place(
            type=kind, quantity=bitcoin.quantity(Decimal("0.001")), stop_price=bitcoin.price(price * factor)
        )
        if reply.status_code == 422:  # the price went there meanwhile: what is suggested waits
            reply = await customer.send("POST", "/orders", reply.json()["error"]["details"]["suggested"])
        assert reply.status_code == 201, reply.text
        orders.append(reply.json()["id"])

    async def one_is_filled() -> bool:
        return "filled" in {(await customer.get(f"/orders/{order_id}"))["status"] for order_id in orders}

    await eventually(one_is_filled, timeout_seconds=4 * SECONDS)


async def test_a_gtd_order_expires_at_its_moment(
    http: httpx.AsyncClient, new_customer: Callable[[], Awaitable[Customer]], bitcoin: MarketRules
) -> None:
    customer = await new_customer()
    low = bitcoin.price(await _price(http) * Decimal("0.95"))
    order = {"type": "limit", "quantity": bitcoin.quantity(Decimal("0.01")), "price": low, "time_in_force": "gtd"}
    past = await customer.try_to_place(**order, expires_at="2026-01-01T00:00:00Z")
    details = assert_error(past, 422, "ORDER_REJECTED", "expiry_in_past")
    assert details["suggested"]["time_in_force"] == "gtd"  # type: ignore[index]
    until = (datetime.now(UTC) + timedelta(seconds=8)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    placed = await customer.place(**order, expires_at=until)
    assert placed["status"] == "open"
    ended = await _ended(customer, placed["id"], "expired")
    assert ended["close_reason"] == "expired"
    assert ended["updated_at"] >= ended["expires_at"]
    assert await customer.held() == 0


async def test_what_a_preview_says_is_what_a_refusal_and_its_suggestion_say(
    http: httpx.AsyncClient, new_customer: Callable[[], Awaitable[Customer]], bitcoin: MarketRules
) -> None:
    customer = await new_customer()
    shown = await customer.send("POST", "/orders/preview", _market_buy("100"))
    assert shown.status_code == 200, shown.text
    preview = shown.json()
    assert (preview["status"], preview["fills"][0]["liquidity"]) == ("filled", "taker")
    assert await customer.orders() == []
    usd = next(balance for balance in preview["balances"] if balance["asset"] == "USD")
    assert Decimal(usd["available"]) < await customer.available()
    too_much = {"market": "BTC-USD", "side": "buy", "type": "limit", "quantity": "5",
                "price": bitcoin.price(await _price(http) * Decimal("0.95"))}  # fmt: skip
    for path in ("/orders/preview", "/orders"):
        details = assert_error(await customer.send("POST", path, too_much), 422, "ORDER_REJECTED", "insufficient_funds")
        suggested = details["suggested"]
        assert isinstance(suggested, dict)
        assert Decimal(suggested["quantity"]) < 5
    assert (await customer.send("POST", "/orders", suggested)).status_code == 201


def _market_buy(amount: str) -> Json:
    return {"market": "BTC-USD", "side": "buy", "type": "market", "quote_quantity": amount}
