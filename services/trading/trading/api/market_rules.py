"""A market's rules as messages and back: what an operator sees, and the commands that an operator's request means."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from chassis.errors import InvalidArgument
from cryptovault.trading.v1 import operator_pb2, trading_pb2
from google.protobuf.json_format import MessageToJson

from trading.api.messages import market_message
from trading.domain.amounts import parse_amount
from trading.domain.commands import (
    Actor,
    AddAsset,
    AddMarket,
    FreezeAsset,
    ResumeMarket,
    SetMarket,
    SetUserFees,
    UnfreezeAsset,
)
from trading.domain.markets import (
    NO_BREAKER,
    Asset,
    CircuitBreaker,
    FeeRates,
    FeeTier,
    HouseQuoting,
    Market,
    MarketStatus,
    PriceSource,
)
from trading.domain.order_rules import KEY_LENGTH_MAX
from trading.domain.state import MarketState

REASON_LENGTH_MAX = 500  # one line of an audit page
LIST_LENGTH_MAX = 20  # the domain allows fewer; this is what is looked at at all

OperatorCommand = SetMarket | AddAsset | AddMarket | ResumeMarket | SetUserFees | FreezeAsset | UnfreezeAsset

_STATUSES = {status.value: status for status in MarketStatus}
# Field of the change: field of the market.
_COUNTS = {
    "maker_fee_basis_points": "maker_fee_basis_points",
    "taker_fee_basis_points": "taker_fee_basis_points",
    "price_band_basis_points": "price_band_basis_points",
    "slippage_cap_basis_points": "slippage_cap_basis_points",
    "max_open_orders": "maximum_open_orders",
    "silence_limit_milliseconds": "silence_limit_milliseconds",
}


def rules_message(
    state: MarketState, assets: dict[str, Asset], now_milliseconds: int, reference_price: int | None
) -> operator_pb2.MarketRules:
    """`reference_price` None where there is none."""
    market, house = state.market, state.market.house
    return operator_pb2.MarketRules(
        market=market_message(state, assets, now_milliseconds),
        version=state.version,
        status=market.status,
        house=operator_pb2.House(
            levels=house.levels,
            half_spread_basis_points=house.half_spread_basis_points,
            step_basis_points=house.step_basis_points,
            level_quantity=market.quantity_text(house.level_quantity),
            inventory_limit=market.quantity_text(house.inventory_limit),
            refill_per_second=market.quantity_text(house.refill_per_second),
        ),
        sources=[
            operator_pb2.PriceSource(
                name=source.name,
                maximum_age_milliseconds=source.maximum_age_milliseconds,
                extra_half_spread_basis_points=source.extra_half_spread_basis_points,
            )
            for source in market.sources
        ],
        silence_limit_milliseconds=market.silence_limit_milliseconds,
        house_position=market.quantity_text(state.house_position),
        reference_price="" if reference_price is None else market.price_text(reference_price),
    )


def change_command(request: operator_pb2.ChangeMarketRequest, known: MarketState, actor: Actor) -> SetMarket:
    """Raises `InvalidArgument`, `InvalidMarket` or a refusal of a number."""
    if not request.version:
        raise InvalidArgument("The version that you looked at is needed.", field="version", rule="required")
    if not request.change.ListFields():
        raise InvalidArgument("Say what is to change.", field="change", rule="required")
    return SetMarket(
        actor,
        replace(known.market, **changed_fields(request.change, known.market)),
        reason(request.reason),
        expected_version=request.version,
        idempotency_key=idempotency_key(request.idempotency_key),
        change=MessageToJson(request.change, preserving_proto_field_name=True, indent=None, sort_keys=True),
    )


def user_fees_command(request: operator_pb2.SetUserFeesRequest, actor: Actor) -> SetUserFees:
    try:
        user_id = str(UUID(request.user_id))
    except ValueError:
        raise InvalidArgument("A user's id is needed.", field="user_id", rule="uuid") from None
    rates = None
    if request.HasField("fees"):
        rates = FeeRates(request.fees.maker_fee_basis_points, request.fees.taker_fee_basis_points)
    return SetUserFees(actor, user_id, rates, reason(request.reason))


def idempotency_key(text: str) -> str:
    if len(text) > KEY_LENGTH_MAX:
        raise InvalidArgument("The key is too long.", field="idempotency_key", rule="length")
    return text


def reason(text: str) -> str:
    """Every operator's change has one."""
    if not text.strip() or len(text) > REASON_LENGTH_MAX:
        message = f"A reason of 1 to {REASON_LENGTH_MAX} characters is needed."
        raise InvalidArgument(message, field="reason", rule="length", limit=str(REASON_LENGTH_MAX))
    return text


