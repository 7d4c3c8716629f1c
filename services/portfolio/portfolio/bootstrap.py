"""Builds portfolio."""

from chassis.grpc_client import open_channel
from chassis.journal_consumer import JournalConsumer
from chassis.leader_channel import open_leader_channel
from chassis.mongo import init_documents
from chassis.service import Runtime
from cryptovault.portfolio.v1.portfolio_pb2_grpc import add_PortfolioServiceServicer_to_server

from portfolio.api.servicer import PortfolioServicer
from portfolio.clients.market_data import FollowedPrices
from portfolio.clients.trading import TradingJournal, TradingLedger
from portfolio.events.subscriptions import journal_advanced, user_verified
from portfolio.settings import Settings
from portfolio.storage.holdings_store import MongoHoldingsStore, PortfolioDocument
from portfolio.storage.near_portfolio_cache import NearPortfolioCache
from portfolio.storage.portfolio_cache import RedisPortfolioCache
from portfolio.use_cases.await_fold import AwaitFold
from portfolio.use_cases.fold_journal import FoldJournal
from portfolio.use_cases.get_portfolio import GetPortfolio
from portfolio.use_cases.pay_practice_money import PayPracticeMoney
from portfolio.use_cases.ports import BatchFacts


async def compose(runtime: Runtime[Settings]) -> None:
    settings = runtime.settings
    mongo = await runtime.mongo()
    await init_documents(mongo.database, [PortfolioDocument])
    identity = runtime.identity
    queries = open_channel(settings.trading_queries_address, to="trading-projector", identity=identity)
    market_data = open_channel(settings.market_data_address, to="market-data", identity=identity)
    leader = open_leader_channel(settings.trading_address, to="trading", identity=identity)
    for channel in (leader, queries, market_data):
        runtime.on_stop(channel.close)
    ledger = TradingLedger(leader)
    store = MongoHoldingsStore(runtime.ids)
    cache = NearPortfolioCache(RedisPortfolioCache(await runtime.redis()), runtime.clock)
    prices = FollowedPrices(market_data)
    runtime.background("prices", prices.run)
    runtime.readiness("prices", prices.ready)

    journal = TradingJournal(queries)
    fold = FoldJournal(
        journal=journal,
        store=store,
        cache=cache,
        prices=prices,
    )
    consumer: JournalConsumer[BatchFacts] = JournalConsumer(
        "portfolio",
        read=fold.read,
        apply=fold.apply,
        transactions=mongo.transactions,
        database=mongo.database,
    )
    runtime.background("journal", consumer.run)
    bus = await runtime.bus()
    await bus.subscribe(journal_advanced(consumer.ring))
    amount = settings.practice_money
    await bus.subscribe(user_verified(None if amount is None else PayPracticeMoney(ledger=ledger, amount=amount)))

    get_portfolio = GetPortfolio(
        ledger=ledger,
        store=store,
        cache=cache,
        prices=prices,
        await_fold=AwaitFold(journal=journal, progress=consumer, clock=runtime.clock),
        clock=runtime.clock,
    )
    runtime.on_stop(get_portfolio.close)
    runtime.add_servicer(
        add_PortfolioServiceServicer_to_server,
        PortfolioServicer(get_portfolio=get_portfolio),
        "cryptovault.portfolio.v1.PortfolioService",
    )
