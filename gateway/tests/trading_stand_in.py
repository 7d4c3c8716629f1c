"""Stand-ins for the exchange: its leader, its operator service and its projector."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from chassis.errors import ErrorKind, RemoteError
from chassis.failures import failure_of
from chassis.identity import Caller, current_caller
from cryptovault.trading.v1 import operator_pb2, operator_pb2_grpc, trading_pb2, trading_pb2_grpc
from facts import NOW, ORDER, USER

ASSETS = {"BTC": "Bitcoin", "TRX": "TRON", "USD": "US Dollar"}


def order(order_id: str = ORDER, **changes: Any) -> trading_pb2.Order:
    fields: dict[str, Any] = {
        "id": order_id, "user_id": USER, "market": "BTC-USD", "side": "buy", "type": "limit", "status": "open",
        "quantity": "0.5", "price": "50000", "filled_quantity": "0", "filled_quote_quantity": "0",
        "time_in_force": "gtc", "created_at": NOW, "updated_at": NOW, "batch": 1, **changes,
    }  # fmt: skip
    return trading_pb2.Order(**fields)


def fill(number: int = 1) -> trading_pb2.Fill:
    return trading_pb2.Fill(
        id=f"fill-{number}", order_id=ORDER, market="BTC-USD", side="buy", price="50000", quantity="0.5", fee="25",
        fee_asset="USD", liquidity="taker", time=NOW,
    )  # fmt: skip


def event(sequence: int, *, batch: int = 0, user_id: str = USER, **content: Any) -> trading_pb2.UserEvent:
    return trading_pb2.UserEvent(user_id=user_id, sequence=sequence, batch=batch or sequence, time=NOW, **content)


def posting(sequence: int, **content: Any) -> trading_pb2.LedgerPosting:
    values: dict[str, Any] = {
        "asset": "USD", "amount": "-25.5", "balance_after": "74.5", "kind": "trade", "trade_id": "trade-1",
        "order_id": ORDER, "counterparties": ["house", "fees"], "time": NOW, "batch": sequence,
    }  # fmt: skip
    return trading_pb2.LedgerPosting(sequence=sequence, **{**values, **content})


def market(**changes: Any) -> trading_pb2.Market:
    fields: dict[str, Any] = {
        "symbol": "BTC-USD", "base_asset": "BTC", "quote_asset": "USD", "base_name": "Bitcoin", "status": "trading",
        "tick": "0.01", "lot": "0.00001", "min_notional": "1", "max_quantity": "1000", "maker_fee_basis_points": 10,
        "taker_fee_basis_points": 20, "price_band_basis_points": 1000, "slippage_cap_basis_points": 100,
        "max_open_orders": 200,
        "fee_tiers": [
            trading_pb2.FeeTier(volume="100000", maker_fee_basis_points=8, taker_fee_basis_points=18)
        ],
        "circuit_breaker": trading_pb2.CircuitBreaker(
            move_basis_points=1000, window_milliseconds=60_000, pause_milliseconds=1_500
        ),
        **changes,
    }  # fmt: skip
    return trading_pb2.Market(**fields)


def market_rules() -> operator_pb2.MarketRules:
    return operator_pb2.MarketRules(
        market=market(status="paused", paused_until=NOW), version=3, status="trading", house_position="-0.5",
        house=operator_pb2.House(
            levels=10, half_spread_basis_points=5, step_basis_points=5, level_quantity="1", inventory_limit="300",
            refill_per_second="0.1",
        ),
        sources=[operator_pb2.PriceSource(name="simulator", maximum_age_milliseconds=3_000)],
        silence_limit_milliseconds=3_000,
    )  # fmt: skip


def public_trade(sequence: int, market: str = "BTC-USD") -> trading_pb2.PublicTrade:
    return trading_pb2.PublicTrade(
        id=f"trade-{sequence}", market=market, price="50000", quantity="0.5", taker_side="buy", time=NOW,
        sequence=sequence,
    )  # fmt: skip


def levels(found: dict[str, str] | None) -> list[trading_pb2.BookLevel]:
    return [trading_pb2.BookLevel(price=price, quantity=quantity) for price, quantity in (found or {}).items()]


class Trading(trading_pb2_grpc.TradingServiceServicer):
    """Remembers the commands by key, as the exchange does."""

    def __init__(self) -> None:
        self.watchers: list[asyncio.Queue[trading_pb2.WatchEventsResponse | None]] = []
        self.book_watchers: list[asyncio.Queue[trading_pb2.WatchBookResponse | None]] = []
        self.reset()

    def reset(self) -> None:
        self.commands: list[trading_pb2.EnterOrdersRequest] = []
        self.previews: list[trading_pb2.PlaceOrder] = []
        self.by_key: dict[str, trading_pb2.EnterOrdersResponse] = {}
        self.not_cancelled: list[trading_pb2.NotCancelled] = []
        self.error: Exception | None = None
        # How many commands to swallow: taken, answered never.
        self.silent = 0
        # How many streams to break right after a command took effect and before its answer.
        self.break_after_effect = 0
        self.batch = 7
        self.sequence = 0
        self.balance_requests = 0
        self.market_requests = 0
        self.market_status = "trading"
        self.book_requests: list[trading_pb2.WatchBookRequest] = []
        self.book = trading_pb2.WatchBookResponse(
            snapshot=True, bids=levels({"49999": "1", "50000": "2"}), asks=levels({"50001": "3"}), time=NOW
        )

    async def EnterOrders(  # noqa: N802
        self, request_iterator: AsyncIterator[trading_pb2.EnterOrdersRequest], context: Any
    ) -> AsyncIterator[trading_pb2.EnterOrdersResponse]:
        async for message in request_iterator:
            for request in (message, *message.further):
                self.commands.append(request)
                if self.silent:
                    self.silent -= 1
                    continue
                response = self._answer(request)
                if self.break_after_effect:
                    self.break_after_effect -= 1
                    return
                yield response

    def _answer(self, request: trading_pb2.EnterOrdersRequest) -> trading_pb2.EnterOrdersResponse:
        if self.error is not None:
            return trading_pb2.EnterOrdersResponse(
                correlation_id=request.correlation_id, failure=failure_of(self.error)
            )
        # As the exchange knows a repeat: by its key, without one by the client order id.
        key = request.idempotency_key or f"client order id {request.place_order.client_order_id}"
        known = self.by_key.get(key)
        answer = trading_pb2.EnterOrdersResponse()
        if known is not None:
            answer.CopyFrom(known)
            (answer.result if answer.HasField("result") else answer.cancelled).replayed = True
        elif request.HasField("cancel_orders"):
            answer.cancelled.CopyFrom(
                trading_pb2.CancelOrdersResult(order_ids=[ORDER], not_cancelled=self.not_cancelled, batch=self.batch)
            )
        else:
            self.batch += 1
            placed = order(status="cancelled") if request.HasField("cancel_order") else order()
            placed.client_order_id = request.place_order.client_order_id
            answer.result.CopyFrom(
                trading_pb2.OrderResult(
                    order=placed, fills=[fill()], batch=self.batch,
                    balances=[trading_pb2.Balance(asset="USD", available="9975", held="25000")],
                )
            )  # fmt: skip
        self.by_key[key] = answer
        reply = trading_pb2.EnterOrdersResponse()
        reply.CopyFrom(answer)
        reply.correlation_id = request.correlation_id
        return reply

    async def WatchEvents(  # noqa: N802
        self, request: Any, context: Any
    ) -> AsyncIterator[trading_pb2.WatchEventsResponse]:
        queue: asyncio.Queue[trading_pb2.WatchEventsResponse | None] = asyncio.Queue()
        self.watchers.append(queue)
        try:
            while (message := await queue.get()) is not None:
                yield message
        finally:
            self.watchers.remove(queue)

    def publish(self, *events: trading_pb2.UserEvent) -> None:
        batch = max((one.batch for one in events), default=self.batch)
        for queue in self.watchers:
            queue.put_nowait(trading_pb2.WatchEventsResponse(batch=batch, user_events=events))

    def trade(self, *sequences: int, market: str = "BTC-USD", batch: int = 0) -> None:
        """Trades on the event stream."""
        trades = [public_trade(sequence, market) for sequence in sequences]
        for queue in self.watchers:
            queue.put_nowait(trading_pb2.WatchEventsResponse(batch=batch or self.batch, trades=trades))

    async def WatchBook(  # noqa: N802
        self, request: Any, context: Any
    ) -> AsyncIterator[trading_pb2.WatchBookResponse]:
        self.book_requests.append(request)
        queue: asyncio.Queue[trading_pb2.WatchBookResponse | None] = asyncio.Queue()
        self.book_watchers.append(queue)
        try:
            yield self.book
            while (message := await queue.get()) is not None:
                yield message
        finally:
            self.book_watchers.remove(queue)

    def change_book(self, *, bids: dict[str, str] | None = None, asks: dict[str, str] | None = None) -> None:
        for queue in self.book_watchers:
            queue.put_nowait(trading_pb2.WatchBookResponse(bids=levels(bids), asks=levels(asks), time=NOW))

    def break_books(self) -> None:
        for queue in self.book_watchers:
            queue.put_nowait(None)

    async def GetFees(self, request: Any, context: Any) -> trading_pb2.GetFeesResponse:  # noqa: N802
        current_caller().required_user()
        fees = trading_pb2.MarketFees(
            market="BTC-USD", quote_asset="USD", maker_fee_basis_points=8, taker_fee_basis_points=18, tier=1,
            volume_30d="150000.5", next_tier=trading_pb2.FeeTier(volume="1000000", maker_fee_basis_points=6),
        )  # fmt: skip
        return trading_pb2.GetFeesResponse(markets=[fees])

    def break_watchers(self) -> None:
        for queue in self.watchers:
            queue.put_nowait(None)

    async def GetBalances(self, request: Any, context: Any) -> trading_pb2.GetBalancesResponse:  # noqa: N802
        current_caller().required_user()
        self.balance_requests += 1
        return trading_pb2.GetBalancesResponse(
            balances=[trading_pb2.Balance(asset="USD", available="10000", held="0")], batch=self.batch,
            sequence=self.sequence,
        )  # fmt: skip

    async def GetBook(self, request: Any, context: Any) -> trading_pb2.GetBookResponse:  # noqa: N802
        if request.market != "BTC-USD":
            raise RemoteError(kind=ErrorKind.NOT_FOUND, reason="unknown_market", message="There is no such market.")
        levels = [trading_pb2.BookLevel(price=str(50_000 + step), quantity="1") for step in range(request.depth)]
        return trading_pb2.GetBookResponse(market="BTC-USD", batch=self.batch, asks=levels, time=NOW)

    async def PreviewOrder(self, request: Any, context: Any) -> trading_pb2.PreviewOrderResponse:  # noqa: N802
        current_caller().required_user()
        if self.error is not None:
            raise self.error
        self.previews.append(request.order)
        return trading_pb2.PreviewOrderResponse(
            order=order(), fills=[fill()], balances=[trading_pb2.Balance(asset="USD", available="9975", held="0")]
        )

    async def ListMarkets(self, request: Any, context: Any) -> trading_pb2.ListMarketsResponse:  # noqa: N802
        self.market_requests += 1
        # As after an operator added an asset: there is no market of it yet.
        assets = [trading_pb2.Asset(code=code, name=name) for code, name in ASSETS.items()]
        listed = market()
        listed.status = self.market_status
        return trading_pb2.ListMarketsResponse(markets=[listed], assets=assets)


class Operator(operator_pb2_grpc.TradingOperatorServiceServicer):
    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.requests: list[Any] = []
        self.callers: list[Caller] = []
        self.error: Exception | None = None
        self.replayed = False

    def _note(self, request: Any) -> None:
        self.requests.append(request)
        self.callers.append(current_caller())
        if self.error is not None:
            raise self.error

    async def ListMarketRules(self, request: Any, context: Any) -> operator_pb2.ListMarketRulesResponse:  # noqa: N802
        self._note(request)
        return operator_pb2.ListMarketRulesResponse(markets=[market_rules()])

    async def AddMarket(self, request: Any, context: Any) -> operator_pb2.AddMarketResponse:  # noqa: N802
        self._note(request)
        return operator_pb2.AddMarketResponse(rules=market_rules(), replayed=self.replayed)

    async def AddAsset(self, request: Any, context: Any) -> operator_pb2.AddAssetResponse:  # noqa: N802
        self._note(request)
        asset = operator_pb2.AssetState(code=request.code, name=request.name, scale=request.scale)
        return operator_pb2.AddAssetResponse(asset=asset, replayed=self.replayed)

    async def ChangeMarket(self, request: Any, context: Any) -> operator_pb2.ChangeMarketResponse:  # noqa: N802
        self._note(request)
        return operator_pb2.ChangeMarketResponse(rules=market_rules(), replayed=self.replayed)

    async def ResumeMarket(self, request: Any, context: Any) -> operator_pb2.ResumeMarketResponse:  # noqa: N802
        self._note(request)
        return operator_pb2.ResumeMarketResponse(rules=market_rules())

    async def SetUserFees(self, request: Any, context: Any) -> operator_pb2.SetUserFeesResponse:  # noqa: N802
        self._note(request)
        return operator_pb2.SetUserFeesResponse()

    async def ListAssets(self, request: Any, context: Any) -> operator_pb2.ListAssetsResponse:  # noqa: N802
        self._note(request)
        frozen = operator_pb2.AssetState(code="BTC", name="Bitcoin", frozen_because="M6 user:x/BTC: has 2")
        return operator_pb2.ListAssetsResponse(assets=[frozen, operator_pb2.AssetState(code="USD", name="US Dollar")])

    async def UnfreezeAsset(self, request: Any, context: Any) -> operator_pb2.UnfreezeAssetResponse:  # noqa: N802
        self._note(request)
        return operator_pb2.UnfreezeAssetResponse(asset=operator_pb2.AssetState(code=request.asset, name="Bitcoin"))


class Queries(trading_pb2_grpc.TradingQueryServiceServicer):
    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.requests: list[Any] = []
        self.callers: list[Caller] = []
        self.behind = False
        self.events: list[trading_pb2.UserEvent] = []
        self.postings: list[trading_pb2.LedgerPosting] = []
        self.postings_per_page = 50
        self.events_by: dict[int, int] = {}  # how many there were by that second
        self.fail_after = -1  # requests that are still answered before the service breaks; below 0: for ever
        self.tape: list[int] = []
        self.error: Exception | None = None

    def _note(self, request: Any) -> None:
        self.requests.append(request)
        self.callers.append(current_caller())
        if self.error is not None:
            raise self.error
        if self.fail_after == 0:
            raise RemoteError(kind=ErrorKind.UNAVAILABLE, reason="unavailable", message="Not now.")
        self.fail_after -= 1

    async def GetOrder(self, request: Any, context: Any) -> trading_pb2.GetOrderResponse:  # noqa: N802
        self._note(request)
        if request.order_id != ORDER or current_caller().user_id != USER:
            raise RemoteError(kind=ErrorKind.NOT_FOUND, reason="unknown_order", message="There is no such order.")
        return trading_pb2.GetOrderResponse(order=order(), fills=[fill()], behind=self.behind)

    async def GetOrderByClientId(self, request: Any, context: Any) -> trading_pb2.GetOrderByClientIdResponse:  # noqa: N802
        self._note(request)
        found = order(client_order_id=request.client_order_id)
        return trading_pb2.GetOrderByClientIdResponse(order=found, fills=[], behind=self.behind)

    async def ListOrders(self, request: Any, context: Any) -> trading_pb2.ListOrdersResponse:  # noqa: N802
        self._note(request)
        return (
            trading_pb2.ListOrdersResponse(orders=[order()], next_cursor="next", behind=self.behind)
            if (request.limit < 200)
            else trading_pb2.ListOrdersResponse(orders=[order()], behind=self.behind)
        )

    async def ListFills(self, request: Any, context: Any) -> trading_pb2.ListFillsResponse:  # noqa: N802
        self._note(request)
        return trading_pb2.ListFillsResponse(fills=[fill()], behind=self.behind)

    async def ListPostings(self, request: Any, context: Any) -> trading_pb2.ListPostingsResponse:  # noqa: N802
        self._note(request)
        start = int(request.cursor or 0)
        page = self.postings[start : start + self.postings_per_page]
        end = start + len(page)
        return trading_pb2.ListPostingsResponse(
            postings=page, next_cursor=str(end) if end < len(self.postings) else "", behind=self.behind
        )

    async def GetBalancesAsOf(self, request: Any, context: Any) -> trading_pb2.GetBalancesAsOfResponse:  # noqa: N802
        self._note(request)
        sequence = request.sequence or self.events_by.get(request.time.seconds, 0)
        return trading_pb2.GetBalancesAsOfResponse(
            balances=[trading_pb2.Balance(asset="USD", available="7", held="1")], sequence=sequence, batch=3,
            time=NOW, behind=self.behind,
        )  # fmt: skip

    async def ListTrades(self, request: Any, context: Any) -> trading_pb2.ListTradesResponse:  # noqa: N802
        self._note(request)
        found = [one for one in sorted(self.tape, reverse=True) if one > request.after]
        found = [one for one in found if not request.before or one < request.before]
        return trading_pb2.ListTradesResponse(
            trades=[public_trade(one) for one in found[: request.limit]],
            more=len(found) > request.limit,
            behind=self.behind,
        )

    async def ListUserEvents(self, request: Any, context: Any) -> trading_pb2.ListUserEventsResponse:  # noqa: N802
        self._note(request)
        later = [one for one in self.events if one.sequence > request.after_sequence]
        return trading_pb2.ListUserEventsResponse(
            events=later[: request.limit], more=len(later) > request.limit, behind=self.behind
        )
