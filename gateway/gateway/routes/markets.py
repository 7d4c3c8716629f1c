"""Assets, markets, prices and books: what anybody may see."""

from typing import TYPE_CHECKING

from cryptovault.trading.v1 import trading_pb2
from starlette.requests import Request
from starlette.responses import Response

from gateway.admission.policy import Access, LimitClass
from gateway.clients.freshness import BEHIND_HEADER
from gateway.clients.newest_trades import NewestTrades
from gateway.edge.facts import facts_of
from gateway.edge.queries import read_path, read_query
from gateway.edge.replies import json_reply, ready_reply
from gateway.errors import PublicError, not_found, unavailable
from gateway.prices.board import PriceBoard, ReadyReply
from gateway.prices.shared_answer import SharedAnswer
from gateway.routes.endpoint import API, Endpoint
from gateway.schemas import markets as schemas
from gateway.schemas import queries
from gateway.views.markets import book_view, market_view, trade_view

if TYPE_CHECKING:
    from cryptovault.trading.v1.trading_pb2_grpc import (  # exist for type checkers only
        TradingQueryServiceAsyncStub,
        TradingServiceAsyncStub,
    )

Markets = SharedAnswer[dict[str, trading_pb2.Market]]
Assets = SharedAnswer[list[trading_pb2.Asset]]

_TAG = "markets"
_AGE = (
    "Up to 5 seconds old, its status too: a market that was halted shows within that time. Who changes a market reads "
    "the change at once where both go through one gateway."
)


class MarketRoutes:
    """The fast lane answers prices and tickers; here is what it leaves: errors, and the time before the first price."""

    def __init__(
        self,
        *,
        assets: Assets,
        markets: Markets,
        board: PriceBoard,
        trading: "TradingServiceAsyncStub",
        trading_queries: "TradingQueryServiceAsyncStub",
        newest_trades: NewestTrades,
    ) -> None:
        self._assets = assets
        self._markets = markets
        self._board = board
        self._trading = trading
        self._queries = trading_queries
        self._newest_trades = newest_trades

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                method="GET", path=f"{API}/assets", handler=self.list_assets, access=Access.PUBLIC,
                limit=LimitClass.MARKET_DATA, operation_id="listAssets", summary="All assets", tag=_TAG,
                description="What there can be balances of: coins with a market or without, and the dollar.",
                reply=schemas.AssetPage,
            ),
            Endpoint(
                method="GET", path=f"{API}/markets", handler=self.list_markets, access=Access.PUBLIC,
                limit=LimitClass.MARKET_DATA, operation_id="listMarkets", summary="All markets and their rules",
                description=_AGE, tag=_TAG, reply=schemas.MarketPage,
            ),
            Endpoint(
                method="GET", path=f"{API}/markets/{{symbol}}", handler=self.get_market, access=Access.PUBLIC,
                limit=LimitClass.MARKET_DATA, operation_id="getMarket", summary="One market and its rules", tag=_TAG,
                description=_AGE, path_fields=queries.MarketPath, reply=schemas.Market, errors=(404,),
            ),
            Endpoint(
                method="GET", path=f"{API}/prices", handler=self.list_prices, access=Access.PUBLIC,
                limit=LimitClass.MARKET_DATA, operation_id="listPrices", summary="All current prices, in USD",
                description="Ready-made: poll it with If-None-Match as often as your limit lets you.",
                tag=_TAG, reply=schemas.PriceList, may_lag=True, has_etag=True,
            ),
            Endpoint(
                method="GET", path=f"{API}/markets/{{symbol}}/ticker", handler=self.get_ticker, access=Access.PUBLIC,
                limit=LimitClass.MARKET_DATA, operation_id="getTicker", summary="One market's price and its day",
                description="A market that has no price yet says so: `price` and all about it are null.",
                tag=_TAG, path_fields=queries.MarketPath, reply=schemas.Ticker, errors=(404,), may_lag=True,
                has_etag=True,
            ),
            Endpoint(
                method="GET", path=f"{API}/markets/{{symbol}}/book", handler=self.get_book, access=Access.PUBLIC,
                limit=LimitClass.MARKET_DATA, operation_id="getBook", summary="One market's order book", tag=_TAG,
                path_fields=queries.MarketPath, query=queries.BookQuery, reply=schemas.Book, errors=(404,),
            ),
            Endpoint(
                method="GET", path=f"{API}/markets/{{symbol}}/trades", handler=self.list_trades, access=Access.PUBLIC,
                limit=LimitClass.MARKET_DATA, operation_id="listTrades", tag=_TAG,
                summary="One market's public tape, newest first",
                description="Sequences have no gaps: whoever misses one in the channel `trades` reads on by `after`.",
                path_fields=queries.MarketPath, query=queries.TradesQuery, reply=schemas.TradePage, errors=(404,),
                may_lag=True,
            ),
        ]  # fmt: skip

    async def list_assets(self, _request: Request) -> Response:
        items = [{"symbol": asset.code, "name": asset.name} for asset in await self._assets.get()]
        return json_reply({"items": items, "next_cursor": None})

    async def list_markets(self, _request: Request) -> Response:
        markets = await self._markets.get()
        return json_reply({"items": [market_view(market) for market in markets.values()], "next_cursor": None})

    async def get_market(self, request: Request) -> Response:
        return json_reply(market_view(await self._market(request)))

    async def list_prices(self, request: Request) -> Response:
        return self._ready(request, self._board.document())

    async def get_ticker(self, request: Request) -> Response:
        market = await self._market(request)
        return self._ready(request, self._board.ticker(market.base_asset))

    async def get_book(self, request: Request) -> Response:
        path = read_path(request, queries.MarketPath)
        query = read_query(request, queries.BookQuery)
        answer = await self._trading.GetBook(trading_pb2.GetBookRequest(market=path.symbol, depth=query.levels))
        return json_reply(book_view(answer))

    async def list_trades(self, request: Request) -> Response:
        market = await self._market(request)
        query = read_query(request, queries.TradesQuery)
        answer = await self._queries.ListTrades(
            trading_pb2.ListTradesRequest(
                market=market.symbol,
                before=int(query.cursor or 0),
                after=int(query.after),
                limit=query.page_size,
                at_least_batch=self._newest_trades.batch(market.symbol),
            )
        )
        if answer.behind:
            facts_of(request).reply_with(BEHIND_HEADER.lower(), "true")
        items = [trade_view(trade) for trade in answer.trades]
        next_cursor = str(answer.trades[-1].sequence) if answer.more else None
        return json_reply({"items": items, "next_cursor": next_cursor})

    async def _market(self, request: Request) -> trading_pb2.Market:
        symbol = read_path(request, queries.MarketPath).symbol
        market = (await self._markets.get()).get(symbol)
        if market is None:
            raise _unknown_market()
        return market

    def _ready(self, request: Request, ready: ReadyReply | None) -> Response:
        if ready is None:
            raise unavailable("There are no prices at the moment. Please try again.", reason="no_prices")
        if self._board.may_be_old:
            facts_of(request).reply_with(BEHIND_HEADER.lower(), "true")
        response = ready_reply(ready.body)
        response.headers["etag"] = ready.etag.decode("ascii")
        return response


def _unknown_market() -> PublicError:
    return not_found("There is no such market.", reason="unknown_market")
