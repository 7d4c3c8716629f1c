# ruff: noqa: N802, ARG002 - the contract's names, grpc's signature
"""TradingService: translate, ask the sequencer, translate."""

from collections.abc import AsyncIterator
from typing import Any

from chassis.errors import InvalidArgument
from chassis.identity import current_caller
from cryptovault.trading.v1 import trading_pb2, trading_pb2_grpc

from trading.api import parsing
from trading.api.books import Books
from trading.api.messages import balance_message, fees_message, market_message
from trading.api.order_entry import OrderEntry
from trading.api.previews import Previews
from trading.api.unary_commands import actor_of_caller, enter
from trading.api.watch import Watchers
from trading.domain.accounts import owner_of_user
from trading.domain.commands import Command
from trading.domain.fees import fee_standing
from trading.domain.queries import balances, user_cursor
from trading.domain.state import ExchangeState
from trading.sequencer.journal_time import JournalTime
from trading.sequencer.sequencer import Sequencer
from trading.sequencer.tickets import Committed

DEPTH_DEFAULT = 20
DEPTH_MAX = 100  # a book view of one screen shows 20


class TradingServicer(trading_pb2_grpc.TradingServiceServicer):
    def __init__(
        self, *, sequencer: Sequencer, watchers: Watchers, books: Books, previews: Previews, time: JournalTime
    ) -> None:
        self._sequencer = sequencer
        self._watchers = watchers
        self._books = books
        self._previews = previews
        self._time = time
        self._order_entry = OrderEntry(sequencer, time)

    def EnterOrders(
        self, request_iterator: AsyncIterator[trading_pb2.EnterOrdersRequest], context: Any
    ) -> AsyncIterator[trading_pb2.EnterOrdersResponse]:
        return self._order_entry.serve(request_iterator)

    def WatchEvents(
        self, request: trading_pb2.WatchEventsRequest, context: Any
    ) -> AsyncIterator[trading_pb2.WatchEventsResponse]:
        return self._watchers.watch()

    async def Transfer(self, request: trading_pb2.TransferRequest, context: Any) -> trading_pb2.TransferResponse:
        command = parsing.transfer(request, self._sequencer.leading_state(), actor_of_caller(request.business_key))
        outcome = await self._enter(command, context)
        return trading_pb2.TransferResponse(
            transfer_id=outcome.transfer_id, batch=outcome.batch, replayed=outcome.replayed
        )

    async def HoldTransfer(
        self, request: trading_pb2.HoldTransferRequest, context: Any
    ) -> trading_pb2.HoldTransferResponse:
        command = parsing.hold_transfer(request, self._sequencer.leading_state(), actor_of_caller(request.business_key))
        outcome = await self._enter(command, context)
        return trading_pb2.HoldTransferResponse(
            transfer_id=outcome.transfer_id, batch=outcome.batch, replayed=outcome.replayed
        )

    async def PostTransfer(
        self, request: trading_pb2.PostTransferRequest, context: Any
    ) -> trading_pb2.PostTransferResponse:
        command = parsing.post_transfer(request, self._sequencer.leading_state(), actor_of_caller(request.business_key))
        outcome = await self._enter(command, context)
        return trading_pb2.PostTransferResponse(
            transfer_id=outcome.transfer_id, batch=outcome.batch, replayed=outcome.replayed
        )

    async def VoidTransfer(
        self, request: trading_pb2.VoidTransferRequest, context: Any
    ) -> trading_pb2.VoidTransferResponse:
        command = parsing.void_transfer(request, actor_of_caller(request.business_key))
        outcome = await self._enter(command, context)
        return trading_pb2.VoidTransferResponse(
            transfer_id=outcome.transfer_id, batch=outcome.batch, replayed=outcome.replayed
        )

    async def GetBalances(
        self, request: trading_pb2.GetBalancesRequest, context: Any
    ) -> trading_pb2.GetBalancesResponse:
        user_id = current_caller().required_user()

        def question(state: ExchangeState) -> trading_pb2.GetBalancesResponse:
            cursor = user_cursor(state, user_id)
            return trading_pb2.GetBalancesResponse(
                balances=[balance_message(balance, state.assets) for balance in balances(state, user_id)],
                batch=cursor.batch,
                sequence=cursor.sequence,
            )

        return await self._sequencer.read(question)

    async def GetBook(self, request: trading_pb2.GetBookRequest, context: Any) -> trading_pb2.GetBookResponse:
        return await self._books.get(request.market, _levels(request.depth))

    def WatchBook(
        self, request: trading_pb2.WatchBookRequest, context: Any
    ) -> AsyncIterator[trading_pb2.WatchBookResponse]:
        return self._books.watch(request.market, _levels(request.depth))

    async def PreviewOrder(
        self, request: trading_pb2.PreviewOrderRequest, context: Any
    ) -> trading_pb2.PreviewOrderResponse:
        return await self._previews.preview(request.order)

    async def ListMarkets(
        self, request: trading_pb2.ListMarketsRequest, context: Any
    ) -> trading_pb2.ListMarketsResponse:
        now = self._now()
        return await self._sequencer.read(
            lambda state: trading_pb2.ListMarketsResponse(
                markets=[market_message(market, state.assets, now) for _, market in sorted(state.markets.items())],
                assets=[
                    trading_pb2.Asset(code=asset.code, name=asset.name) for _, asset in sorted(state.assets.items())
                ],
            )
        )

    async def GetFees(self, request: trading_pb2.GetFeesRequest, context: Any) -> trading_pb2.GetFeesResponse:
        owner = owner_of_user(current_caller().required_user())
        now = self._now()

        def question(state: ExchangeState) -> trading_pb2.GetFeesResponse:
            # A volume is asked for no earlier than its newest trade.
            time = max(now, state.batch_milliseconds)
            return trading_pb2.GetFeesResponse(
                markets=[
                    fees_message(fee_standing(state.owners.get(owner), market.market, time), market.market)
                    for _, market in sorted(state.markets.items())
                ]
            )

        return await self._sequencer.read(question)

    async def _enter(self, command: Command, context: Any) -> Committed:
        return await enter(self._sequencer, self._time, command, context)

    def _now(self) -> int:
        return self._time.now()


def _levels(depth: int) -> int:
    if not 0 <= depth <= DEPTH_MAX:
        raise InvalidArgument("The depth is too large.", field="depth", rule="maximum", limit=str(DEPTH_MAX))
    return depth or DEPTH_DEFAULT
