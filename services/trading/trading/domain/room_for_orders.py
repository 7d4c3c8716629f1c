"""Whether the rules of a market, taken together, leave room for an order; each alone is `Market`'s to check.

Asked where an operator adds a market, changes one of these figures for the worse, or opens it. No rule of `Market`
itself: what journals hold must stay readable, and a price may move away from rules that were good once.
"""

from collections.abc import Callable
from dataclasses import replace
from math import gcd

from trading.domain.amounts import AMOUNT_MAX, format_amount
from trading.domain.market_errors import InvalidMarket
from trading.domain.markets import BASIS_POINTS, Market

# Market-data says something every 1.5 s, be it that nothing has changed: with less, a living stream passes for dead.
SILENCE_LIMIT_MILLISECONDS_MIN = 2_000


def leaves_less_room(before: Market, after: Market) -> bool:
    """Whether a change touches what `check_room` looks at: not so where it only sends the house away or nearer to the
    price, or waits longer for the price stream.
    """
    return (
        _figures(before) != _figures(after)
        or _house_distance(after) > _house_distance(before)
        or after.silence_limit_milliseconds < before.silence_limit_milliseconds
    )


def _figures(market: Market) -> tuple[int, ...]:
    return (
        market.tick,
        market.lot,
        market.minimum_notional,
        market.maximum_quantity,
        market.price_band_basis_points,
        market.slippage_cap_basis_points,
    )


def check_room(market: Market, reference_price: int) -> None:
    """Raises `InvalidMarket` where no order, or none of a type, could pass at that price. Where there is none yet (0),
    each rule is asked at the price that suits it best.
    """
    _check_silence(market)
    _check_shares(market)
    _check_tick(market, reference_price or AMOUNT_MAX)
    _check_house(market, reference_price or AMOUNT_MAX)
    _check_largest_order(market, reference_price or AMOUNT_MAX)
    _check_smallest_order(market, reference_price or market.tick)


def _check_silence(market: Market) -> None:
    least, given = SILENCE_LIMIT_MILLISECONDS_MIN, market.silence_limit_milliseconds
    if given < least:
        raise InvalidMarket(
            "A price stream that lives says something every 1.5 s: the silence limit must be 2 s or more",
            field="silence_limit_seconds", rule="longer_than_the_heartbeat",
            limit=_seconds(least), given=_seconds(given), nearest=_seconds(least),
        )  # fmt: skip


def _check_shares(market: Market) -> None:
    band, cap = market.price_band_basis_points, market.slippage_cap_basis_points
    if cap > band:
        # A market order would trade at prices that no limit may name.
        raise InvalidMarket(
            f"The slippage cap must not be wider than the price band of {band}",
            field="slippage_cap_basis_points", rule="within_price_band",
            limit=str(band), given=str(cap), nearest=str(band),
        )  # fmt: skip


def _check_tick(market: Market, price: int) -> None:
    """On either side of the price there is a tick within the band, for limits, and within the cap, for market orders.
    A tick as wide as that has one wherever the price stands; with a coarser one it would be chance.
    """
    for rule, share in (
        ("price_band", market.price_band_basis_points),
        ("slippage_cap", market.slippage_cap_basis_points),
    ):
        widest = price * share // BASIS_POINTS
        if market.tick > widest:
            width = market.price_text(widest)
            raise InvalidMarket(
                f"At a price of {market.price_text(price)} the {rule.replace('_', ' ')} reaches {width} far, which is "
                "less than a tick",
                field="tick", rule=rule, limit=width, given=market.price_text(market.tick),
                nearest=_text_or_none(market.price_text, _tick_of_at_most(widest, market)),
            )  # fmt: skip


def _house_distance(market: Market) -> int:
    """How far from the price the house's best quotes stand, in basis points, around the source that it trusts least; 0
    without a house.
    """
    if not market.house.levels:
        return 0
    extra = max((source.extra_half_spread_basis_points for source in market.sources), default=0)
    return market.house.half_spread_basis_points + extra


def _check_house(market: Market, price: int) -> None:
    """Between its best quote and the slippage cap there is a tick, so that rounding away from the price here, and
    towards it there, never parts the house from market orders.
    """
    distance = _house_distance(market)
    widest = market.slippage_cap_basis_points - -(-market.tick * BASIS_POINTS // price)
    if distance > widest:
        given = market.house.half_spread_basis_points
        limit = widest - (distance - given)
        raise InvalidMarket(
            f"The house quotes {distance} basis points away from the price at least, and market orders reach "
            f"{market.slippage_cap_basis_points} less a tick: none would meet it",
            field="house.half_spread_basis_points", rule="within_slippage_cap",
            limit=str(max(limit, 0)), given=str(given), nearest=str(limit) if limit > 0 else "",
        )  # fmt: skip


def _check_largest_order(market: Market, price: int) -> None:
    worth = market.notional(price, market.maximum_quantity)
    if worth < market.minimum_notional:
        raise InvalidMarket(
            f"The largest order, {market.quantity_text(market.maximum_quantity)} at {market.price_text(price)}, is "
            f"worth {market.quote_text(worth)}",
            field="min_notional", rule="max_quantity", limit=market.quote_text(worth),
            given=market.quote_text(market.minimum_notional), nearest=_text_or_none(market.quote_text, worth),
        )  # fmt: skip


def _check_smallest_order(market: Market, price: int) -> None:
    worth = _worth_of_smallest_order(market, price)
    if worth > AMOUNT_MAX:
        finest = replace(market, lot=_finest_step(market.tick, market))
        passes = _worth_of_smallest_order(finest, price) <= AMOUNT_MAX
        raise InvalidMarket(
            f"The smallest order at a price of {market.price_text(price)} is worth more than an account can hold",
            field="lot", rule="amount_max", limit=market.quote_text(AMOUNT_MAX), given=market.quote_text(worth),
            nearest=market.quantity_text(finest.lot) if passes else "",
        )  # fmt: skip


def _worth_of_smallest_order(market: Market, price: int) -> int:
    """Of so many lots that they come to the smallest notional."""
    lots = -(-market.minimum_notional * market.base_unit // (price * market.lot))
    return market.notional(price, lots * market.lot)


def _tick_of_at_most(widest: int, market: Market) -> int:
    """A power of ten where one goes with the lot, since people count in them; 0 where no tick does."""
    finest = _finest_step(market.lot, market)
    round_one = 10 ** (len(str(widest)) - 1) if widest else 0
    return round_one if round_one % finest == 0 else widest // finest * finest


def _finest_step(of_the_other: int, market: Market) -> int:
    """The finest tick that goes with a lot, or lot that goes with a tick: all others are multiples of it."""
    return market.base_unit // gcd(of_the_other, market.base_unit)


def _seconds(milliseconds: int) -> str:
    return format_amount(milliseconds, 3)


def _text_or_none(text: Callable[[int], str], amount: int) -> str:
    return text(amount) if amount else ""
