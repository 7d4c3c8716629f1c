from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from chassis.errors import ErrorKind, RemoteError
from chassis.grpc_client import open_channel
from chassis.testing import FixedClock, serve
from chassis.testing.services import identity_of
from cryptovault.market_data.v1 import market_data_pb2 as pb
from cryptovault.market_data.v1.market_data_pb2_grpc import (
    MarketDataServiceStub,
    add_MarketDataServiceServicer_to_server,
)
from market_data.api.servicer import MarketDataServicer
from market_data.domain.assets import ASSETS
from market_data.domain.price import Quote
from market_data.domain.price_board import PriceBoard
from market_data.use_cases.follow_prices import FollowPrices
from market_data.use_cases.get_prices import GetPrices
from market_data.use_cases.price_feed import PriceFeed

if TYPE_CHECKING:
    # Exists for the type checker only: at run time both kinds of stub are one class.
    from cryptovault.market_data.v1.market_data_pb2_grpc import MarketDataServiceAsyncStub

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MakeQuote = Callable[..., Quote]


class Scene:
    def __init__(self) -> None:
        self.clock = FixedClock(NOON)
        self.board = PriceBoard(source="simulator", stale_after=timedelta(seconds=3))
        self.feed = PriceFeed(followers_max=2)
        self.address = ""
        self.stub: MarketDataServiceAsyncStub

    def arrive(self, *quotes: Quote) -> None:
        self.feed.publish(self.board.take(quotes, time=self.clock.now()))


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    scene = Scene()
    servicer = MarketDataServicer(
        assets=ASSETS,
        board=scene.board,
        get_prices=GetPrices(board=scene.board, known_symbols=frozenset(asset.symbol for asset in ASSETS)),
        follow_prices=FollowPrices(board=scene.board, feed=scene.feed),
        clock=scene.clock,
    )
    name = "cryptovault.market_data.v1.MarketDataService"
    async with (
        serve([(add_MarketDataServiceServicer_to_server, servicer, name)], plays="market-data") as address,
        open_channel(address, to="market-data", identity=identity_of("gateway"), deadline_seconds=30) as channel,
    ):
        scene.address, scene.stub = address, MarketDataServiceStub(channel)
        yield scene
        scene.feed.close()


async def test_prices_travel_exactly(scene: Scene, quote: MakeQuote) -> None:
    scene.arrive(quote("BTC", "97000.10"), quote("ETH", "3400.00"))
    answer = await scene.stub.GetPrices(pb.GetPricesRequest())
    assert [(price.symbol, price.price) for price in answer.prices] == [("BTC", "97000.10"), ("ETH", "3400.00")]
    first = answer.prices[0]
    assert (first.source, first.change_24h, first.volume_24h) == ("simulator", "-1.25", "1000000")
    assert first.source_time.ToDatetime(tzinfo=UTC) == NOON
    assert first.time.ToDatetime(tzinfo=UTC) == NOON


async def test_prices_are_answered_in_the_order_asked(scene: Scene, quote: MakeQuote) -> None:
    scene.arrive(quote("BTC"), quote("ETH"), quote("SOL"))
    answer = await scene.stub.GetPrices(pb.GetPricesRequest(symbols=["SOL", "BTC"]))
    assert [price.symbol for price in answer.prices] == ["SOL", "BTC"]


async def test_an_unknown_symbol_is_not_found(scene: Scene, quote: MakeQuote) -> None:
    scene.arrive(quote())
    with pytest.raises(RemoteError) as error:
        await scene.stub.GetPrices(pb.GetPricesRequest(symbols=["BTC", "TULIP"]))
    assert (error.value.kind, error.value.reason) == (ErrorKind.NOT_FOUND, "unknown_symbol")
    assert error.value.details == {"symbol": "TULIP"}


async def test_before_the_first_answer_prices_are_unavailable(scene: Scene) -> None:
    with pytest.raises(RemoteError) as error:
        await scene.stub.GetPrices(pb.GetPricesRequest())
    assert (error.value.kind, error.value.reason) == (ErrorKind.UNAVAILABLE, "prices_unavailable")


async def test_too_many_symbols_are_refused(scene: Scene) -> None:
    with pytest.raises(RemoteError) as error:
        await scene.stub.GetPrices(pb.GetPricesRequest(symbols=["BTC"] * 201))
    assert error.value.kind == ErrorKind.INVALID


async def test_a_stream_is_a_snapshot_then_changes(scene: Scene, quote: MakeQuote) -> None:
    scene.arrive(quote("BTC"), quote("ETH"))
    stream = aiter(scene.stub.StreamPrices(pb.StreamPricesRequest()))
    first = await anext(stream)
    scene.arrive(quote("ETH", "3401.00"))
    second = await anext(stream)
    assert (first.sequence, first.snapshot, len(first.prices)) == (1, True, 2)
    assert (second.sequence, second.snapshot) == (2, False)
    assert [(price.symbol, price.price) for price in second.prices] == [("ETH", "3401.00")]


async def test_too_many_streams_are_refused(scene: Scene, quote: MakeQuote) -> None:
    scene.arrive(quote())
    calls = [scene.stub.StreamPrices(pb.StreamPricesRequest()) for _ in range(2)]
    for call in calls:
        await call.read()
    with pytest.raises(RemoteError) as error:
        await scene.stub.StreamPrices(pb.StreamPricesRequest()).read()
    assert (error.value.kind, error.value.reason) == (ErrorKind.EXHAUSTED, "too_many_streams")
    for call in calls:
        call.cancel()


async def test_assets_have_names(scene: Scene) -> None:
    portfolio = identity_of("portfolio")
    async with open_channel(scene.address, to="market-data", identity=portfolio, deadline_seconds=30) as channel:
        answer = await MarketDataServiceStub(channel).ListAssets(pb.ListAssetsRequest())
    assert [(asset.symbol, asset.name) for asset in answer.assets][:2] == [("BTC", "Bitcoin"), ("ETH", "Ethereum")]
    assert len(answer.assets) == 20


async def test_the_provider_status_follows_the_board(scene: Scene, quote: MakeQuote) -> None:
    before = await scene.stub.GetProviderStatus(pb.GetProviderStatusRequest())
    assert (before.source, before.available, before.HasField("last_success")) == ("simulator", False, False)
    scene.arrive(quote())
    after = await scene.stub.GetProviderStatus(pb.GetProviderStatusRequest())
    assert (after.available, after.problem) == (True, "")
    assert after.last_success.ToDatetime(tzinfo=UTC) == NOON
    scene.clock.advance(10)
    assert not (await scene.stub.GetProviderStatus(pb.GetProviderStatusRequest())).available
