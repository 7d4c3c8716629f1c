"""A stand-in for market-data: streams a price for every default market."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
from cryptovault.market_data.v1 import market_data_pb2, market_data_pb2_grpc
from google.protobuf.timestamp_pb2 import Timestamp
from trading.domain.default_markets import default_markets

INTERVAL_SECONDS = 0.25


class PriceServer(market_data_pb2_grpc.MarketDataServiceServicer):
    def __init__(self) -> None:
        self.price = 60_000
        self.streams = 0  # that are open now

    async def StreamPrices(  # noqa: N802 - named by the contract
        self, request: market_data_pb2.StreamPricesRequest, context: Any
    ) -> AsyncIterator[market_data_pb2.StreamPricesResponse]:
        self.streams += 1
        try:
            async for response in self._prices():
                yield response
        finally:
            self.streams -= 1

    async def _prices(self) -> AsyncIterator[market_data_pb2.StreamPricesResponse]:
        sequence = 0
        while True:
            sequence += 1
            now = Timestamp(seconds=int(time.time()))
            prices = [
                market_data_pb2.Price(
                    symbol=market.base, price=str(self.price + sequence % 7), source="simulator", source_time=now
                )
                for market in default_markets()
            ]
            yield market_data_pb2.StreamPricesResponse(sequence=sequence, snapshot=sequence == 1, prices=prices)
            await asyncio.sleep(INTERVAL_SECONDS)


async def started(prices: PriceServer, port: int) -> grpc.aio.Server:
    server = grpc.aio.server()
    market_data_pb2_grpc.add_MarketDataServiceServicer_to_server(prices, server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    return server
