"""Stand-ins for the services, spoken to over real gRPC: small, exact about what the gateway relies on."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Self

from chassis.deadlines import bounded
from chassis.errors import ErrorKind, RemoteError
from chassis.failures import failure_of
from chassis.identity import Caller, current_caller
from chassis.testing import serve
from cryptovault.auth.v1 import auth_pb2, auth_pb2_grpc
from cryptovault.market_data.v1 import market_data_pb2, market_data_pb2_grpc
from cryptovault.portfolio.v1 import portfolio_pb2, portfolio_pb2_grpc
from cryptovault.trading.v1 import operator_pb2, operator_pb2_grpc, trading_pb2, trading_pb2_grpc
from google.protobuf.timestamp_pb2 import Timestamp
from joserfc import jwt
from joserfc.jwk import OKPKey

ISSUER = "http://127.0.0.1:18000"
AUDIENCE = "cryptovault"
USER = "01890000-0000-7000-8000-000000000001"
OTHER_USER = "01890000-0000-7000-8000-000000000002"
SESSION = "01890000-0000-7000-8000-00000000000a"
PERMISSIONS = ("orders:cancel", "orders:read", "orders:write", "portfolio:read", "wallet:read")  # of a user
ORDER = "01890000-0000-7000-8000-0000000000ff"
KEY = "01890000-0000-7000-8000-00000000000b"
KEY_SECRET = "key-secret-1"
KEY_PERMISSIONS = ("api-keys:read", "orders:cancel", "orders:read", "orders:write", "wallet:read")
NOW = Timestamp(seconds=1_767_225_600, nanos=123_456_789)


def new_key() -> OKPKey:
    return OKPKey.generate_key("Ed25519")


@dataclass
class Minter:
    """Signs access tokens as auth does; any claim can be overridden, None removes it."""

    key: OKPKey = field(default_factory=new_key)

    @property
    def key_id(self) -> str:
        return self.key.thumbprint()

    def claims(self, now: int, **changes: Any) -> dict[str, Any]:
        claims: dict[str, Any] = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": USER, "type": "access", "iat": now, "exp": now + 1800,
            "jti": "token-1", "sid": SESSION, "scope": " ".join(PERMISSIONS), **changes,
        }  # fmt: skip
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, now: int, **changes: Any) -> str:
        header = {"alg": "Ed25519", "typ": "JWT", "kid": self.key_id}
        return jwt.encode(header, self.claims(now, **changes), self.key, algorithms=["Ed25519"])

    def key_set(self) -> str:
        entry = {**self.key.as_dict(private=False), "kid": self.key_id, "use": "sig", "alg": "Ed25519"}
        return json.dumps({"keys": [entry]})


def api_key(key_id: str = KEY, **changes: Any) -> auth_pb2.ApiKey:
    fields: dict[str, Any] = {"name": "bot", "scopes": ["read", "trade"], "created_at": NOW, "user_id": USER, **changes}
    return auth_pb2.ApiKey(id=key_id, **fields)


class Auth(auth_pb2_grpc.AuthServiceServicer):
    def __init__(self, minter: Minter, now: Any) -> None:
        self.minter = minter
        self.now = now
        self.reset()

    def reset(self) -> None:
        self.callers: list[Caller] = []
        self.requests: list[Any] = []
        # Seconds that the gateway gave for each.
        self.deadlines: list[float] = []
        self.error: Exception | None = None
        self.key_requests = 0
        self.found_keys: list[str] = []
        self.audit_entries: list[auth_pb2.AuditEntry] = []
        self.device_token = "device-secret-1"
        found = auth_pb2.FindApiKeyResponse(key=api_key(), secret=KEY_SECRET, permissions=KEY_PERMISSIONS)
        self.api_keys = {KEY: found}

    def _note(self, request: Any) -> None:
        self.callers.append(current_caller())
        self.requests.append(request)
        self.deadlines.append(bounded(3600))
        if self.error is not None:
            raise self.error

    def user(self) -> auth_pb2.User:
        return auth_pb2.User(
            id=USER, email="ada@example.com", name="Ada", email_verified=True, created_at=NOW, roles=["user"],
            permissions=PERMISSIONS,
        )  # fmt: skip

    def session(self) -> auth_pb2.Session:
        return auth_pb2.Session(
            id=SESSION, access_token=self.minter.token(self.now()), refresh_token="refresh-secret-2",
            device_token=self.device_token, access_expires_in=1800, refresh_expires_in=604_800, user=self.user(),
        )  # fmt: skip

    async def SignUp(self, request: Any, context: Any) -> auth_pb2.SignUpResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.SignUpResponse()

    async def ResendCode(self, request: Any, context: Any) -> auth_pb2.ResendCodeResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.ResendCodeResponse()

    async def VerifyEmail(self, request: Any, context: Any) -> auth_pb2.VerifyEmailResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.VerifyEmailResponse(session=self.session())

    async def LogIn(self, request: Any, context: Any) -> auth_pb2.LogInResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.LogInResponse(session=self.session())

    async def CreateApiKey(self, request: Any, context: Any) -> auth_pb2.CreateApiKeyResponse:  # noqa: N802
        self._note(request)
        key = api_key(name=request.name, scopes=request.scopes, networks=request.networks)
        return auth_pb2.CreateApiKeyResponse(key=key, secret=KEY_SECRET)

    async def ListApiKeys(self, request: Any, context: Any) -> auth_pb2.ListApiKeysResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.ListApiKeysResponse(keys=[api_key(expires_at=NOW, last_used_at=NOW)])

    async def DeleteApiKey(self, request: Any, context: Any) -> auth_pb2.DeleteApiKeyResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.DeleteApiKeyResponse()

    async def FindApiKey(self, request: Any, context: Any) -> auth_pb2.FindApiKeyResponse:  # noqa: N802
        self.found_keys.append(request.key_id)
        if request.key_id not in self.api_keys:
            raise RemoteError(kind=ErrorKind.NOT_FOUND, reason="api_key_not_found", message="There is no such key.")
        return self.api_keys[request.key_id]

    async def ListSessions(self, request: Any, context: Any) -> auth_pb2.ListSessionsResponse:  # noqa: N802
        self._note(request)
        times = {"created_at": NOW, "last_used_at": NOW, "expires_at": NOW}
        here = auth_pb2.DeviceSession(id=SESSION, device="Firefox", address="203.0.113.7", **times)
        return auth_pb2.ListSessionsResponse(sessions=[here, auth_pb2.DeviceSession(id=ORDER, **times)])

    async def EndSession(self, request: Any, context: Any) -> auth_pb2.EndSessionResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.EndSessionResponse()

    async def FreezeAccount(self, request: Any, context: Any) -> auth_pb2.FreezeAccountResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.FreezeAccountResponse()

    async def AnswerChallenge(self, request: Any, context: Any) -> auth_pb2.AnswerChallengeResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.AnswerChallengeResponse(session=self.session())

    async def SetUpSecondFactor(self, request: Any, context: Any) -> auth_pb2.SetUpSecondFactorResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.SetUpSecondFactorResponse(secret="ABC", uri="otpauth://totp/x", qr_rows=["10", "01"])

    async def EnableSecondFactor(self, request: Any, context: Any) -> auth_pb2.EnableSecondFactorResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.EnableSecondFactorResponse(recovery_codes=["abcde-fghij"])

    async def DisableSecondFactor(self, request: Any, context: Any) -> auth_pb2.DisableSecondFactorResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.DisableSecondFactorResponse()

    async def RenewRecoveryCodes(self, request: Any, context: Any) -> auth_pb2.RenewRecoveryCodesResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.RenewRecoveryCodesResponse(recovery_codes=["abcde-fghij"])

    async def StepUp(self, request: Any, context: Any) -> auth_pb2.StepUpResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.StepUpResponse(expires_at=NOW)

    async def RequireStepUp(self, request: Any, context: Any) -> auth_pb2.RequireStepUpResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.RequireStepUpResponse()

    async def RequestPasswordReset(self, request: Any, context: Any) -> auth_pb2.RequestPasswordResetResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.RequestPasswordResetResponse()

    async def ResetPassword(self, request: Any, context: Any) -> auth_pb2.ResetPasswordResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.ResetPasswordResponse()

    async def ChangePassword(self, request: Any, context: Any) -> auth_pb2.ChangePasswordResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.ChangePasswordResponse()

    async def RefreshSession(self, request: Any, context: Any) -> auth_pb2.RefreshSessionResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.RefreshSessionResponse(session=self.session())

    async def LogOut(self, request: Any, context: Any) -> auth_pb2.LogOutResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.LogOutResponse()

    async def LogOutAll(self, request: Any, context: Any) -> auth_pb2.LogOutAllResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.LogOutAllResponse()

    async def GetUser(self, request: Any, context: Any) -> auth_pb2.GetUserResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.GetUserResponse(user=self.user())

    async def ListAuditEntries(self, request: Any, context: Any) -> auth_pb2.ListAuditEntriesResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.ListAuditEntriesResponse(entries=self.audit_entries, next_cursor="more")

    async def SearchAuditTrail(self, request: Any, context: Any) -> auth_pb2.SearchAuditTrailResponse:  # noqa: N802
        self._note(request)
        return auth_pb2.SearchAuditTrailResponse(entries=self.audit_entries)

    async def ChangeProfile(self, request: Any, context: Any) -> auth_pb2.ChangeProfileResponse:  # noqa: N802
        self._note(request)
        user = self.user()
        user.name = request.name
        return auth_pb2.ChangeProfileResponse(user=user)

    async def GetSigningKeys(self, request: Any, context: Any) -> auth_pb2.GetSigningKeysResponse:  # noqa: N802
        self.key_requests += 1
        if self.error is not None:
            raise self.error
        return auth_pb2.GetSigningKeysResponse(jwks=self.minter.key_set())


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
        self.error: Exception | None = None
        # How many commands to swallow: taken, answered never.
        self.silent = 0
        # How many streams to break right after a command took effect and before its answer.
        self.break_after_effect = 0
        self.batch = 7
        self.sequence = 0
        self.balance_requests = 0
        self.market_requests = 0
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
        known = self.by_key.get(request.idempotency_key)
        answer = trading_pb2.EnterOrdersResponse()
        if known is not None:
            answer.CopyFrom(known)
            (answer.result if answer.HasField("result") else answer.cancelled).replayed = True
        elif request.HasField("cancel_orders"):
            answer.cancelled.CopyFrom(trading_pb2.CancelOrdersResult(order_ids=[ORDER], batch=self.batch))
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
        self.by_key[request.idempotency_key] = answer
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
        return trading_pb2.ListMarketsResponse(markets=[market()])


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
        return trading_pb2.ListUserEventsResponse(events=later[: request.limit], more=len(later) > request.limit)


def price(symbol: str = "BTC", amount: str = "50000.01") -> market_data_pb2.Price:
    return market_data_pb2.Price(
        symbol=symbol, price=amount, change_24h="-1.25", high_24h="51000", low_24h="49000", volume_24h="1000000",
        source="simulator", source_time=NOW, time=NOW,
    )  # fmt: skip


class MarketData(market_data_pb2_grpc.MarketDataServiceServicer):
    def __init__(self) -> None:
        self.followers: list[asyncio.Queue[market_data_pb2.StreamPricesResponse | None]] = []
        self.available = True

    async def StreamPrices(  # noqa: N802
        self, request: Any, context: Any
    ) -> AsyncIterator[market_data_pb2.StreamPricesResponse]:
        queue: asyncio.Queue[market_data_pb2.StreamPricesResponse | None] = asyncio.Queue()
        self.followers.append(queue)
        try:
            yield market_data_pb2.StreamPricesResponse(
                sequence=1, snapshot=True, prices=[price(), price("ETH", "3000")]
            )
            while (message := await queue.get()) is not None:
                yield message
        finally:
            self.followers.remove(queue)

    def publish(self, *prices: market_data_pb2.Price) -> None:
        for queue in self.followers:
            queue.put_nowait(market_data_pb2.StreamPricesResponse(sequence=2, prices=prices))

    async def ListAssets(self, request: Any, context: Any) -> market_data_pb2.ListAssetsResponse:  # noqa: N802
        return market_data_pb2.ListAssetsResponse(assets=[market_data_pb2.Asset(symbol="BTC", name="Bitcoin")])

    async def GetProviderStatus(self, request: Any, context: Any) -> market_data_pb2.GetProviderStatusResponse:  # noqa: N802
        return market_data_pb2.GetProviderStatusResponse(source="simulator", available=self.available, last_success=NOW)


class Portfolio(portfolio_pb2_grpc.PortfolioServiceServicer):
    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.batch = 1_000_000
        self.behind = False
        self.hangs = False
        self.asked = 0

    async def GetPortfolio(self, request: Any, context: Any) -> portfolio_pb2.GetPortfolioResponse:  # noqa: N802
        self.asked += 1
        if self.hangs:
            await asyncio.sleep(60)
        current_caller().required_user()
        holding = portfolio_pb2.Holding(
            symbol="BTC", name="Bitcoin", amount="0.5", available="0.5", held="0", price="50000", value="25000",
            allocation="71.43", average_cost="50000", unrealized_pnl="-12.5",
        )  # fmt: skip
        return portfolio_pb2.GetPortfolioResponse(
            portfolio=portfolio_pb2.Portfolio(
                holdings=[holding], total_value="35000", cash="10000", realized_pnl="0", as_of=NOW, batch=self.batch,
                behind=self.behind,
            )
        )  # fmt: skip


PROCESS_OF = {
    "auth": "auth",
    "trading": "trading",
    "trading_queries": "trading-projector",
    "market_data": "market-data",
    "portfolio": "portfolio",
}


class Platform:
    """All services, each on a port of its own, so that any can be taken away."""

    def __init__(self, now: Any) -> None:
        self.minter = Minter()
        self.auth = Auth(self.minter, now)
        self.trading = Trading()
        self.operator = Operator()
        self.queries = Queries()
        self.market_data = MarketData()
        self.portfolio = Portfolio()
        self.addresses: dict[str, str] = {}
        self._stacks: dict[str, AsyncExitStack] = {}

    async def __aenter__(self) -> Self:
        for name, servicers in self._servicers().items():
            stack = AsyncExitStack()
            self.addresses[name] = await stack.enter_async_context(serve(servicers, plays=PROCESS_OF[name]))
            self._stacks[name] = stack
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(self.take_away(name) for name in list(self._stacks)))

    def reset(self) -> None:
        for servicer in (self.auth, self.trading, self.operator, self.queries, self.portfolio):
            servicer.reset()

    async def take_away(self, name: str) -> None:
        await self._stacks.pop(name).aclose()

    def _servicers(self) -> dict[str, list[tuple[Any, Any, str]]]:
        return {
            "auth": [(auth_pb2_grpc.add_AuthServiceServicer_to_server, self.auth, "cryptovault.auth.v1.AuthService")],
            "trading": [
                (
                    trading_pb2_grpc.add_TradingServiceServicer_to_server, self.trading,
                    "cryptovault.trading.v1.TradingService",
                ),
                (
                    operator_pb2_grpc.add_TradingOperatorServiceServicer_to_server, self.operator,
                    "cryptovault.trading.v1.TradingOperatorService",
                ),
            ],
            "trading_queries": [(
                trading_pb2_grpc.add_TradingQueryServiceServicer_to_server, self.queries,
                "cryptovault.trading.v1.TradingQueryService",
            )],
            "market_data": [(
                market_data_pb2_grpc.add_MarketDataServiceServicer_to_server, self.market_data,
                "cryptovault.market_data.v1.MarketDataService",
            )],
            "portfolio": [(
                portfolio_pb2_grpc.add_PortfolioServiceServicer_to_server, self.portfolio,
                "cryptovault.portfolio.v1.PortfolioService",
            )],
        }  # fmt: skip
