# ruff: noqa: N802, ARG002 - the contract's names, grpc's signature
"""TradingService: translate, ask the sequencer, translate."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from chassis.clock import Clock
from chassis.errors import InvalidArgument
from chassis.identity import current_caller
from cryptovault.trading.v1 import trading_pb2, trading_pb2_grpc

from trading.api import parsing
from trading.api.messages import balance_message, market_message, timestamp
from trading.api.order_entry import OrderEntry
from trading.api.watch import Watchers
from trading.domain.commands import Actor, Command
from trading.domain.errors import UnknownMarket
from trading.domain.markets import Market
from trading.domain.queries import Depth, balances, depth, user_cursor
from trading.domain.state import ExchangeState
from trading.sequencer.future_ticket import FutureTicket
from trading.sequencer.reference_prices import ReferencePrices
from trading.sequencer.sequencer import Sequencer
from trading.sequencer.tickets import Committed

DEPTH_DEFAULT = 20
DEPTH_MAX = 100  # a book view of one screen shows 20
TRANSFER_DEADLINE_SECONDS = 2.0


class TradingServicer(trading_pb2_grpc.TradingServiceServicer):
    def __init__(self, *, sequencer: Sequencer, watchers: Watchers, prices: ReferencePrices, clock: Clock) -> None:
        self._sequencer = sequencer
        self._watchers = watchers
        self._prices = prices
        self._clock = clock
        self._order_entry = OrderEntry(sequencer, clock)

    def EnterOrders(
        self, request_iterator: AsyncIterator[trading_pb2.EnterOrdersRequest], context: Any
    ) -> AsyncIterator[trading_pb2.EnterOrdersResponse]:
        return self._order_entry.serve(request_iterator)

    def WatchEvents(
        self, request: trading_pb2.WatchEventsRequest, context: Any
    ) -> AsyncIterator[trading_pb2.WatchEventsResponse]:
        return self._watchers.watch()

    async def Transfer(self, request: trading_pb2.TransferRequest, context: Any) -> trading_pb2.TransferResponse:
        command = parsing.transfer(request, self._sequencer.state, _actor(request.business_key))
        outcome = await self._enter(command, context)
        return trading_pb2.TransferResponse(
            transfer_id=outcome.transfer_id, batch=outcome.batch, replayed=outcome.replayed
        )

    async def HoldTransfer(
        self, request: trading_pb2.HoldTransferRequest, context: Any
    ) -> trading_pb2.HoldTransferResponse:
        command = parsing.hold_transfer(request, self._sequencer.state, _actor(request.business_key))
        outcome = await self._enter(command, context)
        return trading_pb2.HoldTransferResponse(
            transfer_id=outcome.transfer_id, batch=outcome.batch, replayed=outcome.replayed
        )

    async def PostTransfer(
        self, request: trading_pb2.PostTransferRequest, context: Any
    ) -> trading_pb2.PostTransferResponse:
        command = parsing.post_transfer(request, self._sequencer.state, _actor(request.business_key))
        outcome = await self._enter(command, context)
        return trading_pb2.PostTransferResponse(
            transfer_id=outcome.transfer_id, batch=outcome.batch, replayed=outcome.replayed
        )

    async def VoidTransfer(
        self, request: trading_pb2.VoidTransferRequest, context: Any
    ) -> trading_pb2.VoidTransferResponse:
        command = parsing.void_transfer(request, _actor(request.business_key))
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
        if not 0 <= request.depth <= DEPTH_MAX:
            raise InvalidArgument("The depth is too large.", field="depth", rule="maximum", limit=str(DEPTH_MAX))
        levels = request.depth or DEPTH_DEFAULT
        now = int(self._clock.now().timestamp() * 1000)

        def question(state: ExchangeState) -> trading_pb2.GetBookResponse:
            if request.market not in state.markets:
                raise UnknownMarket(market=request.market)
            found = self._depth(state, request.market, levels, now)
            market = state.markets[request.market].market
            return trading_pb2.GetBookResponse(
                market=request.market,
                batch=state.batch_number,
                bids=[_level(market, level.price, level.quantity) for level in found.bids],
                asks=[_level(market, level.price, level.quantity) for level in found.asks],
                time=timestamp(now),
            )

        return await self._sequencer.read(question)

    async def ListMarkets(
        self, request: trading_pb2.ListMarketsRequest, context: Any
    ) -> trading_pb2.ListMarketsResponse:
        return await self._sequencer.read(
            lambda state: trading_pb2.ListMarketsResponse(
                markets=[market_message(market.market, state.assets) for _, market in sorted(state.markets.items())]
            )
        )

    def _depth(self, state: ExchangeState, symbol: str, levels: int, now: int) -> Depth:
        """The journal holds a tick only once it was used; what is shown stands around the newest one."""
        market_state = state.markets[symbol]
        reference = self._prices.as_reference(symbol, now) or market_state.reference
        shown = ExchangeState(markets={symbol: replace(market_state, reference=reference)})
        return depth(shown, symbol, levels, time_milliseconds=now)

    async def _enter(self, command: Command, context: Any) -> Committed:
        remaining = min(context.time_remaining() or TRANSFER_DEADLINE_SECONDS, TRANSFER_DEADLINE_SECONDS)
        deadline = int((self._clock.now().timestamp() + remaining) * 1000)
        ticket = FutureTicket(command, deadline)
        self._sequencer.enter(ticket)
        return await ticket.outcome


def _actor(business_key: str) -> Actor:
    """Who asks. A service that acts on its own, without a request behind it, is traced by the business key."""
    caller = current_caller()
    return Actor(
        caller.user_id or "",
        caller.session_id or caller.service,
        caller.request_id or business_key,
        caller.address or "",
    )


def _level(market: Market, price: int, quantity: int) -> trading_pb2.BookLevel:
    return trading_pb2.BookLevel(price=market.price_text(price), quantity=market.quantity_text(quantity))
