"""The one place where the gateway's parts are made and joined."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import orjson
from chassis.clock import Clock
from chassis.grpc_client import follow, open_channel
from chassis.ids import Ids
from chassis.leader_channel import open_leader_channel
from chassis.logs import get_logger
from chassis.service import Runtime
from chassis.trust.service_identity import ServiceIdentity
from cryptovault.auth.v1 import auth_pb2
from cryptovault.auth.v1.auth_pb2_grpc import AuthServiceStub
from cryptovault.market_data.v1 import market_data_pb2
from cryptovault.market_data.v1.market_data_pb2_grpc import MarketDataServiceStub
from cryptovault.portfolio.v1.portfolio_pb2_grpc import PortfolioServiceStub
from cryptovault.trading.v1 import trading_pb2
from cryptovault.trading.v1.operator_pb2_grpc import TradingOperatorServiceStub
from cryptovault.trading.v1.trading_pb2_grpc import TradingQueryServiceStub, TradingServiceStub
from redis.asyncio import BlockingConnectionPool, Redis

from gateway.admission.access_tokens import AccessTokens
from gateway.admission.admission import Admission
from gateway.admission.api_keys import ApiKeys
from gateway.admission.csrf_tokens import PURPOSE as CSRF_PURPOSE
from gateway.admission.csrf_tokens import CsrfTokens
from gateway.admission.gate import RedisGate
from gateway.admission.limits import LocalLimits
from gateway.admission.redis_line import RedisLine, refuse_cluster
from gateway.admission.revocations import AuthsRevocations, SeenRevocations
from gateway.admission.signatures import SeenNonces, Signatures
from gateway.admission.signing_keys import KeySource, SharedKey, SigningKeys
from gateway.application import Application
from gateway.clients.freshness import Freshness, NewestEvent
from gateway.clients.newest_trades import NewestTrades
from gateway.clients.order_entry import OrderEntry
from gateway.clients.private_events import PrivateEvents
from gateway.docs_page.page import render_page
from gateway.edge.access_log import AccessLog
from gateway.edge.addresses import ClientAddresses
from gateway.edge.connection_limits import ConnectionLimits
from gateway.edge.door import Application as RequestHandler
from gateway.edge.door import Door
from gateway.edge.http_server import HttpServer
from gateway.edge.open_files import connections_that_fit
from gateway.edge.origins import Origins
from gateway.edge.request_ids import RequestIds
from gateway.edge.shedding import LoadShedder
from gateway.health_checks import HealthChecks, Part
from gateway.prices.board import PriceBoard
from gateway.prices.fast_lane import FastLane
from gateway.prices.limiter import PriceLimiter
from gateway.prices.shared_answer import SharedAnswer
from gateway.routes.admin_assets import AdminAssetRoutes
from gateway.routes.admin_markets import AdminMarketRoutes
from gateway.routes.api_keys import ApiKeyRoutes
from gateway.routes.audit import AuditRoutes
from gateway.routes.documents import DocumentRoutes
from gateway.routes.fees import FeeRoutes
from gateway.routes.health import HealthRoutes
from gateway.routes.history import HistoryRoutes
from gateway.routes.holdings import HoldingRoutes
from gateway.routes.identity import IdentityRoutes
from gateway.routes.keys import KeyRoutes
from gateway.routes.mailbox import MailboxRoutes
from gateway.routes.markets import MarketRoutes
from gateway.routes.orders import OrderRoutes
from gateway.routes.passwords import PasswordRoutes
from gateway.routes.second_factor import SecondFactorRoutes
from gateway.routes.sessions import SessionRoutes
from gateway.routes.wallet import WalletRoutes
from gateway.schemas.fields import PAGE_SIZE_MAX
from gateway.settings import GatewaySettings
from gateway.web_app.files import read_files
from gateway.web_app.web_app import WebApp
from gateway.websocket.book_channel import BookChannel
from gateway.websocket.catch_up import CatchUp
from gateway.websocket.endpoint import SocketEndpoint
from gateway.websocket.market_channels import MarketChannels
from gateway.websocket.price_channel import PriceChannel
from gateway.websocket.private_channels import PrivateFeeds
from gateway.websocket.registry import SocketRegistry
from gateway.websocket.trade_channel import TradeChannel

_LISTS_FRESH_SECONDS = 5.0  # a market that was halted shows within this time; routes.markets tells the public
_BOOK_DEPTH = 50  # levels a side in the channel; a screen shows 20
_REDIS_CONNECTIONS_MAX = 8  # requests share calls; one connection nearly suffices
_REDIS_TIMEOUT_SECONDS = 1.0
_MAILBOX_TIMEOUT_SECONDS = 2.0
_REVOCATIONS_SECONDS = 1.0  # every request asks, while Redis is away
# Streams on which the exchange speaks at least once a second.
_BEATING = tuple(f"/cryptovault.trading.v1.TradingService/{name}" for name in ("WatchEvents", "WatchBook"))

log = get_logger(__name__)

Work = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Gateway:
    """`door` answers; `work` must run beside it for as long as it does; `close` ends what was opened."""

    door: Door
    application: Application
    work: dict[str, Work]
    close: Work


async def compose(runtime: Runtime[GatewaySettings]) -> None:
    """The gateway as a process. Raises ClusterRefused."""
    settings = runtime.settings
    await refuse_cluster(settings.required("redis_url"))
    gateway = build(settings, identity=runtime.identity, clock=runtime.clock, ids=runtime.ids)
    host, port = settings.host_and_port
    server = HttpServer(
        gateway.door,
        host=host,
        port=port,
        connections=connection_limits(settings),
        stop_seconds=settings.stop_seconds,
    )
    runtime.on_stop(gateway.close)
    runtime.background("gateway", lambda: run(gateway, server))


def connection_limits(settings: GatewaySettings) -> ConnectionLimits:
    return ConnectionLimits(
        ClientAddresses(settings.proxy_networks),
        total=connections_that_fit(settings.connections_max),
        per_address=settings.connections_per_address,
    )


async def run(gateway: Gateway, server: HttpServer) -> None:
    """Serve until cancelled. Requests end before what they depend on; if any part raises, so does this."""
    async with asyncio.TaskGroup() as parts:
        tasks = [parts.create_task(work(), name=name) for name, work in gateway.work.items()]
        serving = parts.create_task(server.run(), name="http")
        try:
            await asyncio.wait({serving, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            for task in tasks:
                task.cancel()


def build(settings: GatewaySettings, *, identity: ServiceIdentity, clock: Clock, ids: Ids) -> Gateway:
    """All parts, from settings and keys alone. Opens no connection by itself; those are made when first used."""
    stubs = _Stubs(settings, identity)
    redis = Redis.from_pool(
        BlockingConnectionPool.from_url(
            settings.required("redis_url"),
            max_connections=_REDIS_CONNECTIONS_MAX,
            timeout=_REDIS_TIMEOUT_SECONDS,
            socket_timeout=_REDIS_TIMEOUT_SECONDS,
            socket_connect_timeout=_REDIS_TIMEOUT_SECONDS,
        )
    )
    allowances = settings.allowances()
    addresses = ClientAddresses(settings.proxy_networks)
    origins = Origins(settings.cors_origins)
    gate = RedisGate(RedisLine(settings.required("redis_url")), clock)
    revocations = SeenRevocations(clock)
    keys = _key_source(settings, stubs, clock)
    tokens = AccessTokens(
        keys, clock, algorithm=settings.jwt_algorithm, issuer=settings.issuer, audience=settings.audience
    )
    csrf_tokens = CsrfTokens(identity.own_secrets(CSRF_PURPOSE))
    admission = Admission(
        tokens=tokens, signatures=Signatures(ApiKeys(stubs.find_api_key, clock), clock),
        nonces=SeenNonces(clock), gate=gate, local_limits=LocalLimits(), revocations=revocations,
        auths_revocations=AuthsRevocations(stubs.list_revoked, clock), origins=origins,
        csrf_tokens=csrf_tokens, allowances=allowances, clock=clock, patience_seconds=settings.sign_in_patience_seconds,
    )  # fmt: skip
    freshness = Freshness(stubs.ask_newest_event)
    order_entry = OrderEntry(stubs.connect_order_stream, clock)
    private_events = PrivateEvents(stubs.follow_events)
    newest_trades = NewestTrades()
    private_events.listen_to_trades(newest_trades)
    board = PriceBoard(stubs.follow_prices, clock)
    markets = SharedAnswer(stubs.ask_markets, clock, fresh_seconds=_LISTS_FRESH_SECONDS)
    assets = SharedAnswer(stubs.ask_assets, clock, fresh_seconds=_LISTS_FRESH_SECONDS)
    price_limiter = PriceLimiter(gate, clock, limit=allowances["market_data"].per_address)
    checks = HealthChecks(
        parts={
            "auth": Part(stubs.auth_channel, owns_database=True),
            "trading": Part(stubs.trading_channel, owns_database=True),
            "trading-queries": Part(stubs.queries_channel, owns_database=True),
            "portfolio": Part(stubs.portfolio_channel, owns_database=True),
            "market-data": Part(stubs.market_data_channel, owns_database=False),
        },
        redis=redis,
        market_data=stubs.market_data,
        board=board,
        order_entry=order_entry,
    )
    documents = DocumentRoutes()
    mailbox = httpx.AsyncClient(timeout=_MAILBOX_TIMEOUT_SECONDS, trust_env=False)
    tables: list[Any] = [
        IdentityRoutes(auth=stubs.auth, admission=admission, csrf_tokens=csrf_tokens, revocations=revocations),
        PasswordRoutes(auth=stubs.auth),
        SecondFactorRoutes(auth=stubs.auth),
        ApiKeyRoutes(auth=stubs.auth),
        SessionRoutes(auth=stubs.auth, revocations=revocations),
        AuditRoutes(auth=stubs.auth),
        MarketRoutes(
            assets=assets,
            markets=markets,
            board=board,
            trading=stubs.trading,
            trading_queries=stubs.queries,
            newest_trades=newest_trades,
        ),
        FeeRoutes(trading=stubs.trading),
        AdminMarketRoutes(operator=stubs.operator, markets=markets),
        AdminAssetRoutes(operator=stubs.operator, assets=assets),
        OrderRoutes(order_entry=order_entry, trading=stubs.trading, ids=ids),
        HistoryRoutes(trading_queries=stubs.queries, order_entry=order_entry, freshness=freshness),
        HoldingRoutes(portfolio=stubs.portfolio, freshness=freshness),
        WalletRoutes(trading=stubs.trading, trading_queries=stubs.queries, freshness=freshness, clock=clock),
        KeyRoutes(keys),
        HealthRoutes(checks.all(), checks.missing, clock),
        documents,
    ]
    if settings.mailbox_url is not None:
        tables.append(MailboxRoutes(mailbox, settings.mailbox_url))
    shedder = LoadShedder(settings.requests_in_flight_max)
    application = Application(
        [endpoint for table in tables for endpoint in table.endpoints()],
        admission,
        shedder=shedder,
        require_step_up=stubs.require_step_up,
    )
    document = application.document()
    documents.publish(document=orjson.dumps(document), page=render_page(document))
    registry = SocketRegistry(per_address_max=settings.sockets_per_address)
    price_channel = PriceChannel(board, clock, cadence_seconds=settings.price_cadence_seconds)
    trade_channel = TradeChannel(stubs.read_tape, clock, cadence_seconds=settings.market_cadence_seconds)
    private_events.listen_to_trades(trade_channel)
    market_channels = MarketChannels(book=BookChannel(stubs.follow_book), trades=trade_channel, markets=markets.get)
    feeds = PrivateFeeds(private_events, CatchUp(stubs.queries, stubs.trading))
    sockets = SocketEndpoint(
        admission=admission, registry=registry, prices=price_channel, market_channels=market_channels, feeds=feeds,
        clock=clock,
        outbox_max=settings.socket_outbox_messages_max,
    )  # fmt: skip
    fast_lane = FastLane(
        board=board,
        is_market=lambda symbol: symbol in (markets.latest() or {}),
        limiter=price_limiter,
        addresses=addresses,
        origins=origins,
    )
    access_log = AccessLog(enabled=settings.log_level in {"DEBUG", "INFO"})
    door = Door(
        routes=_with_web_app(application, settings), sockets=sockets, fast_lane=fast_lane, addresses=addresses,
        origins=origins, request_ids=RequestIds(), access_log=access_log, shedder=shedder,
    )  # fmt: skip

    async def close() -> None:
        market_channels.book.stop()
        trade_channel.stop()
        await gate.close()
        await mailbox.aclose()
        await redis.aclose()
        await stubs.close()

    work: dict[str, Work] = {
        "signing-keys": keys.keep_fresh,
        "prices": board.run,
        "orders": order_entry.run,
        "events": private_events.run,
        "price-limits": price_limiter.run,
        "price-channel": price_channel.run,
        "trade-channel": trade_channel.run,
        "socket-sweep": sockets.sweep,
        "access-log": access_log.run,
    }
    return Gateway(door=door, application=application, work=work, close=close)


def _with_web_app(application: Application, settings: GatewaySettings) -> RequestHandler:
    if settings.web_root is None:
        return application
    files = read_files(settings.web_root)
    if files is None:
        # The API is worth running without it.
        log.warning("There is no built web app", event="web_app_missing", folder=str(settings.web_root))
        return application
    return WebApp(files, application)


def _key_source(settings: GatewaySettings, stubs: "_Stubs", clock: Clock) -> KeySource:
    if settings.jwt_algorithm == "HS256":
        return SharedKey(settings.required("jwt_secret"))
    return SigningKeys(stubs.ask_signing_keys, clock, fresh_seconds=settings.signing_keys_seconds)


class _Stubs:
    """Channels to the services, and the questions that more than one part asks."""

    def __init__(self, settings: GatewaySettings, identity: ServiceIdentity) -> None:
        self.auth_channel = open_channel(settings.auth_address, to="auth", identity=identity)
        self.trading_channel = open_leader_channel(
            settings.trading_address, to="trading", identity=identity, beating=_BEATING
        )
        self.queries_channel = open_channel(settings.trading_queries_address, to="trading-projector", identity=identity)
        self.market_data_channel = open_channel(settings.market_data_address, to="market-data", identity=identity)
        self.portfolio_channel = open_channel(settings.portfolio_address, to="portfolio", identity=identity)
        self.auth = AuthServiceStub(self.auth_channel)
        self.trading = TradingServiceStub(self.trading_channel)
        self.operator = TradingOperatorServiceStub(self.trading_channel)
        self.queries = TradingQueryServiceStub(self.queries_channel)
        self.market_data = MarketDataServiceStub(self.market_data_channel)
        self.portfolio = PortfolioServiceStub(self.portfolio_channel)

    async def close(self) -> None:
        for channel in self._channels():
            await channel.close()

    def _channels(self) -> tuple[grpc.aio.Channel, ...]:
        return (
            self.auth_channel,
            self.trading_channel,
            self.queries_channel,
            self.market_data_channel,
            self.portfolio_channel,
        )

    async def ask_signing_keys(self) -> str:
        return (await self.auth.GetSigningKeys(auth_pb2.GetSigningKeysRequest())).jwks

    async def find_api_key(self, key_id: str) -> auth_pb2.FindApiKeyResponse:
        return await self.auth.FindApiKey(auth_pb2.FindApiKeyRequest(key_id=key_id))

    async def list_revoked(self, ids: Sequence[str]) -> Sequence[str]:
        answer = await self.auth.ListRevoked(auth_pb2.ListRevokedRequest(ids=ids), timeout=_REVOCATIONS_SECONDS)
        return answer.ids

    async def require_step_up(self) -> None:
        await self.auth.RequireStepUp(auth_pb2.RequireStepUpRequest())

    async def ask_newest_event(self) -> NewestEvent:
        balances = await self.trading.GetBalances(trading_pb2.GetBalancesRequest())
        return NewestEvent(balances.sequence, balances.batch)

    async def ask_markets(self) -> dict[str, trading_pb2.Market]:
        answer = await self.trading.ListMarkets(trading_pb2.ListMarketsRequest())
        return {market.symbol: market for market in answer.markets}

    async def ask_assets(self) -> list[trading_pb2.Asset]:
        return list((await self.trading.ListMarkets(trading_pb2.ListMarketsRequest())).assets)

    async def connect_order_stream(self) -> Any:
        # First the way, then the stream: what is written on a stream without a way counts as sent.
        await self.trading_channel.channel_ready()
        return self.trading.EnterOrders()

    def follow_events(self, on_gap: Callable[[], None]) -> AsyncIterator[trading_pb2.WatchEventsResponse]:
        return follow(
            lambda: self.trading.WatchEvents(trading_pb2.WatchEventsRequest()), name="watch_events", on_gap=on_gap
        )

    def follow_book(self, market: str) -> AsyncIterator[trading_pb2.WatchBookResponse]:
        request = trading_pb2.WatchBookRequest(market=market, depth=_BOOK_DEPTH)
        return follow(lambda: self.trading.WatchBook(request), name="watch_book")

    async def read_tape(self, market: str, after: int, batch: int) -> Sequence[trading_pb2.PublicTrade]:
        request = trading_pb2.ListTradesRequest(market=market, after=after, limit=PAGE_SIZE_MAX, at_least_batch=batch)
        return (await self.queries.ListTrades(request)).trades

    def follow_prices(self, on_gap: Callable[[], None]) -> AsyncIterator[market_data_pb2.StreamPricesResponse]:
        return follow(
            lambda: self.market_data.StreamPrices(market_data_pb2.StreamPricesRequest()),
            name="stream_prices",
            on_gap=on_gap,
        )
