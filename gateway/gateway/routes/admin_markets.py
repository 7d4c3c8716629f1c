"""Markets and fees as operators see and change them. Each change is one entry of the exchange's journal."""

from typing import TYPE_CHECKING

from cryptovault.trading.v1 import operator_pb2 as pb
from cryptovault.trading.v1 import trading_pb2
from starlette.requests import Request
from starlette.responses import Response

from gateway.admission.policy import Access, LimitClass
from gateway.edge.bodies import read_body
from gateway.edge.facts import facts_of
from gateway.edge.idempotency import idempotency_key
from gateway.edge.queries import read_path
from gateway.edge.replies import empty_reply, json_reply
from gateway.errors import invalid
from gateway.routes.endpoint import API, Endpoint
from gateway.routes.markets import Markets
from gateway.schemas import admin as schemas
from gateway.schemas import queries
from gateway.views.markets import rules_view

if TYPE_CHECKING:
    from cryptovault.trading.v1.operator_pb2_grpc import (
        TradingOperatorServiceAsyncStub,  # exists for type checkers only
    )

_TAG = "admin"
_PERMISSION = "markets:write"
_MILLISECONDS = 1_000
# Fields that mean the same on both sides.
_PLAIN = (
    "status",
    "tick",
    "lot",
    "min_notional",
    "max_quantity",
    "max_open_orders",
    "maker_fee_basis_points",
    "taker_fee_basis_points",
    "price_band_basis_points",
    "slippage_cap_basis_points",
)


class AdminMarketRoutes:
    def __init__(self, *, operator: "TradingOperatorServiceAsyncStub", markets: Markets) -> None:
        self._operator = operator
        self._markets = markets

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                method="GET", path=f"{API}/admin/markets", handler=self.list_markets, access=Access.USER,
                limit=LimitClass.ADMIN, permission=_PERMISSION, operation_id="listMarketRules", tag=_TAG,
                summary="Every market with all its rules", reply=schemas.MarketRulesPage,
            ),
            Endpoint(
                method="POST", path=f"{API}/admin/markets", handler=self.add, access=Access.USER,
                limit=LimitClass.ADMIN, permission=_PERMISSION, operation_id="addMarket", tag=_TAG,
                summary="Add a market of two assets that there are",
                description="It is closed: look whether it has a `reference_price`, then open it with "
                "PATCH /admin/markets/{symbol}. Rules that would keep every order out at that price are refused.",
                body=schemas.AddMarket, reply=schemas.MarketRules, status=201, errors=(404, 409, 422), idempotent=True,
                body_example={
                    "base_asset": "TRX", "quote_asset": "USD", "tick": "0.00001", "lot": "0.1", "min_notional": "1",
                    "max_quantity": "1000000", "reason": "asked for by many",
                },
            ),
            Endpoint(
                method="PATCH", path=f"{API}/admin/markets/{{symbol}}", handler=self.change, access=Access.USER,
                limit=LimitClass.ADMIN, permission=_PERMISSION, operation_id="changeMarket", tag=_TAG,
                summary="Change a market's status, fees or limits",
                description="Refused with `market_changed` where the market is not at the version you name any more, "
                "and with `no_reference_price` where it is to be opened and no price of its sources has come. Rules "
                "that would keep every order out at that price are refused.",
                path_fields=queries.MarketPath, body=schemas.ChangeMarket, reply=schemas.MarketRules,
                errors=(404, 409, 422), idempotent=True,
                body_example={"version": 3, "status": "cancel_only", "reason": "the source is wrong"},
            ),
            Endpoint(
                method="POST", path=f"{API}/admin/markets/{{symbol}}/resume", handler=self.resume, access=Access.USER,
                limit=LimitClass.ADMIN, permission=_PERMISSION, operation_id="resumeMarket", tag=_TAG,
                summary="End a circuit breaker's pause before its time", path_fields=queries.MarketPath,
                description="Does nothing where the market is not paused.",
                body=schemas.ResumeMarket, reply=schemas.MarketRules, errors=(404,),
            ),
            Endpoint(
                method="PUT", path=f"{API}/admin/users/{{user_id}}/fees", handler=self.set_fees, access=Access.USER,
                limit=LimitClass.ADMIN, permission=_PERMISSION, operation_id="setUserFees", tag=_TAG,
                summary="Give a user fee rates of their own, or (without rates) the tiers again",
                path_fields=queries.UserPath, body=schemas.SetUserFees, status=204, errors=(404,),
            ),
        ]  # fmt: skip

    async def list_markets(self, _request: Request) -> Response:
        answer = await self._operator.ListMarketRules(pb.ListMarketRulesRequest())
        return json_reply({"items": [rules_view(rules) for rules in answer.markets], "next_cursor": None})

    async def add(self, request: Request) -> Response:
        key = idempotency_key(request)
        body = await read_body(request, schemas.AddMarket)
        addition = pb.AddMarketRequest(
            base_asset=body.base_asset,
            quote_asset=body.quote_asset,
            reason=body.reason,
            idempotency_key=key or "",
            rules=_change(body),
        )
        with self._markets.changing():
            answer = await self._operator.AddMarket(addition)
        if answer.replayed and key is not None:
            facts_of(request).reply_with("idempotency-replayed", "true")
        return json_reply(rules_view(answer.rules), status=201)

    async def change(self, request: Request) -> Response:
        path = read_path(request, queries.MarketPath)
        key = idempotency_key(request)
        body = await read_body(request, schemas.ChangeMarket)
        change = pb.ChangeMarketRequest(
            symbol=path.symbol,
            version=body.version,
            reason=body.reason,
            idempotency_key=key or "",
            change=_change(body),
        )
        with self._markets.changing():
            answer = await self._operator.ChangeMarket(change)
        if answer.replayed and key is not None:
            facts_of(request).reply_with("idempotency-replayed", "true")
        return json_reply(rules_view(answer.rules))

    async def resume(self, request: Request) -> Response:
        path = read_path(request, queries.MarketPath)
        body = await read_body(request, schemas.ResumeMarket)
        with self._markets.changing():
            answer = await self._operator.ResumeMarket(pb.ResumeMarketRequest(symbol=path.symbol, reason=body.reason))
        return json_reply(rules_view(answer.rules))

    async def set_fees(self, request: Request) -> Response:
        path = read_path(request, queries.UserPath)
        body = await read_body(request, schemas.SetUserFees)
        maker, taker = body.maker_fee_basis_points, body.taker_fee_basis_points
        fees = None
        if maker is not None and taker is not None:
            fees = pb.UserFees(maker_fee_basis_points=maker, taker_fee_basis_points=taker)
        elif maker is not None or taker is not None:
            raise invalid("Both rates or none.", field="taker_fee_basis_points", rule="both_or_none")
        await self._operator.SetUserFees(pb.SetUserFeesRequest(user_id=path.user_id, fees=fees, reason=body.reason))
        return empty_reply()


