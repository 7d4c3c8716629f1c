"""MarketDataService over gRPC."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from chassis.clock import Clock
from chassis.errors import InvalidArgument
from cryptovault.market_data.v1 import market_data_pb2 as pb
from cryptovault.market_data.v1.market_data_pb2_grpc import MarketDataServiceServicer
from google.protobuf.timestamp_pb2 import Timestamp
from grpc.aio import ServicerContext

from market_data.domain.assets import Asset
from market_data.domain.price import Price
from market_data.domain.price_board import PriceBoard
from market_data.storage.price_document import document_of
from market_data.use_cases.follow_prices import FollowPrices
from market_data.use_cases.get_prices import GetPrices

Context = ServicerContext[Any, Any]

# Far above the assets there are, far below what would cost anything.
SYMBOLS_MAX: Final = 200


class MarketDataServicer(MarketDataServiceServicer):
    def __init__(
        self,
        *,
        assets: Sequence[Asset],
        board: PriceBoard,
        get_prices: GetPrices,
        follow_prices: FollowPrices,
        clock: Clock,
    ) -> None:
        self._assets = assets
        self._board = board
        self._get_prices = get_prices
        self._follow_prices = follow_prices
        self._clock = clock

    async def GetPrices(self, request: pb.GetPricesRequest, _context: Context) -> pb.GetPricesResponse:  # noqa: N802
        if len(request.symbols) > SYMBOLS_MAX:
            rule = f"at most {SYMBOLS_MAX}"
            raise InvalidArgument("Too many symbols at once.", field="symbols", rule=rule)
        return pb.GetPricesResponse(prices=[_message(price) for price in self._get_prices(request.symbols)])

    async def StreamPrices(  # noqa: N802
        self, _request: pb.StreamPricesRequest, _context: Context
    ) -> AsyncIterator[pb.StreamPricesResponse]:
        async for update in self._follow_prices():
            prices = [_message(price) for price in update.prices]
            yield pb.StreamPricesResponse(sequence=update.sequence, snapshot=update.snapshot, prices=prices)

    async def ListAssets(self, _request: pb.ListAssetsRequest, _context: Context) -> pb.ListAssetsResponse:  # noqa: N802
        return pb.ListAssetsResponse(assets=[pb.Asset(symbol=asset.symbol, name=asset.name) for asset in self._assets])

    async def GetProviderStatus(  # noqa: N802
        self, _request: pb.GetProviderStatusRequest, _context: Context
    ) -> pb.GetProviderStatusResponse:
        status = self._board.status(now=self._clock.now())
        answer = pb.GetProviderStatusResponse(source=status.source, available=status.available, problem=status.problem)
        if status.last_success is not None:
            answer.last_success.FromDatetime(status.last_success)
        return answer


def _message(price: Price) -> pb.Price:
    document = document_of(price)
    source_time, time = Timestamp(), Timestamp()
    source_time.FromDatetime(price.quote.source_time)
    time.FromDatetime(price.time)
    return pb.Price(
        symbol=document["symbol"],
        price=document["price"],
        change_24h=document["change_24h"],
        high_24h=document["high_24h"],
        low_24h=document["low_24h"],
        volume_24h=document["volume_24h"],
        source=price.source,
        source_time=source_time,
        time=time,
    )
