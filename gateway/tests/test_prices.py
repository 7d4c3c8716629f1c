"""Public data: ready-made prices with their limits and tags, markets, books."""

import asyncio
from typing import TYPE_CHECKING, Any

from chassis.testing import eventually
from gateway.schemas import markets as schemas
from replies import checked
from stand_ins import price
from trading_stand_in import ASSETS

if TYPE_CHECKING:
    from conftest import Running, Start

PRICES = "/api/v1/prices"
TICKER = "/api/v1/markets/BTC-USD/ticker"


async def test_public_replies_are_exactly_what_the_document_says(up: "Running") -> None:
    for path, model in (
        (PRICES, schemas.PriceList), (TICKER, schemas.Ticker), ("/api/v1/assets", schemas.AssetPage),
        ("/api/v1/markets", schemas.MarketPage), ("/api/v1/markets/BTC-USD", schemas.Market),
        ("/api/v1/markets/BTC-USD/book", schemas.Book),
    ):  # fmt: skip
        reply = await up.client.get(path)
        assert reply.status_code == 200, reply.text
        model.model_validate_json(reply.content)
        for header in ("x-request-id", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"):
            assert header in reply.headers
        for header in ("strict-transport-security", "content-security-policy", "x-frame-options", "referrer-policy"):
            assert header in reply.headers


async def test_the_assets_are_the_exchanges_with_a_market_or_without(up: "Running") -> None:
    reply = await up.client.get("/api/v1/assets")
    assert {asset["symbol"]: asset["name"] for asset in reply.json()["items"]} == ASSETS


async def test_a_new_price_shows_in_prices_and_ticker(up: "Running") -> None:
    before = (await up.client.get(PRICES)).headers["etag"]
    up.platform.market_data.publish(price("BTC", "61234.5"))

    async def shown() -> bool:
        return bool((await up.client.get(TICKER)).json()["price"] == "61234.5")

    await eventually(shown)
    reply = await up.client.get(PRICES)
    assert {entry["symbol"]: entry["price"] for entry in reply.json()["items"]}["BTC"] == "61234.5"
    assert reply.headers["etag"] != before


async def test_an_unchanged_document_is_not_sent_again(up: "Running") -> None:
    tag = (await up.client.get(PRICES)).headers["etag"]
    reply = await up.client.get(PRICES, headers={"If-None-Match": tag})
    assert (reply.status_code, reply.content) == (304, b"")
    assert reply.headers["etag"] == tag
    assert (await up.client.get(PRICES, headers={"If-None-Match": '"old"'})).status_code == 200


async def test_a_market_or_ticker_that_does_not_exist_is_404(up: "Running") -> None:
    for path in ("/api/v1/markets/XXX-USD", "/api/v1/markets/XXX-USD/ticker", "/api/v1/markets/XXX-USD/book"):
        assert checked(await up.client.get(path), 404, "NOT_FOUND")["reason"] == "unknown_market"


async def test_before_the_first_price_there_are_none(start: "Start") -> None:
    async with start(market_data_address="127.0.0.1:1", ready=False) as up:
        assert checked(await up.client.get(PRICES), 503, "SERVICE_UNAVAILABLE")["reason"] == "no_prices"
        checked(await up.client.get(TICKER), 503, "SERVICE_UNAVAILABLE")


async def test_the_ticker_of_a_market_without_a_price_says_so_and_has_one_when_it_comes(fresh: "Running") -> None:
    market_data = fresh.platform.market_data

    async def ticker() -> dict[str, Any]:
        reply = await fresh.client.get(TICKER)
        assert reply.status_code == 200, reply.text
        schemas.Ticker.model_validate_json(reply.content)
        # Said as readily as a price: to who looks again, too.
        again = await fresh.client.get(TICKER, headers={"If-None-Match": reply.headers["etag"]})
        assert again.status_code == 304
        shown: dict[str, Any] = reply.json()
        return shown

    market_data.publish(price("ETH", "3000"), snapshot=True)

    async def gone() -> dict[str, Any] | None:
        shown = await ticker()
        return shown if shown["price"] is None else None

    unpriced = await eventually(gone)
    assert unpriced.pop("market") == "BTC-USD"
    assert set(unpriced) == set(schemas.Ticker.model_fields) - {"market"}
    assert set(unpriced.values()) == {None}
    market_data.publish(price("BTC", "61234.5"))

    async def priced() -> bool:
        return bool((await ticker())["price"] == "61234.5")

    await eventually(priced)


async def test_prices_outlive_their_source_and_say_so(fresh: "Running") -> None:
    assert "x-data-behind" not in (await fresh.client.get(PRICES)).headers
    await fresh.platform.take_away("market_data")

    async def marked() -> bool:
        reply = await fresh.client.get(PRICES)
        assert reply.status_code == 200
        return reply.headers.get("x-data-behind") == "true"

    await eventually(marked, 60)


async def test_price_reads_have_a_limit_that_gateways_share(start: "Start") -> None:
    settings: dict[str, Any] = {"limit_market_data_per_address": 20, "limit_factor": 1}
    async with start(**settings) as one:
        while (reply := await one.client.get(PRICES)).status_code == 200:
            remaining = int(reply.headers["ratelimit-remaining"])
        assert remaining == 0
        checked(reply, 429, "RATE_LIMIT_EXCEEDED")
        assert int(reply.headers["retry-after"]) >= 1
        async with start(ready=False, **settings) as two:
            await two.prices_limited()


async def test_a_book_has_the_depth_asked_for(up: "Running") -> None:
    assert len((await up.client.get("/api/v1/markets/BTC-USD/book?depth=3")).json()["asks"]) == 3
    assert len((await up.client.get("/api/v1/markets/BTC-USD/book")).json()["asks"]) == 20


async def test_a_crowd_asks_the_exchange_for_its_markets_once(fresh: "Running") -> None:
    replies = await asyncio.gather(*(fresh.client.get("/api/v1/markets") for _ in range(20)))
    assert {reply.status_code for reply in replies} == {200}
    assert fresh.platform.trading.market_requests <= 2
