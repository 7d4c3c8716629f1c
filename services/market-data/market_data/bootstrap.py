"""Builds market-data."""

from datetime import timedelta

from chassis.service import Runtime
from cryptovault.market_data.v1.market_data_pb2_grpc import add_MarketDataServiceServicer_to_server

from market_data.api.servicer import MarketDataServicer
from market_data.clients.coingecko import CoinGeckoProvider, coingecko_client
from market_data.clients.simulated_provider import SimulatedProvider
from market_data.domain.price_board import PriceBoard
from market_data.domain.simulator import CHARACTERS, SimulatedMarket
from market_data.settings import Settings
from market_data.storage.price_cache import RedisPriceCache
from market_data.use_cases.follow_prices import FollowPrices
from market_data.use_cases.get_prices import GetPrices
from market_data.use_cases.keep_prices_fresh import KeepPricesFresh
from market_data.use_cases.ports import PriceProvider
from market_data.use_cases.price_feed import PriceFeed
from market_data.use_cases.refresh_prices import RefreshPrices


async def compose(runtime: Runtime[Settings]) -> None:
    clock, assets = runtime.clock, runtime.settings.assets
    provider, interval_seconds, stale_seconds = _provider(runtime)
    board = PriceBoard(source=provider.source, stale_after=timedelta(seconds=stale_seconds))
    feed = PriceFeed()
    refresh = RefreshPrices(
        provider=provider, board=board, feed=feed, cache=RedisPriceCache(await runtime.redis()), clock=clock
    )
    runtime.on_stop(refresh.close)
    keep_fresh = KeepPricesFresh(refresh=refresh, interval_seconds=interval_seconds, clock=clock)
    runtime.background("keep_prices_fresh", keep_fresh)

    async def end_streams() -> None:
        # Streams last for ever; without this a stop would wait for its grace period to run out.
        await runtime.stopping.wait()
        feed.close()

    runtime.background("end_streams", end_streams)

    async def source_was_asked() -> bool:
        # A source that is down does not keep us from serving: who asks must be able to hear why there is no price.
        return keep_fresh.tried

    runtime.readiness("prices", source_was_asked)
    servicer = MarketDataServicer(
        assets=assets,
        board=board,
        get_prices=GetPrices(board=board, known_symbols=frozenset(asset.symbol for asset in assets)),
        follow_prices=FollowPrices(board=board, feed=feed),
        clock=clock,
    )
    runtime.add_servicer(
        add_MarketDataServiceServicer_to_server, servicer, "cryptovault.market_data.v1.MarketDataService"
    )


def _provider(runtime: Runtime[Settings]) -> tuple[PriceProvider, float, float]:
    """The chosen source, its poll interval and the age at which it is stale, in seconds."""
    settings, clock = runtime.settings, runtime.clock
    if settings.price_provider == "simulator":
        market = SimulatedMarket(
            seed=settings.simulator_seed,
            assets=settings.assets,
            characters={**CHARACTERS, **settings.further_characters},
        )
        simulated = SimulatedProvider(market=market, clock=clock)
        return simulated, settings.simulator_interval_seconds, settings.simulator_stale_seconds
    key = settings.coingecko_api_key
    client = coingecko_client(
        base_url=settings.coingecko_base_url,
        key=None if key is None else key.get_secret_value(),
        plan=settings.coingecko_plan,
    )
    runtime.on_stop(client.aclose)
    coingecko = CoinGeckoProvider(client=client, assets=settings.assets, clock=clock)
    return coingecko, settings.coingecko_interval_seconds, settings.coingecko_stale_seconds
