"""Builds the leader: journal, sequencer, price stream, gRPC."""

from chassis.grpc_client import open_channel
from chassis.mongo import init_documents
from chassis.service import Runtime
from cryptovault.market_data.v1 import market_data_pb2_grpc
from cryptovault.trading.v1 import operator_pb2_grpc, trading_pb2_grpc

from trading.api.books import Books
from trading.api.operator_servicer import OperatorServicer
from trading.api.trading_servicer import TradingServicer
from trading.api.watch import Watchers
from trading.clients.price_stream import PriceStream
from trading.domain.default_markets import default_assets, default_markets
from trading.sequencer.clockwork import Clockwork
from trading.sequencer.market_metrics import MarketMetrics
from trading.sequencer.open_markets import OpenMarkets
from trading.sequencer.reference_prices import ReferencePrices
from trading.sequencer.sequencer import Sequencer
from trading.settings import TradingSettings
from trading.storage.documents import DOCUMENTS
from trading.storage.history import MongoHistory
from trading.storage.open_journal import open_journal


async def compose(runtime: Runtime[TradingSettings]) -> None:
    settings = runtime.settings
    mongo = await runtime.mongo()
    journal = await open_journal(runtime)
    prices = ReferencePrices()
    await init_documents(mongo.database, DOCUMENTS)
    history = MongoHistory(mongo.database, state=lambda: sequencer.state, now=runtime.clock.now)
    sequencer = Sequencer(
        journal=journal,
        history=history,
        prices=prices,
        clock=runtime.clock,
        writer=str(runtime.ids.new()),
        limits=settings.limits,
    )
    watchers = Watchers(lambda: sequencer.state)
    sequencer.on_batch(watchers.publish)
    metrics = MarketMetrics()
    sequencer.on_batch(lambda batch: metrics(batch, sequencer.state))
    channel = open_channel(settings.market_data_address, service="trading")
    runtime.on_stop(channel.close)
    stream = PriceStream(
        stub=market_data_pb2_grpc.MarketDataServiceStub(channel),
        prices=prices,
        state=lambda: sequencer.state,
        clock=runtime.clock,
    )
    open_markets = OpenMarkets(sequencer, default_assets(), default_markets())

    async def follow_prices() -> None:
        # The stream names every price once, at its start: the markets must be there by then.
        await open_markets()
        await stream.run()

    books = Books(sequencer=sequencer, prices=prices, clock=runtime.clock)
    await sequencer.lead()
    metrics.begin(sequencer.state)
    runtime.background("sequencer", sequencer.run)
    runtime.background("reference-prices", follow_prices)
    runtime.background("clockwork", Clockwork(sequencer).run)
    runtime.add_servicer(
        trading_pb2_grpc.add_TradingServiceServicer_to_server,
        TradingServicer(sequencer=sequencer, watchers=watchers, books=books, clock=runtime.clock),
        "cryptovault.trading.v1.TradingService",
    )

    runtime.add_servicer(
        operator_pb2_grpc.add_TradingOperatorServiceServicer_to_server,
        OperatorServicer(sequencer=sequencer, clock=runtime.clock),
        "cryptovault.trading.v1.TradingOperatorService",
    )

    async def leading() -> bool:
        return sequencer.is_leading and bool(sequencer.state.markets)

    runtime.readiness("leading", leading)
