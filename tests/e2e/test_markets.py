"""Markets from the operator's change to what a trader and a reader of the public channels see."""

import secrets
from collections.abc import Awaitable, Callable
from uuid import uuid4

from chassis.testing import eventually
from local_stack.platform import Platform

from tests.customers import Customer, Json
from tests.error_shape import assert_error
from tests.sockets import open_socket

NewCustomer = Callable[[], Awaitable[Customer]]

MARKET = "ATOM-USD"  # no other test trades in it


async def an_operator(platform: Platform, new_customer: NewCustomer) -> Customer:
    operator = await new_customer()
    await platform.operate("grant-role", operator.email, "admin")
    reply = await operator.http.post("/api/v1/auth/refresh", json={"refresh_token": operator.refresh_token})
    assert reply.status_code == 200, reply.text
    operator.access_token = reply.json()["access_token"]
    return operator


async def rules(operator: Customer) -> Json:
    items: list[Json] = (await operator.get("/admin/markets"))["items"]
    return next(one for one in items if one["symbol"] == MARKET)


async def change(operator: Customer, *, key: str | None = None, **fields: object) -> Json:
    body = {"version": (await rules(operator))["version"], "reason": "a test of operators", **fields}
    reply = await operator.send("PATCH", f"/admin/markets/{MARKET}", body, key=key)
    assert reply.status_code == 200, reply.text
    document: Json = reply.json()
    return document


async def test_what_an_operator_sets_is_what_a_trader_meets(platform: Platform, new_customer: NewCustomer) -> None:
    operator, trader = await an_operator(platform, new_customer), await new_customer()
    before = await rules(operator)
    assert_error(await trader.send("GET", "/admin/markets"), 403, "AUTHORIZATION_ERROR", "permission_required")
    resting = await trader.place(market=MARKET, type="limit", quantity="1", price=await below(trader))
    key = secrets.token_hex(8)
    halted = await change(operator, key=key, status="halted")
    assert (halted["status"], halted["version"]) == ("halted", before["version"] + 1)
    again = await operator.send(
        "PATCH",
        f"/admin/markets/{MARKET}",
        {"version": before["version"], "reason": "a test of operators", "status": "halted"},
        key=key,
    )
    assert (again.json(), again.headers["idempotency-replayed"]) == (halted, "true")
    old = {"version": before["version"], "reason": "late", "status": "trading"}
    assert_error(await operator.send("PATCH", f"/admin/markets/{MARKET}", old), 409, "CONFLICT", "market_changed")
    refused = await trader.try_to_place(market=MARKET, type="market", quote_quantity="20")
    assert_error(refused, 422, "ORDER_REJECTED", "market_halted")
    assert_error(await trader.cancel(resting["id"]), 422, "ORDER_REJECTED", "market_halted")
    await cancel_all_beside(trader, resting["id"])
    await change(operator, status="cancel_only")
    refused = await trader.try_to_place(market=MARKET, type="market", quote_quantity="20")
    assert_error(refused, 422, "ORDER_REJECTED", "market_cancel_only")
    assert (await trader.cancel(resting["id"])).status_code == 200
    await change(operator, status="trading", maker_fee_basis_points=1, taker_fee_basis_points=2)
    order = await trader.place(market=MARKET, type="market", quote_quantity="20")
    assert (order["status"], order["maker_fee_basis_points"], order["taker_fee_basis_points"]) == ("filled", 1, 2)

    async def shown() -> bool:
        return bool((await trader.get(f"/markets/{MARKET}"))["taker_fee_basis_points"] == 2)

    await eventually(shown)


