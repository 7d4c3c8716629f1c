"""What must hold when everything is asked at once."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import httpx

from tests.customers import Customer, MarketRules, patiently
from tests.error_shape import assert_error

NewCustomer = Callable[[], Awaitable[Customer]]


async def reference_price(http: httpx.AsyncClient) -> Decimal:
    return Decimal((await http.get("/api/v1/markets/BTC-USD/ticker")).raise_for_status().json()["price"])


async def place_once(customer: Customer, key: str, **order: str | bool) -> httpx.Response:
    """Where the outcome is unknown, asked for under the same key until it is known."""
    return await patiently(lambda: customer.try_to_place(key=key, **order))


async def test_twenty_parallel_orders_on_a_thousand_dollars_are_accepted_exactly_as_far_as_the_money_goes(
    customer: Customer, bitcoin: MarketRules, http: httpx.AsyncClient
) -> None:
    await customer.place(type="market", quote_quantity="9000")
    # Sizes the orders so that each ties up 100.10 or a little less, fee included, and ten of them are too many.
    funds = await customer.available()
    limit = Decimal(bitcoin.price(await reference_price(http) * Decimal("0.93")))
    quantity = bitcoin.quantity(Decimal("100.10") / (limit * Decimal("1.002")))
    replies = await asyncio.gather(
        *(place_once(customer, f"{n}", type="limit", price=f"{limit:f}", quantity=quantity) for n in range(20))
    )
    one_hold = await _hold_of_one(customer, replies)
    assert Decimal("99.9") < one_hold <= Decimal("100.10")
    affordable = int(funds // one_hold)
    assert 9 <= affordable <= 10
    assert Counter(reply.status_code for reply in replies) == {201: affordable, 422: 20 - affordable}
    for reply in replies:
        if reply.status_code == 422:
            assert_error(reply, 422, "ORDER_REJECTED", "insufficient_funds")
    assert await customer.available() == funds - affordable * one_hold
    assert len((await customer.get("/orders", status="open"))["items"]) == affordable


async def _hold_of_one(customer: Customer, replies: list[httpx.Response]) -> Decimal:
    accepted = [reply.json() for reply in replies if reply.status_code == 201]
    return await customer.held() / len(accepted)


async def test_twenty_parallel_market_orders_of_100_10_are_filled_as_long_as_there_is_that_much(
    customer: Customer,
) -> None:
    await customer.place(type="market", quote_quantity="9000")
    funds = await customer.available()
    assert Decimal(1000) <= funds < Decimal(1001)
    order = Decimal("100.10")
    replies = await asyncio.gather(
        *(place_once(customer, f"{n}", type="market", quote_quantity=f"{order}") for n in range(20))
    )
    costs = [_cost(reply.json()) for reply in replies if reply.status_code == 201]
    refused = [reply for reply in replies if reply.status_code != 201]
    for reply in refused:
        assert_error(reply, 422, "ORDER_REJECTED", "insufficient_funds")
    left = await customer.available()
    assert left == funds - sum(costs)
    assert await customer.held() == 0
    # Whole lots cost a little less than 100.10, so the last one accepted depends on the price: it could be paid for ...
    assert all(order - 1 < cost <= order for cost in costs)
    assert left + max(costs) >= order
    # ... and none that could be was refused.
    assert left < order


def _cost(order: dict[str, Any]) -> Decimal:
    return sum(
        (Decimal(fill["price"]) * Decimal(fill["quantity"]) + Decimal(fill["fee"]) for fill in order["fills"]),
        Decimal(0),
    )


async def test_a_hundred_parallel_orders_with_one_key_are_one_order_with_a_hundred_equal_replies(
    customer: Customer,
) -> None:
    replies = await asyncio.gather(
        *(place_once(customer, "only-once", type="market", quote_quantity="100") for _ in range(100))
    )
    assert {reply.status_code for reply in replies} == {201}, {reply.text for reply in replies}
    assert len({reply.text for reply in replies}) == 1
    assert Counter(reply.headers.get("idempotency-replayed") for reply in replies) == {None: 1, "true": 99}
    assert [order["id"] for order in await customer.orders()] == [replies[0].json()["id"]]
    assert Decimal(9899) < await customer.available() < Decimal(9901)


async def test_an_order_sent_again_without_a_key_is_known_by_its_client_order_id(customer: Customer) -> None:
    order = {"market": "BTC-USD", "side": "buy", "type": "market", "quote_quantity": "100", "client_order_id": "mine"}
    replies = await asyncio.gather(*(patiently(lambda: customer.send("POST", "/orders", order)) for _ in range(10)))
    assert {reply.status_code for reply in replies} == {201}, {reply.text for reply in replies}
    assert len({reply.text for reply in replies}) == 1
    other = await customer.send("POST", "/orders", {**order, "quote_quantity": "101"})
    assert_error(other, 409, "CONFLICT", "client_order_id_reused")
    details = other.json()["error"]["details"]
    assert ("suggested" in details, details["order_id"]) == (False, replies[0].json()["id"])
    assert len(await customer.orders()) == 1


async def test_a_key_used_for_another_order_is_a_conflict_and_places_nothing(customer: Customer) -> None:
    await customer.place(key="mine", type="market", quote_quantity="100")
    other = await customer.try_to_place(key="mine", type="market", quote_quantity="101")
    assert_error(other, 409, "CONFLICT", "idempotency_key_reused")
    assert len(await customer.orders()) == 1


async def test_two_people_may_use_the_same_key(new_customer: NewCustomer) -> None:
    one, other = await new_customer(), await new_customer()
    first = await one.place(key="shared", type="market", quote_quantity="100")
    second = await other.place(key="shared", type="market", quote_quantity="100")
    assert first["id"] != second["id"]


async def test_parallel_cancels_give_back_what_was_held_once(
    customer: Customer, bitcoin: MarketRules, http: httpx.AsyncClient
) -> None:
    limit = bitcoin.price(await reference_price(http) * Decimal("0.95"))
    order = await customer.place(type="limit", price=limit, quantity=bitcoin.quantity(Decimal("0.05")))
    assert await customer.held() > 0
    replies = await asyncio.gather(*(customer.cancel(order["id"]) for _ in range(20)))
    assert Counter(reply.status_code for reply in replies) == {200: 1, 404: 19}
    for reply in replies:
        if reply.status_code == 404:
            assert_error(reply, 404, "NOT_FOUND", "order_not_open")
    assert await customer.held() == 0
    assert await customer.available() == Decimal(10_000)


async def test_two_people_trade_with_each_other_at_the_resting_price(
    new_customer: NewCustomer, bitcoin: MarketRules, http: httpx.AsyncClient
) -> None:
    seller, buyer = await new_customer(), await new_customer()
    bought = await seller.place(type="market", quote_quantity="2000")
    # In the middle of the house's spread: the best offer there is, and no bid takes it.
    middle = bitcoin.price(await reference_price(http))
    offer = await seller.place(
        side="sell", type="limit", price=middle, quantity=bitcoin.quantity(Decimal("0.001")), post_only=True
    )
    assert Decimal(bought["filled_quantity"]) > Decimal("0.001")
    assert offer["status"] == "open"
    bid = bitcoin.price(Decimal(middle) * Decimal("1.01"))
    taken = await buyer.place(type="limit", price=bid, quantity=offer["quantity"])
    assert [(fill["price"], fill["quantity"]) for fill in taken["fills"]] == [(offer["price"], offer["quantity"])]
    sold = await seller.get(f"/orders/{offer['id']}")
    assert (sold["status"], sold["fills"][0]["liquidity"]) == ("filled", "maker")