def changed_fields(change: operator_pb2.MarketChange, market: Market) -> dict[str, Any]:
    """What a change says of `market`, by the names of its fields. Raises `InvalidArgument` or a refusal of a number."""
    fields: dict[str, Any] = {_COUNTS[name]: getattr(change, name) for name in _COUNTS if change.HasField(name)}  # type: ignore[arg-type]  # names of the message
    if change.HasField("status"):
        fields["status"] = _status(change.status)
    if change.HasField("tick"):
        fields["tick"] = parse_amount(change.tick, market.quote_scale, field="tick")
    if change.HasField("lot"):
        fields["lot"] = parse_amount(change.lot, market.base_scale, field="lot")
    if change.HasField("min_notional"):
        fields["minimum_notional"] = parse_amount(change.min_notional, market.quote_scale, field="min_notional")
    if change.HasField("max_quantity"):
        fields["maximum_quantity"] = parse_amount(change.max_quantity, market.base_scale, field="max_quantity")
    if change.HasField("fee_tiers"):
        tiers = _bounded(change.fee_tiers.tiers, "fee_tiers")
        fields["fee_tiers"] = tuple(_tier(tier, market) for tier in tiers)
    if change.HasField("circuit_breaker"):
        fields["breaker"] = _breaker(change.circuit_breaker)
    if change.HasField("house"):
        fields["house"] = _house(change.house, market)
    if change.HasField("sources"):
        fields["sources"] = tuple(_source(source) for source in _bounded(change.sources.sources, "sources"))
    return fields


def _status(text: str) -> MarketStatus:
    status = _STATUSES.get(text)
    if status is None:
        allowed = ", ".join(_STATUSES)
        raise InvalidArgument(f"The status is one of {allowed}.", field="status", rule="one_of", allowed=allowed)
    return status


def _tier(tier: trading_pb2.FeeTier, market: Market) -> FeeTier:
    volume = parse_amount(tier.volume, market.quote_scale, field="fee_tiers.volume_from")
    return FeeTier(volume, tier.maker_fee_basis_points, tier.taker_fee_basis_points)


def _breaker(breaker: trading_pb2.CircuitBreaker) -> CircuitBreaker:
    if not breaker.move_basis_points:
        return NO_BREAKER
    return CircuitBreaker(breaker.move_basis_points, breaker.window_milliseconds, breaker.pause_milliseconds)


def _house(house: operator_pb2.House, market: Market) -> HouseQuoting:
    return HouseQuoting(
        house.levels,
        house.half_spread_basis_points,
        house.step_basis_points,
        parse_amount(house.level_quantity, market.base_scale, field="house.level_quantity"),
        parse_amount(house.inventory_limit, market.base_scale, field="house.inventory_limit"),
        parse_amount(house.refill_per_second, market.base_scale, field="house.refill_per_second"),
    )


def _source(source: operator_pb2.PriceSource) -> PriceSource:
    if not source.name.isascii() or not source.name.isidentifier():
        raise InvalidArgument("A source has a name.", field="sources.name", rule="name")
    return PriceSource(source.name, source.maximum_age_milliseconds, source.extra_half_spread_basis_points)


def _bounded(items: Any, field: str) -> Any:
    if len(items) > LIST_LENGTH_MAX:
        raise InvalidArgument("The list is too long.", field=field, rule="length", limit=str(LIST_LENGTH_MAX))
    return items
