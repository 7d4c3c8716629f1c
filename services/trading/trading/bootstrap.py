"""Builds a replica of the exchange: journal, lease, sequencer, price stream, gRPC."""

import asyncio

from chassis.grpc_client import open_channel
from chassis.mongo import init_documents
from chassis.service import Runtime
from cryptovault.market_data.v1 import market_data_pb2_grpc
from cryptovault.trading.v1 import operator_pb2_grpc, trading_pb2_grpc

from trading.api.books import Books
from trading.api.operator_servicer import OperatorServicer
from trading.api.previews import Previews
from trading.api.trading_servicer import TradingServicer
from trading.api.watch import Watchers
from trading.clients.price_stream import PriceStream
from trading.domain.default_markets import default_assets, default_markets
from trading.sequencer.clockwork import Clockwork
from trading.sequencer.journal_time import JournalTime
from trading.sequencer.lasting_memory import COMMANDS_BETWEEN, LastingMemory
from trading.sequencer.lease import Lease
from trading.sequencer.market_metrics import MarketMetrics
from trading.sequencer.open_markets import OpenMarkets
from trading.sequencer.price_notes import PriceNotes
from trading.sequencer.reference_prices import ReferencePrices
from trading.sequencer.sequencer import Sequencer
from trading.settings import TradingSettings
from trading.storage.documents import DOCUMENTS
from trading.storage.history import MongoHistory
from trading.storage.lease import MongoLease
from trading.storage.open_journal import open_journal
from trading.storage.price_notes import MongoPriceNotes
from trading.storage.snapshots import MongoSnapshots

_LOOK_SECONDS = 0.05


async def compose(runtime: Runtime[TradingSettings]) -> None:
    settings = runtime.settings
    mongo = await runtime.mongo()
    journal = await open_journal(runtime)
    prices = ReferencePrices()
    await init_documents(mongo.database, DOCUMENTS)
    history = MongoHistory(mongo.database, state=lambda: sequencer.state, now=runtime.clock.now)
    holder = str(runtime.ids.new())
    time = JournalTime(runtime.clock)
    lease = Lease(MongoLease(journal.database), holder=holder, clock=runtime.clock, seconds=settings.lease_seconds)
    sequencer = Sequencer(
        journal=journal,
        history=history,
        prices=prices,
        time=time,
        may_lead=lambda: lease.is_live,
        writer=holder,
        limits=settings.limits,
        snapshots=MongoSnapshots(mongo.database),
    )
    watchers = Watchers(lambda: sequencer.state, sequencer.settled)
    sequencer.on_batch(watchers.publish)
    lasting_memory = LastingMemory(COMMANDS_BETWEEN)
    sequencer.on_batch(lambda batch: lasting_memory(len(batch.entries)))
    metrics = MarketMetrics()
    sequencer.on_batch(lambda batch: metrics(batch, sequencer.state))
    channel = open_channel(settings.market_data_address, to="market-data", identity=runtime.identity)
    runtime.on_stop(channel.close)
    stream = PriceStream(
        stub=market_data_pb2_grpc.MarketDataServiceStub(channel),
        prices=prices,
        state=lambda: sequencer.state,
        time=time,
    )
    notes = PriceNotes(MongoPriceNotes(journal.database), prices=prices, state=lambda: sequencer.state, time=time)
    open_markets = OpenMarkets(sequencer, default_assets(), default_markets())

    async def follow_prices() -> None:
        # The stream names every price once, at its start: the markets must be there by then. A follower listens too:
        # when it leads, its circuit breakers must know what the prices were.
        while not open_markets.are_open:  # noqa: ASYNC110 - they come by folding, which rings no bell
            await asyncio.sleep(_LOOK_SECONDS)
        await notes.recall()
        await stream.run()

    books = Books(sequencer=sequencer, prices=prices, time=time)

    async def lead() -> None:
        await lease.stand_by(sequencer.follow)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(lease.keep(time.check), name="lease")
            await sequencer.lead()
            metrics.begin(sequencer.state)
            tasks.create_task(sequencer.run(), name="sequencer")
            tasks.create_task(open_markets(), name="open-markets")
            tasks.create_task(Clockwork(sequencer).run(), name="clockwork")
            tasks.create_task(notes.keep(), name="price-notes")

    async def leads() -> bool:
        return sequencer.is_leading and lease.is_live and bool(sequencer.state.markets)

    async def leads_or_follows() -> bool:
        return await leads() or lease.has_living_holder

    await sequencer.recover()
    runtime.background("leadership", lead)
    runtime.background("reference-prices", follow_prices)
    runtime.on_stop(lease.release)
    runtime.add_servicer(
        trading_pb2_grpc.add_TradingServiceServicer_to_server,
        TradingServicer(
            sequencer=sequencer,
            watchers=watchers,
            books=books,
            previews=Previews(sequencer=sequencer, prices=prices, time=time),
            time=time,
        ),
        "cryptovault.trading.v1.TradingService",
        serving=leads,
    )
    runtime.add_servicer(
        operator_pb2_grpc.add_TradingOperatorServiceServicer_to_server,
        OperatorServicer(sequencer=sequencer, prices=prices, time=time),
        "cryptovault.trading.v1.TradingOperatorService",
        serving=leads,
    )
    runtime.readiness("leadership", leads_or_follows)
