import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from chassis.testing import FixedClock
from market_data.clients import coingecko
from market_data.clients.coingecko import CoinGeckoProvider, coingecko_client
from market_data.domain.assets import ASSETS
from market_data.use_cases.ports import ProviderUnavailable
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

# A real answer of CoinGecko, ten coins, of which we price six.
RECORDED = (Path(__file__).parents[1] / "data" / "coingecko-coins-markets-2024-02-16.json").read_text()
NOW = datetime(2024, 2, 16, 2, 18, tzinfo=UTC)
PATH = "/api/v3/coins/markets"


@pytest.fixture
async def client(httpserver: HTTPServer) -> AsyncIterator[httpx.AsyncClient]:
    async with coingecko_client(base_url=httpserver.url_for("/api/v3/"), key="demo-key", plan="demo") as client:
        yield client


@pytest.fixture
def provider(client: httpx.AsyncClient) -> CoinGeckoProvider:
    return CoinGeckoProvider(client=client, assets=ASSETS, clock=FixedClock(NOW))


def bitcoin(**changes: Any) -> str:
    row = next(row for row in json.loads(RECORDED) if row["id"] == "bitcoin")
    return json.dumps([row | changes])


async def test_the_recorded_answer_becomes_quotes(provider: CoinGeckoProvider, httpserver: HTTPServer) -> None:
    httpserver.expect_request(PATH).respond_with_data(RECORDED, content_type="application/json")
    quotes = {quote.symbol: quote for quote in await provider.fetch()}
    assert list(quotes) == ["BTC", "ETH", "SOL", "XRP", "ADA", "AVAX"]
    assert str(quotes["BTC"].price) == "52200.00"
    assert quotes["BTC"].change_24h == Decimal("-0.04")
    assert (str(quotes["BTC"].high_24h), str(quotes["BTC"].low_24h)) == ("52801.00", "51384.00")
    assert quotes["BTC"].volume_24h == 25_597_198_026
    assert quotes["BTC"].source_time == datetime(2024, 2, 16, 2, 17, 5, 566_000, tzinfo=UTC)
    assert str(quotes["XRP"].price) == "0.5675"


async def test_the_question_names_our_coins_and_carries_the_key(
    provider: CoinGeckoProvider, httpserver: HTTPServer
) -> None:
    asked: list[Request] = []

    def answer(request: Request) -> Response:
        asked.append(request)
        return Response(RECORDED)

    httpserver.expect_request(PATH).respond_with_handler(answer)
    await provider.fetch()
    assert asked[0].headers["x-cg-demo-api-key"] == "demo-key"
    assert asked[0].args["vs_currency"] == "usd"
    assert asked[0].args["ids"].split(",") == [asset.coingecko_id for asset in ASSETS]


async def test_each_plan_has_its_own_key_header() -> None:
    for plan, header in (("demo", "x-cg-demo-api-key"), ("pro", "x-cg-pro-api-key")):
        async with coingecko_client(base_url="http://localhost/", key="k", plan=plan) as client:
            assert client.headers[header] == "k"
    async with coingecko_client(base_url="http://localhost/", key=None, plan="demo") as client:
        assert not any(name.startswith("x-cg") for name in client.headers)


async def test_digits_are_kept_as_written(provider: CoinGeckoProvider, httpserver: HTTPServer) -> None:
    # As a float this is 0.28499999999999998, which would round down.
    answer = bitcoin(id="cardano").replace('"current_price": 52200', '"current_price": 0.28485')
    httpserver.expect_request(PATH).respond_with_data(answer)
    assert str((await provider.fetch())[0].price) == "0.2848"


async def test_a_price_outside_their_cached_day_widens_it(provider: CoinGeckoProvider, httpserver: HTTPServer) -> None:
    httpserver.expect_request(PATH).respond_with_data(bitcoin(current_price=60000))
    quote = (await provider.fetch())[0]
    assert quote.high_24h == quote.price == 60000


@pytest.mark.parametrize(
    ("status", "headers", "retry_after_seconds"),
    [
        (429, {"Retry-After": "37"}, 37.0),
        (429, {"Retry-After": "Fri, 16 Feb 2024 02:19:00 GMT"}, 60.0),
        (429, {"Retry-After": "soon"}, None),
        (429, {}, None),
        (500, {}, None),
        (401, {}, None),
        (302, {"Location": "http://localhost:1/"}, None),
    ],
)
async def test_a_refusal_says_when_to_come_back(
    provider: CoinGeckoProvider,
    httpserver: HTTPServer,
    status: int,
    headers: dict[str, str],
    retry_after_seconds: float | None,
) -> None:
    httpserver.expect_request(PATH).respond_with_data("{}", status=status, headers=headers)
    with pytest.raises(ProviderUnavailable) as refusal:
        await provider.fetch()
    assert refusal.value.retry_after_seconds == retry_after_seconds


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>",
        "{}",
        "[]",
        "[1, null]",
        "[" * 100_000,
        bitcoin(current_price=None),
        bitcoin(current_price="52200"),
        bitcoin(current_price=True),
        bitcoin(current_price=-1),
        bitcoin(current_price=0),
        bitcoin(current_price=0.001),
        bitcoin(current_price=1e300),
        bitcoin(current_price=52200).replace("52200", "NaN"),
        bitcoin(current_price=52200).replace("52200", "1e999999999"),
        bitcoin(high_24h=None),
        bitcoin(last_updated=None),
        bitcoin(last_updated="yesterday"),
        bitcoin(last_updated="2024-02-16T02:17:05"),
        bitcoin(last_updated=(NOW + timedelta(minutes=1)).isoformat()),
    ],
)
async def test_a_broken_answer_is_no_price(provider: CoinGeckoProvider, httpserver: HTTPServer, body: str) -> None:
    httpserver.expect_request(PATH).respond_with_data(body)
    with pytest.raises(ProviderUnavailable):
        await provider.fetch()


async def test_one_broken_coin_does_not_cost_the_others(provider: CoinGeckoProvider, httpserver: HTTPServer) -> None:
    rows = json.loads(RECORDED)
    rows[0]["current_price"] = None
    httpserver.expect_request(PATH).respond_with_json(rows)
    assert "BTC" not in {quote.symbol for quote in await provider.fetch()}


async def test_an_endless_answer_is_cut(
    provider: CoinGeckoProvider, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coingecko, "ANSWER_BYTES_MAX", 1000)
    httpserver.expect_request(PATH).respond_with_data(RECORDED)
    with pytest.raises(ProviderUnavailable, match="too long"):
        await provider.fetch()


async def test_a_source_that_does_not_answer_in_time_is_unavailable(
    provider: CoinGeckoProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(_provider: CoinGeckoProvider) -> bytes:
        raise httpx.ReadTimeout("late")

    monkeypatch.setattr(CoinGeckoProvider, "_ask", never)
    with pytest.raises(ProviderUnavailable, match="in time"):
        await provider.fetch()


async def test_a_source_that_is_not_there_is_unavailable() -> None:
    async with coingecko_client(base_url="http://127.0.0.1:1/", key=None, plan="demo") as client:
        lonely = CoinGeckoProvider(client=client, assets=ASSETS, clock=FixedClock(NOW))
        with pytest.raises(ProviderUnavailable, match="cannot be reached"):
            await lonely.fetch()
