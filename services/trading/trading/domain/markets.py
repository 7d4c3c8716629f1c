"""Assets and markets: the rules an order meets. Frozen; changed by the operator's audited command alone."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from math import gcd
from typing import NamedTuple

from trading.domain.amounts import AMOUNT_MAX, SCALE_MAX, format_amount, nearest_multiple, parse_amount
from trading.domain.errors import InvalidLot, InvalidTick, TooManyDecimals
from trading.domain.market_errors import InvalidMarket

BASIS_POINTS = 10_000
FEE_BASIS_POINTS_MAX = 1_000  # a typing error, not a tariff, would be above 10 %
FEE_TIERS_MAX = 10  # one look-up per order walks them
HOUSE_LEVELS_MAX = 100  # a ladder deeper than any book view
OPEN_ORDERS_MAX = 1_000  # what one cancel of all may have to close in a batch
BREAKER_WINDOW_MILLISECONDS_MAX = 300_000  # the shell remembers ticks for so long
BREAKER_PAUSE_MILLISECONDS_MAX = 3_600_000  # longer is an operator's decision, not a machine's
_CODE = re.compile(r"[A-Z0-9]{2,12}", re.ASCII)


class MarketStatus(StrEnum):
    """The operator's word. A circuit breaker's pause is none of these: it ends by itself (`MarketState`)."""

    TRADING = "trading"
    CANCEL_ONLY = "cancel_only"  # no new orders and no fills; cancels are possible
    HALTED = "halted"  # nothing moves, not even by a cancel


# By bare names as in `orders`.
TRADING, HALTED = MarketStatus.TRADING, MarketStatus.HALTED


@dataclass(frozen=True, slots=True)
class Asset:
    code: str
    name: str
    scale: int  # decimals of the minor unit; never changes

    def __post_init__(self) -> None:
        if _CODE.fullmatch(self.code) is None:
            raise InvalidMarket("An asset's code is 2 to 12 capital letters or digits.", field="code", rule="code")
        if not 1 <= len(self.name) <= 64:  # noqa: PLR2004 - fits a table column
            raise InvalidMarket("An asset's name has 1 to 64 characters.", field="name", rule="length")
        if not 0 <= self.scale <= SCALE_MAX:
            raise InvalidMarket(f"A scale lies between 0 and {SCALE_MAX}.", field="scale", rule="scale")


@dataclass(frozen=True, slots=True)
class PriceSource:
    """A source of reference prices that this market accepts, and how old its own time may be."""

    name: str
    maximum_age_milliseconds: int
    extra_half_spread_basis_points: int = 0  # the house asks more for prices that come rarely


@dataclass(frozen=True, slots=True)
class HouseQuoting:
    """The house's ladder around the reference price. Level i stands `half_spread + i x step` away from it.

    `level_quantity`, `inventory_limit` and `refill_per_second` are base minor units. The house's position in the market
    stays within plus and minus `inventory_limit`. `levels` 0 means that the house does not quote.
    """

    levels: int
    half_spread_basis_points: int
    step_basis_points: int
    level_quantity: int
    inventory_limit: int
    refill_per_second: int


class FeeRates(NamedTuple):
    """What an order pays for what it makes and for what it takes, in basis points of the notional."""

    maker: int
    taker: int


class FeeTier(NamedTuple):
    """The rates of whoever traded at least `volume` (quote minor units) in the last 30 days."""

    volume: int
    maker_fee_basis_points: int
    taker_fee_basis_points: int


class CircuitBreaker(NamedTuple):
    """The market pauses for `pause` when the reference is more than `move` away from any price of the last `window`.

    A `move` of 0 means that there is no breaker.
    """

    move_basis_points: int
    window_milliseconds: int
    pause_milliseconds: int


NO_BREAKER = CircuitBreaker(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Market:
    """Amounts in minor units: `tick` and prices are quote minor units per whole base unit, `lot` and quantities base
    minor units, `minimum_notional` quote minor units. tick x lot is a whole number of quote minor units, so a notional
    is exact and only fees round.
    """

    base: str
    quote: str
    base_scale: int
    quote_scale: int
    status: MarketStatus
    tick: int
    lot: int
    minimum_notional: int
    maximum_quantity: int
    maker_fee_basis_points: int
    taker_fee_basis_points: int
    price_band_basis_points: int
    slippage_cap_basis_points: int
    sources: tuple[PriceSource, ...]
    house: HouseQuoting
    silence_limit_milliseconds: int = 3_000  # a price stream that says nothing for longer is taken for dead
    maximum_open_orders: int = 200  # of one user in this market
    fee_tiers: tuple[FeeTier, ...] = ()  # above the two rates, which hold from volume 0; by growing volume
    breaker: CircuitBreaker = NO_BREAKER
    symbol: str = field(init=False)
    base_unit: int = field(init=False)  # minor units in one whole base unit
    base_rates: FeeRates = field(init=False, repr=False)  # of whoever has traded nothing yet

    def __post_init__(self) -> None:
        object.__setattr__(self, "symbol", f"{self.base}-{self.quote}")
        object.__setattr__(self, "base_unit", 10**self.base_scale)
        object.__setattr__(self, "base_rates", FeeRates(self.maker_fee_basis_points, self.taker_fee_basis_points))
        for check in (
            self._check_units, self._check_rules, self._check_tiers, self._check_breaker, self._check_house,
            self._check_sources,
        ):  # fmt: skip
            check()

    def notional(self, price: int, quantity: int) -> int:
        """Quote minor units; exact for a price on the tick and a quantity on the lot."""
        return price * quantity // self.base_unit

    def price_from_text(self, text: str, field: str = "price") -> int:
        """Raises `InvalidArgument` or `InvalidTick` (also for too many decimals)."""
        try:
            price = parse_amount(text, self.quote_scale, field=field)
        except TooManyDecimals as error:
            price = parse_amount(error.details["nearest"], self.quote_scale, field=field)
            raise self.invalid_tick(price, text, field) from None
        if price % self.tick:
            raise self.invalid_tick(price, text, field)
        return price

    def quantity_from_text(self, text: str) -> int:
        """Raises `InvalidArgument` or `InvalidLot` (also for too many decimals)."""
        try:
            quantity = parse_amount(text, self.base_scale, field="quantity")
        except TooManyDecimals as error:
            quantity = parse_amount(error.details["nearest"], self.base_scale, field="quantity")
            raise self.invalid_lot(quantity, text) from None
        if quantity % self.lot:
            raise self.invalid_lot(quantity, text)
        return quantity

    def quote_from_text(self, text: str) -> int:
        """Raises `InvalidArgument` or `TooManyDecimals`."""
        return parse_amount(text, self.quote_scale, field="quote_quantity")

    def price_text(self, price: int) -> str:
        return format_amount(price, self.quote_scale)

    def quantity_text(self, quantity: int) -> str:
        return format_amount(quantity, self.base_scale)

    def quote_text(self, amount: int) -> str:
        return format_amount(amount, self.quote_scale)

    def invalid_tick(self, price: int, given: str, field: str = "price") -> InvalidTick:
        nearest = self.price_text(nearest_multiple(price, self.tick))
        return InvalidTick(tick=self.price_text(self.tick), given=given, nearest=nearest, field=field)

    def invalid_lot(self, quantity: int, given: str) -> InvalidLot:
        nearest = self.quantity_text(nearest_multiple(quantity, self.lot))
        return InvalidLot(lot=self.quantity_text(self.lot), given=given, nearest=nearest)

    def _check_units(self) -> None:
        for name, code in (("base_asset", self.base), ("quote_asset", self.quote)):
            _require(_CODE.fullmatch(code) is not None, "An asset's code is needed.", name, "code")
        _require(self.base != self.quote, "A market has two different assets.", "quote_asset", "different")
        for name, scale in (("base_scale", self.base_scale), ("quote_scale", self.quote_scale)):
            _require(0 <= scale <= SCALE_MAX, f"A scale lies between 0 and {SCALE_MAX}.", name, "scale")
        for name, amount in (
            ("tick", self.tick),
            ("lot", self.lot),
            ("min_notional", self.minimum_notional),
            ("max_quantity", self.maximum_quantity),
        ):
            _require(0 < amount <= AMOUNT_MAX, "The amount must be above zero and fit 63 bits.", name, "positive")
        finest = self.base_unit // gcd(self.tick, self.base_unit)  # the lot that this tick allows
        for name, step, amount, rule, sentence in (
            ("lot", finest, self.lot, "exact_notional", "tick x lot must be a whole number of quote minor units."),
            ("max_quantity", self.lot, self.maximum_quantity, "lot", "Must be a multiple of the lot."),
        ):
            if amount % step:
                raise InvalidMarket(
                    sentence, field=name, rule=rule, limit=self.quantity_text(step), given=self.quantity_text(amount),
                    nearest=self.quantity_text(nearest_multiple(amount, step)),
                )  # fmt: skip

    def _check_rules(self) -> None:
        for name, fee in (
            ("maker_fee_basis_points", self.maker_fee_basis_points),
            ("taker_fee_basis_points", self.taker_fee_basis_points),
        ):
            check_fee(fee, name)
        for name, share in (
            ("price_band_basis_points", self.price_band_basis_points),
            ("slippage_cap_basis_points", self.slippage_cap_basis_points),
        ):
            _require(0 < share < BASIS_POINTS, "A share lies between 0 and 100 %.", name, "range")
        _require(self.silence_limit_milliseconds > 0, "Must be above zero.", "silence_limit_seconds", "positive")
        allowed = 1 <= self.maximum_open_orders <= OPEN_ORDERS_MAX
        _require(allowed, f"Between 1 and {OPEN_ORDERS_MAX}.", "max_open_orders", "range")

    def _check_tiers(self) -> None:
        _require(len(self.fee_tiers) <= FEE_TIERS_MAX, f"At most {FEE_TIERS_MAX} tiers.", "fee_tiers", "length")
        volume = 0
        for tier in self.fee_tiers:
            growing = volume < tier.volume <= AMOUNT_MAX
            _require(growing, "Each tier begins above the one before it.", "fee_tiers.volume_from", "growing")
            check_fee(tier.maker_fee_basis_points, "fee_tiers.maker_fee_basis_points")
            check_fee(tier.taker_fee_basis_points, "fee_tiers.taker_fee_basis_points")
            volume = tier.volume

    def _check_breaker(self) -> None:
        move, window, pause = self.breaker
        _require(
            0 <= move < BASIS_POINTS, "A share lies between 0 and 100 %.", "circuit_breaker.move_basis_points", "range"
        )
        if move == 0:
            return
        within = 0 < window <= BREAKER_WINDOW_MILLISECONDS_MAX
        _require(within, "Above zero, at most 5 minutes.", "circuit_breaker.window_seconds", "range")
        within = 0 < pause <= BREAKER_PAUSE_MILLISECONDS_MAX
        _require(within, "Above zero, at most an hour.", "circuit_breaker.pause_seconds", "range")

    def _check_house(self) -> None:
        house = self.house
        _require(0 <= house.levels <= HOUSE_LEVELS_MAX, "Too many levels.", "house.levels", "range")
        if house.levels == 0:
            return
        # At least one basis point, so that the house's own bid and ask can never meet.
        _require(
            house.half_spread_basis_points >= 1, "Must be above zero.", "house.half_spread_basis_points", "positive"
        )
        _require(house.step_basis_points >= 1, "Must be above zero.", "house.step_basis_points", "positive")
        for name, quantity in (("level_quantity", house.level_quantity), ("inventory_limit", house.inventory_limit)):
            _require(0 < quantity <= AMOUNT_MAX, "Must be above zero.", f"house.{name}", "positive")
            _require(quantity % self.lot == 0, "Must be a multiple of the lot.", f"house.{name}", "lot")
        _require(0 <= house.refill_per_second <= AMOUNT_MAX, "Not below zero.", "house.refill_per_second", "range")

    def _check_sources(self) -> None:
        names = [source.name for source in self.sources]
        _require(len(names) == len(set(names)), "A source is named once.", "sources", "unique")
        for source in self.sources:
            _require(source.maximum_age_milliseconds > 0, "Must be above zero.", "sources", "positive")
            _require(source.extra_half_spread_basis_points >= 0, "Not below zero.", "sources", "range")


def check_fee(basis_points: int, name: str) -> None:
    """Raises `InvalidMarket`."""
    _require(0 <= basis_points <= FEE_BASIS_POINTS_MAX, "A fee lies between 0 and 10 %.", name, "range")


def _require(holds: bool, message: str, name: str, rule: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise InvalidMarket(message, field=name, rule=rule)