async def cancel_all_beside(trader: Customer, halted: str) -> None:
    """Cancels all the trader's orders; the one in the halted market stays, and whoever repeats hears of it too."""
    price = float((await trader.get("/markets/BTC-USD/ticker"))["price"]) * 0.97
    other = await trader.place(type="limit", quantity="0.001", price=f"{price:.0f}")
    cancelled = await trader.send("DELETE", "/orders", key="all")
    stays = [{"order_id": halted, "market": MARKET, "reason": "market_halted"}]
    assert cancelled.json() == {"order_ids": [other["id"]], "not_cancelled": stays}, cancelled.text
    again = await trader.send("DELETE", "/orders", key="all")
    assert (again.json(), again.headers["idempotency-replayed"]) == (cancelled.json(), "true")
    assert (await trader.send("DELETE", "/orders")).json() == {"order_ids": [], "not_cancelled": stays}
    refused = await trader.send("DELETE", "/orders", market=MARKET)
    assert_error(refused, 422, "ORDER_REJECTED", "market_halted")


async def test_a_users_own_fees_and_volume_are_told(platform: Platform, new_customer: NewCustomer) -> None:
    operator, trader = await an_operator(platform, new_customer), await new_customer()
    path = f"/admin/users/{trader.user_id}/fees"
    rates = {"maker_fee_basis_points": 0, "taker_fee_basis_points": 7, "reason": "market maker"}
    nobody = await operator.send("PUT", f"/admin/users/{uuid4()}/fees", rates)
    assert assert_error(nobody, 404, "NOT_FOUND")["reason"] == "unknown_user"
    assert (await operator.send("PUT", path, rates)).status_code == 204
    order = await trader.place(market=MARKET, type="market", quote_quantity="100")
    assert order["taker_fee_basis_points"] == 7
    fees = {one["market"]: one for one in (await trader.get("/fees"))["items"]}
    assert len(fees) >= 20
    assert fees["BTC-USD"]["overridden"]
    assert fees["BTC-USD"]["volume_30d"] == order["filled_quote_quantity"]
    assert (fees["BTC-USD"]["tier"], fees["BTC-USD"]["next_tier"]["volume_from"]) == (0, "100000")
    assert (await operator.send("PUT", path, {"reason": "no more"})).status_code == 204
    assert not (await trader.get("/fees"))["items"][0]["overridden"]


async def test_a_trade_is_on_the_tape_and_in_the_public_channels_in_sequence(
    platform: Platform, customer: Customer
) -> None:
    market = "XLM-USD"
    async with open_socket(platform.websocket_url) as socket:
        await socket.send(op="subscribe", channel="trades", market=market)
        snapshot = await socket.read_channel("trades")
        tape = [trade["sequence"] for trade in snapshot["data"]]
        await socket.send(op="subscribe", channel="book", market=market)
        book = await socket.read_channel("book")
        assert (book["type"], book["market"]) == ("snapshot", market)
        assert len(book["data"]["bids"]) >= 10
        orders = [await customer.place(market=market, type="market", quote_quantity="20") for _ in range(3)]
        fills = [fill["id"] for order in orders for fill in order["fills"]]
        numbers, heard = [snapshot["seq"]], list[str]()
        while len(heard) < len(fills):
            message = await socket.read_channel("trades")
            assert message["type"] == "update"
            numbers.append(message["seq"])
            heard += [trade["id"] for trade in message["data"]]
            tape += [trade["sequence"] for trade in message["data"]]
        assert heard == fills
        assert tape == list(range(tape[0], tape[0] + len(tape)))
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        # The house's depth that was taken comes back: the book goes on changing, number by number.
        assert (await socket.read_channel("book"))["type"] == "update"
    page = await customer.get(f"/markets/{market}/trades", limit="200")
    assert [trade["sequence"] for trade in page["items"]] == sorted(tape, reverse=True)
    assert {trade["id"] for trade in page["items"]} >= set(fills)
    newer = await customer.get(f"/markets/{market}/trades", after=str(tape[-2]))
    assert [trade["sequence"] for trade in newer["items"]] == [tape[-1]]


async def below(trader: Customer) -> str:
    """A price that no house reaches."""
    bid = (await trader.get(f"/markets/{MARKET}/book"))["bids"][0][0]
    return f"{float(bid) * 0.95:.3f}"
