"""What operators see and change."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.schemas.fields import NEW_ASSET_PATTERN, Figure, Money, ReplyBody, RequestBody
from gateway.schemas.markets import Market

BASIS_POINTS_MAX = 10_000
LIST_LENGTH_MAX = 20
REASON_LENGTH_MAX = 500
SECONDS_MAX = 86_400
SCALE_MAX = 8
ASSET_NAME_LENGTH_MAX = 64

BasisPoints = Annotated[int, Field(ge=0, le=BASIS_POINTS_MAX)]
Reason = Annotated[str, Field(min_length=1, max_length=REASON_LENGTH_MAX, description="For the audit trail.")]
AssetCode = Annotated[str, Field(pattern=NEW_ASSET_PATTERN, examples=["TRX"])]
WholeSeconds = Annotated[int, Field(ge=0, le=SECONDS_MAX)]


class HouseRules(ReplyBody):
    levels: int
    half_spread_basis_points: int
    step_basis_points: int
    level_quantity: Money
    inventory_limit: Money
    refill_per_second: Money


class SourceRules(ReplyBody):
    name: str
    maximum_age_seconds: Figure
    extra_half_spread_basis_points: int


class MarketRules(Market):
    version: int = Field(description="Counts the changes of these rules; name it with your change.")
    operator_status: str = Field(
        description="What was set: `trading`, `cancel_only` or `halted`. `status` knows `paused` too."
    )
    house: HouseRules
    house_position: Figure = Field(description="Bought less sold, in the base asset.")
    reference_price: Money | None = Field(
        description="What the source of prices said last. Without it no order is taken: look before you open a market."
    )
    sources: list[SourceRules]
    silence_limit_seconds: Figure


class MarketRulesPage(ReplyBody):
    items: list[MarketRules]
    next_cursor: None


class FeeTierChange(RequestBody):
    volume_from: Money
    maker_fee_basis_points: BasisPoints
    taker_fee_basis_points: BasisPoints


class CircuitBreakerChange(RequestBody):
    move_basis_points: BasisPoints = Field(description="0 takes the breaker away.")
    window_seconds: WholeSeconds = 0
    pause_seconds: WholeSeconds = 0


class HouseChange(RequestBody):
    """All of the house's rules; 0 levels and it does not quote."""

    levels: Annotated[int, Field(ge=0, le=1_000)]
    half_spread_basis_points: BasisPoints
    step_basis_points: BasisPoints
    level_quantity: Money
    inventory_limit: Money
    refill_per_second: Money


class SourceChange(RequestBody):
    name: Annotated[str, Field(min_length=1, max_length=32)]
    maximum_age_seconds: WholeSeconds
    extra_half_spread_basis_points: BasisPoints = 0


class MarketFigures(RequestBody):
    """What any market has, and a change or an addition need not name."""

    max_open_orders: Annotated[int, Field(ge=1, le=100_000)] | None = None
    maker_fee_basis_points: BasisPoints | None = None
    taker_fee_basis_points: BasisPoints | None = None
    fee_tiers: Annotated[list[FeeTierChange], Field(max_length=LIST_LENGTH_MAX)] | None = None
    price_band_basis_points: BasisPoints | None = None
    slippage_cap_basis_points: BasisPoints | None = None
    circuit_breaker: CircuitBreakerChange | None = None
    house: HouseChange | None = None
    sources: Annotated[list[SourceChange], Field(max_length=LIST_LENGTH_MAX)] | None = None
    silence_limit_seconds: WholeSeconds | None = None


class ChangeMarket(MarketFigures):
    """What is named changes; all else stays. Lists change as a whole."""

    version: Annotated[int, Field(ge=1, le=2**53, description="The version you looked at.")]
    reason: Reason
    status: Literal["trading", "cancel_only", "halted"] | None = None
    tick: Money | None = None
    lot: Money | None = None
    min_notional: Money | None = None
    max_quantity: Money | None = None


class AddMarket(MarketFigures):
    """What is not named is as in the markets that the exchange opened with, but for the house, which does not quote."""

    base_asset: AssetCode
    quote_asset: AssetCode
    reason: Reason
    status: Annotated[
        Literal["cancel_only", "halted"] | None,
        Field(description="`cancel_only` where you do not say. Open it with a change."),
    ] = None
    tick: Money
    lot: Money
    min_notional: Money
    max_quantity: Money


class AddAsset(RequestBody):
    code: AssetCode
    name: Annotated[str, Field(min_length=1, max_length=ASSET_NAME_LENGTH_MAX, examples=["TRON"])]
    scale: Annotated[int, Field(ge=0, le=SCALE_MAX, description="Decimals of its smallest unit; for ever.")]
    reason: Reason


class ResumeMarket(RequestBody):
    reason: Reason


class SetUserFees(RequestBody):
    """Both rates are the user's own from the next order on; without them the tiers apply again."""

    maker_fee_basis_points: BasisPoints | None = None
    taker_fee_basis_points: BasisPoints | None = None
    reason: Reason


class UnfreezeAsset(RequestBody):
    reason: Reason


class AssetState(ReplyBody):
    code: str
    name: str
    scale: int = Field(description="Decimals of its smallest unit.")
    frozen_because: str | None = Field(
        description="The invariant that does not hold, and where. Frozen: no withdrawals, no trading."
    )


class AssetStatePage(ReplyBody):
    items: list[AssetState]
    next_cursor: None