def _change(body: schemas.ChangeMarket | schemas.AddMarket) -> pb.MarketChange:
    change = pb.MarketChange(**{name: getattr(body, name) for name in _PLAIN if getattr(body, name) is not None})
    if body.silence_limit_seconds is not None:
        change.silence_limit_milliseconds = body.silence_limit_seconds * _MILLISECONDS
    if body.fee_tiers is not None:
        # Set even where it is empty: that takes the tiers away.
        change.fee_tiers.SetInParent()
        change.fee_tiers.tiers.extend(
            trading_pb2.FeeTier(
                volume=tier.volume_from,
                maker_fee_basis_points=tier.maker_fee_basis_points,
                taker_fee_basis_points=tier.taker_fee_basis_points,
            )
            for tier in body.fee_tiers
        )
    if body.circuit_breaker is not None:
        breaker = body.circuit_breaker
        change.circuit_breaker.SetInParent()
        change.circuit_breaker.move_basis_points = breaker.move_basis_points
        change.circuit_breaker.window_milliseconds = breaker.window_seconds * _MILLISECONDS
        change.circuit_breaker.pause_milliseconds = breaker.pause_seconds * _MILLISECONDS
    if body.house is not None:
        change.house.CopyFrom(pb.House(**body.house.model_dump()))
    if body.sources is not None:
        change.sources.SetInParent()
        change.sources.sources.extend(
            pb.PriceSource(
                name=source.name,
                maximum_age_milliseconds=source.maximum_age_seconds * _MILLISECONDS,
                extra_half_spread_basis_points=source.extra_half_spread_basis_points,
            )
            for source in body.sources
        )
    return change
