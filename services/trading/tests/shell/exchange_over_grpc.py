"""Both services of the exchange over real gRPC, on the real journal; orders as messages."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from chassis.clock import SystemClock
from chassis.grpc_client import open_channel
from chassis.identity import Caller, use_caller
from chassis.mongo import MongoDatabase
from chassis.testing import serve
from chassis.testing.services import identity_of
from cryptovault.trading.v1 import operator_pb2_grpc, trading_pb2, trading_pb2_grpc
from shell_factory import NoHistory, Shell
from trading.api.books import Books
from trading.api.operator_servicer import OperatorServicer
from trading.api.previews import Previews
from trading.api.query_servicer import TradingQueryServicer
from trading.api.trading_servicer import TradingServicer
from trading.api.watch import Watchers
from trading.domain.default_markets import default_assets, default_markets
from trading.domain.state import Limits
from trading.projector.event_log import EventLog
from trading.projector.fill_reader import FillReader
from trading.projector.journal_reader import JournalReader
from trading.projector.ledger_reader import LedgerReader
from trading.projector.projector import Projector
from trading.sequencer.journal_time import JournalTime
from trading.sequencer.open_markets import OpenMarkets
from trading.sequencer.reference_prices import ReferencePrices
from trading.sequencer.sequencer import Sequencer
from trading.storage.balance_points import BalancePoints
from trading.storage.journal import MongoJournal
from trading.storage.order_queries import OrderQueries
from trading.storage.projection import Projection
from trading.storage.tape import Tape

BOOK_CADENCE_SECONDS = 0.01


class Exchange:
    """Both servicers over real gRPC, on the real journal."""

    def __init__(self, address: str, shell: Shell, watchers: Watchers, projector: Projector) -> None:
        self.address = address
        self.channel = open_channel(address, to="trading", identity=identity_of("gateway"), deadline_seconds=30)
        self.portfolios_channel = open_channel(
            address, to="trading", identity=identity_of("portfolio"), deadline_seconds=30
        )
        self.trading = trading_pb2_grpc.TradingServiceStub(self.channel)
        self.queries = trading_pb2_grpc.TradingQueryServiceStub(self.channel)
        self.operator = operator_pb2_grpc.TradingOperatorServiceStub(self.channel)
        # What only other services may ask: movements of money, and the journal.
        self.ledger = trading_pb2_grpc.TradingServiceStub(self.portfolios_channel)
        self.journal = trading_pb2_grpc.TradingQueryServiceStub(self.portfolios_channel)
        self.shell = shell
        self.watchers = watchers
        self.projector = projector
        self.correlation = 0

    async def pay(self, user: str, amount: str, key: str) -> trading_pb2.TransferResponse:
        leg = trading_pb2.TransferLeg(
            asset="USD", amount=amount, debit_account="external", credit_account=f"user:{user}"
        )
        request = trading_pb2.TransferRequest(business_key=key, kind="practice_money", legs=[leg])
        reply: trading_pb2.TransferResponse = await self.ledger.Transfer(request, timeout=30)
        return reply

    def request(self, user: str, key: str = "", **command: Any) -> trading_pb2.EnterOrdersRequest:
        self.correlation += 1
        deadline = command.pop("deadline_milliseconds", self.shell.now + 5_000)
        return trading_pb2.EnterOrdersRequest(
            correlation_id=self.correlation,
            principal=trading_pb2.Principal(user_id=user, session_id="s", request_id=f"request-{self.correlation}"),
            idempotency_key=key, deadline_milliseconds=deadline, **command,
        )  # fmt: skip

    async def ask(self, *requests: trading_pb2.EnterOrdersRequest) -> list[trading_pb2.EnterOrdersResponse]:
        """All answers on one stream, in the requests' order."""
        call: Any = self.trading.EnterOrders()
        for request in requests:
            await call.write(request)
        answers: dict[int, trading_pb2.EnterOrdersResponse] = {}
        while len(answers) < sum(1 + len(request.further) for request in requests):
            message = await call.read()
            answers |= {answer.correlation_id: answer for answer in (message, *message.further)}
        await call.done_writing()
        return [answers[one.correlation_id] for request in requests for one in (request, *request.further)]


