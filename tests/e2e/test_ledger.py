"""A newcomer's ledger: every cent explained, as pages, as a table and as it was."""

import csv
import io
from collections.abc import Awaitable, Callable
from decimal import Decimal

import httpx

from tests.customers import Customer, MarketRules
from tests.error_shape import assert_error

ZERO = Decimal(0)


async def postings(customer: Customer, **query: str) -> list[dict[str, str]]:
    """All pages, newest first."""
    found: list[dict[str, str]] = []
    page = await customer.get("/wallet/ledger", limit="3", **query)
    found += page["items"]
    while page["next_cursor"]:
        page = await customer.get("/wallet/ledger", limit="3", cursor=page["next_cursor"], **query)
        found += page["items"]
    return found


def totals(balances: dict[str, dict[str, Decimal]]) -> dict[str, Decimal]:
    return {asset: Decimal(balance["available"]) + Decimal(balance["held"]) for asset, balance in balances.items()}


async def test_every_balance_is_the_sum_of_its_postings(
    new_customer: Callable[[], Awaitable[Customer]], http: httpx.AsyncClient, bitcoin: MarketRules
) -> None:
    customer = await new_customer()
    price = Decimal((await http.get("/api/v1/markets/BTC-USD/ticker")).raise_for_status().json()["price"])
    bought = await customer.place(type="market", quote_quantity="1000")
    quantity = bitcoin.quantity(Decimal(bought["filled_quantity"]) / 2)
    sold = await customer.place(side="sell", type="market", quantity=quantity)
    resting = await customer.place(
        type="limit", quantity=bitcoin.quantity(Decimal("0.001")), price=bitcoin.price(price * Decimal("0.95"))
    )
    assert resting["status"] == "open"

    everything = await postings(customer)
    sums: dict[str, Decimal] = {}
    for posting in reversed(everything):
        sums[posting["asset"]] = sums.get(posting["asset"], ZERO) + Decimal(posting["amount"])
        assert Decimal(posting["balance_after"]) == sums[posting["asset"]]
    now = await customer.balances()
    assert sums == totals(now)
    assert Decimal(now["USD"]["held"]) > 0
    assert {posting["kind"] for posting in everything} == {"practice_money", "trade"}
    assert {posting["order_id"] for posting in everything} == {None, bought["id"], sold["id"]}
    assert await postings(customer, asset="BTC") == [one for one in everything if one["asset"] == "BTC"]

    reply = await customer.http.get("/api/v1/wallet/ledger", headers=customer.bearer | {"Accept": "text/csv"})
    rows = list(csv.DictReader(io.StringIO(reply.text)))
    assert [(row["sequence"], row["asset"], row["amount"]) for row in rows] == [
        (str(one["sequence"]), one["asset"], one["amount"]) for one in everything
    ]

    first = await customer.get("/wallet/balances", as_of="1")
    assert [(balance["asset"], balance["available"]) for balance in first["items"]] == [("USD", "10000")]
    then = await customer.get("/wallet/balances", as_of=first["last_event"]["time"])
    assert then["items"] == first["items"]
    for moment in ("2020-01-01T00:00:00Z", "1970-01-01T00:00:00Z"):
        before = await customer.get("/wallet/balances", as_of=moment)
        assert (before["items"], before["last_event"]) == ([], None)
    refused = await customer.send("GET", "/wallet/balances", as_of="1969-12-31T23:59:59.999Z")
    assert assert_error(refused, 400, "VALIDATION_ERROR", "invalid_argument")["limit"] == "1970-01-01T00:00:00.000Z"
    assert_error(await customer.send("GET", "/wallet/balances", as_of="999999"), 404, "NOT_FOUND")
    assert_error(await customer.send("GET", "/wallet/ledger", asset="NONE"), 404, "NOT_FOUND")
