# ruff: noqa: N802 - the contract's names, grpc's signature
"""TradingQueryService: the caller's own orders, fills and events; the journal for folds in other services."""

from typing import Any

from chassis.errors import ErrorKind, InvalidArgument, ServiceError
from chassis.identity import current_caller
from cryptovault.trading.v1 import trading_pb2, trading_pb2_grpc

from trading.api.fresh_reads import ProjectionBehind, answering, is_fresh, time_left
from trading.api.ledger_servicer import LedgerServicer
from trading.api.messages import order_message, timestamp
from trading.domain.errors import UnknownMarket
from trading.domain.markets import Market
from trading.domain.moments import milliseconds_of
from trading.projector.event_log import EventLog
from trading.projector.fill_reader import FillReader, fill_of_row
from trading.projector.journal_reader import JournalReader
from trading.projector.ledger_reader import LedgerReader
from trading.projector.projector import Projector
from trading.storage.documents import OrderDocument
from trading.storage.order_queries import OrderQueries
from trading.storage.rows import view_of_document
from trading.storage.tape import Tape

JOURNAL_WAIT_SECONDS_MAX = 5.0
SEQUENCE_MAX = 2**63 - 1


class OrderNotFound(ServiceError):
    """Also another's order: whether it exists is nobody's business."""

    kind = ErrorKind.NOT_FOUND
    reason = "order_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such order.")


class TradingQueryServicer(LedgerServicer, trading_pb2_grpc.TradingQueryServiceServicer):
    def __init__(
        self,
        *,
        projector: Projector,
        queries: OrderQueries,
        tape: Tape,
        event_log: EventLog,
        journal_reader: JournalReader,
        ledger: LedgerReader,
        fills: FillReader,
    ) -> None:
        self._projector = projector
        self._tape = tape
        self._ledger = ledger
        self._fills = fills
        self._queries = queries
        self._event_log = event_log
        self._journal_reader = journal_reader

    async def GetOrder(self, request: trading_pb2.GetOrderRequest, context: Any) -> trading_pb2.GetOrderResponse:
        user_id = current_caller().required_user()
        fresh = await is_fresh(self._projector, request.at_least_batch, context)
        document = await self._queries.get(user_id, request.order_id)
        order, fills = self._whole(document, fresh=fresh)
        return trading_pb2.GetOrderResponse(order=order, fills=fills, behind=not fresh)

    async def GetOrderByClientId(
        self, request: trading_pb2.GetOrderByClientIdRequest, context: Any
    ) -> trading_pb2.GetOrderByClientIdResponse:
        user_id = current_caller().required_user()
        fresh = await is_fresh(self._projector, request.at_least_batch, context)
        document = await self._queries.by_client_id(user_id, request.client_order_id)
        order, fills = self._whole(document, fresh=fresh)
        return trading_pb2.GetOrderByClientIdResponse(order=order, fills=fills, behind=not fresh)

    async def ListOrders(self, request: trading_pb2.ListOrdersRequest, context: Any) -> trading_pb2.ListOrdersResponse:
        user_id = current_caller().required_user()
        fresh = await is_fresh(self._projector, request.at_least_batch, context)
        page = await self._queries.page(
            user_id, market=request.market, status=request.status, limit=request.limit, cursor=request.cursor
        )
        orders = [self._order(document) for document in page.orders]
        return trading_pb2.ListOrdersResponse(orders=orders, next_cursor=page.next_cursor, behind=not fresh)

    async def ListFills(self, request: trading_pb2.ListFillsRequest, context: Any) -> trading_pb2.ListFillsResponse:
        user_id = current_caller().required_user()
        fresh = await is_fresh(self._projector, request.at_least_batch, context)
        with answering():
            page = await self._fills.page(
                user_id, market=request.market, order_id=request.order_id, limit=request.limit, cursor=request.cursor
            )
        return trading_pb2.ListFillsResponse(fills=page.fills, next_cursor=page.next_cursor, behind=not fresh)

    async def ListUserEvents(
        self, request: trading_pb2.ListUserEventsRequest, context: Any
    ) -> trading_pb2.ListUserEventsResponse:
        user_id = current_caller().required_user()
        fresh = await is_fresh(self._projector, request.at_least_batch, context)
        with answering():
            page = await self._event_log.read(user_id, after=request.after_sequence, limit=request.limit)
        return trading_pb2.ListUserEventsResponse(events=page.events, more=page.more, behind=not fresh)

    async def ListTrades(self, request: trading_pb2.ListTradesRequest, context: Any) -> trading_pb2.ListTradesResponse:
        if request.limit < 0 or max(request.before, request.after) > SEQUENCE_MAX:
            raise InvalidArgument("There is no such place on the tape.", field="before", rule="range")
        fresh = await is_fresh(self._projector, request.at_least_batch, context)
        market_state = self._projector.fold.state.markets.get(request.market)
        if market_state is None:
            raise UnknownMarket(market=request.market)
        page = await self._tape.page(
            request.market,
            before=request.before,
            after=request.after,
            limit=request.limit,
            newest=market_state.tape_sequence,
        )
        return trading_pb2.ListTradesResponse(
            trades=[
                trading_pb2.PublicTrade(
                    id=trade.id,
                    market=request.market,
                    price=trade.price,
                    quantity=trade.quantity,
                    taker_side=trade.taker_side,
                    time=timestamp(milliseconds_of(trade.time)),
                    sequence=trade.sequence,
                )
                for trade in page.trades
            ],
            more=page.more,
            behind=not fresh,
        )

    async def ReadJournal(
        self, request: trading_pb2.ReadJournalRequest, context: Any
    ) -> trading_pb2.ReadJournalResponse:
        if request.limit < 0 or request.wait_milliseconds < 0:
            raise InvalidArgument("Not below zero.", field="limit", rule="minimum", limit="0")
        if request.wait_milliseconds:
            wait = min(request.wait_milliseconds / 1000, JOURNAL_WAIT_SECONDS_MAX, time_left(context))
            await self._projector.reached(request.after_batch + 1, wait)
        head = self._projector.batch  # as it is now: by the end of the reply it may be further
        with answering():
            batches = await self._journal_reader.read(request.after_batch, request.limit)
        return trading_pb2.ReadJournalResponse(batches=batches, head=head)

    def _whole(
        self, document: OrderDocument | None, *, fresh: bool
    ) -> tuple[trading_pb2.Order, list[trading_pb2.Fill]]:
        if document is None:
            raise OrderNotFound if fresh else ProjectionBehind
        market = self._market(document.trading_pair)
        fills = [fill_of_row(document, fill, market) for fill in document.fills]
        return self._order(document), fills

    def _order(self, document: OrderDocument) -> trading_pb2.Order:
        market = self._market(document.trading_pair)
        return order_message(view_of_document(document, market), market)

    def _market(self, symbol: str) -> Market:
        return self._projector.fold.state.markets[symbol].market