@contextlib.asynccontextmanager
async def running_exchange(mongo_journal: MongoJournal, mongo_database: MongoDatabase) -> AsyncIterator[Exchange]:
    clock, prices = SystemClock(), ReferencePrices()
    time = JournalTime(clock)
    sequencer = Sequencer(
        journal=mongo_journal,
        history=NoHistory(),
        prices=prices,
        time=time,
        may_lead=lambda: True,
        writer="w",
        limits=Limits(),
    )
    watchers = Watchers(lambda: sequencer.state, sequencer.settled)
    sequencer.on_batch(watchers.publish)
    await sequencer.lead()
    projector = Projector(mongo_journal, Projection(mongo_database))
    queries = OrderQueries(projector.unwritten, projector.owner)
    await projector.catch_up()
    tasks = [asyncio.create_task(sequencer.run()), asyncio.create_task(projector.run())]
    shell = Shell(sequencer, prices, clock, tasks[0], time)  # type: ignore[arg-type]  # real time here
    await OpenMarkets(sequencer, default_assets(), default_markets())()
    shell.tick()
    books = Books(sequencer=sequencer, prices=prices, time=time, cadence_seconds=BOOK_CADENCE_SECONDS)
    servicer = TradingServicer(
        sequencer=sequencer,
        watchers=watchers,
        books=books,
        previews=Previews(sequencer=sequencer, prices=prices, time=time),
        time=time,
    )
    query_servicer = TradingQueryServicer(
        projector=projector,
        queries=queries,
        tape=Tape(mongo_database, projector.unwritten),
        event_log=EventLog(journal=mongo_journal, queries=queries, projector=projector),
        journal_reader=JournalReader(journal=mongo_journal, queries=queries, projector=projector),
        ledger=LedgerReader(journal=mongo_journal, projector=projector, points=BalancePoints()),
        fills=FillReader(journal=mongo_journal, queries=queries, projector=projector),
    )
    add, add_queries = (
        trading_pb2_grpc.add_TradingServiceServicer_to_server,
        trading_pb2_grpc.add_TradingQueryServiceServicer_to_server,
    )
    async with serve(
        [
            (add, servicer, "cryptovault.trading.v1.TradingService"),
            (add_queries, query_servicer, "cryptovault.trading.v1.TradingQueryService"),
            (
                operator_pb2_grpc.add_TradingOperatorServiceServicer_to_server,
                OperatorServicer(sequencer=sequencer, prices=prices, time=time),
                "cryptovault.trading.v1.TradingOperatorService",
            ),
        ],
        plays="trading",
    ) as address:
        running = Exchange(address, shell, watchers, projector)
        yield running
        await running.channel.close()
        await running.portfolios_channel.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def buy(amount: str, **more: Any) -> dict[str, Any]:
    return {
        "place_order": trading_pb2.PlaceOrder(
            market="BTC-USD", side="buy", type="market", quote_quantity=amount, **more
        )
    }


def rest(side: str, quantity: str, price: str) -> dict[str, Any]:
    return {
        "place_order": trading_pb2.PlaceOrder(market="BTC-USD", side=side, type="limit", quantity=quantity, price=price)
    }


async def logged_events(exchange: Exchange, caller: Caller) -> list[trading_pb2.UserEvent]:
    """The caller's whole log, read in small pages."""
    with use_caller(caller):
        head = await exchange.trading.GetBalances(trading_pb2.GetBalancesRequest())
        logged: list[trading_pb2.UserEvent] = []
        more = True
        while more:
            request = trading_pb2.ListUserEventsRequest(after_sequence=len(logged), limit=2, at_least_batch=head.batch)
            page = await exchange.queries.ListUserEvents(request)
            logged += page.events
            more = page.more
    assert [event.sequence for event in logged] == list(range(1, head.sequence + 1))
    last = {balance.asset: balance for event in logged for balance in event.balances}
    assert sorted(last.values(), key=lambda balance: balance.asset) == list(head.balances)
    return logged
