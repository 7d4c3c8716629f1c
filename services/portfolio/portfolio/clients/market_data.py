"""Current prices, followed by stream and kept in memory."""

from collections.abc import Mapping
from datetime import UTC

import grpc
from chassis.errors import RemoteBugError, RemoteError
from chassis.grpc_client import follow
from chassis.logs import get_logger
from cryptovault.market_data.v1 import market_data_pb2, market_data_pb2_grpc

from portfolio.domain.exact import parse_amount
from portfolio.domain.holdings import CASH
from portfolio.domain.valuation import Quote

_CASH_NAME = "US Dollar"

log = get_logger(__name__)


class FollowedPrices:
    """The newest price of each asset. While the stream is broken the last ones stay, with their time."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = market_data_pb2_grpc.MarketDataServiceStub(channel)
        self._quotes: dict[str, Quote] = {}
        self._names: dict[str, str] = {CASH: _CASH_NAME}

    @property
    def quotes(self) -> Mapping[str, Quote]:
        return self._quotes

    @property
    def names(self) -> Mapping[str, str]:
        return self._names

    async def ready(self) -> bool:
        return bool(self._quotes)

    async def run(self) -> None:
        async for message in follow(
            lambda: self._stub.StreamPrices(market_data_pb2.StreamPricesRequest()), name="prices"
        ):
            if message.snapshot:
                # Names first: they change with a new version of market-data, which begins with a new stream.
                await self._read_names()
            for price in message.prices:
                # A source without a time of its own: when market-data took the price.
                time = price.source_time if price.HasField("source_time") else price.time
                self._quotes[price.symbol] = Quote(parse_amount(price.price), time.ToDatetime(tzinfo=UTC))

    async def _read_names(self) -> None:
        try:
            response = await self._stub.ListAssets(market_data_pb2.ListAssetsRequest())
        except (RemoteError, RemoteBugError) as error:
            # A symbol serves as a name until the next stream.
            log.warning("Asset names not read", event="asset_names_failed", problem=str(error))
            return
        self._names.update((asset.symbol, asset.name) for asset in response.assets)
