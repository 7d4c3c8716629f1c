"""Builds the projector: the fold, its bell, the reconciler, the query service."""

from datetime import timedelta

from chassis.leader_channel import open_leader_channel
from chassis.mongo import init_documents
from chassis.service import Runtime
from cryptovault.trading.v1 import trading_pb2_grpc

from trading.api.query_servicer import TradingQueryServicer
from trading.clients.leader import GrpcLeader
from trading.projector.archiver import Archiver
from trading.projector.bell import Bell
from trading.projector.event_log import EventLog
from trading.projector.fill_reader import FillReader
from trading.projector.journal_reader import JournalReader
from trading.projector.ledger_reader import LedgerReader
from trading.projector.projector import Projector
from trading.projector.reconciler import Reconciler
from trading.projector.snapshot_taker import SnapshotTaker
from trading.settings import ProjectorSettings
from trading.storage.balance_points import BalancePoints
from trading.storage.documents import DOCUMENTS
from trading.storage.open_journal import open_journal
from trading.storage.order_queries import OrderQueries
from trading.storage.projection import Projection
from trading.storage.snapshots import MongoSnapshots
from trading.storage.tape import Tape


async def compose(runtime: Runtime[ProjectorSettings]) -> None:
    mongo = await runtime.mongo()
    await init_documents(mongo.database, DOCUMENTS)
    journal = await open_journal(runtime)
    snapshots = MongoSnapshots(mongo.database)
    projector = Projector(journal, Projection(mongo.database), snapshots)
    queries = OrderQueries(projector.unwritten, projector.owner)
    servicer = TradingQueryServicer(
        projector=projector,
        queries=queries,
        tape=Tape(mongo.database, projector.unwritten),
        event_log=EventLog(journal=journal, queries=queries, projector=projector),
        journal_reader=JournalReader(journal=journal, queries=queries, projector=projector),
        ledger=LedgerReader(journal=journal, projector=projector, points=BalancePoints()),
        fills=FillReader(journal=journal, queries=queries, projector=projector),
    )
    await projector.catch_up()
    runtime.background("projector", projector.run)
    settings = runtime.settings
    channel = open_leader_channel(settings.trading_address, to="trading", identity=runtime.identity)
    runtime.on_stop(channel.close)
    reconciler = Reconciler(
        projector,
        GrpcLeader(channel),
        runtime.clock,
        interval_seconds=settings.reconcile_seconds,
        full_interval_seconds=settings.reconcile_all_seconds,
    )
    runtime.background("reconciler", reconciler.run)
    archiver = Archiver(
        journal=journal,
        projector=projector,
        snapshots=snapshots,
        clock=runtime.clock,
        retention=timedelta(days=settings.journal_retention_days),
    )
    runtime.background("archive", archiver.run)
    runtime.background("snapshots", SnapshotTaker(projector, snapshots, runtime.clock).run)
    # A stack without a bus has no one to ring for; consumers poll.
    if runtime.settings.amqp_url is not None:
        bell = Bell(projector=projector, bus=await runtime.bus(), clock=runtime.clock, ids=runtime.ids)
        runtime.background("bell", bell.run)
    runtime.add_servicer(
        trading_pb2_grpc.add_TradingQueryServiceServicer_to_server,
        servicer,
        "cryptovault.trading.v1.TradingQueryService",
    )
    runtime.readiness("database", mongo.ping)
