"""Whether the rules of a market, taken together, leave room for an order; each alone is `Market`'s to check.

Asked where an operator adds a market, changes one of these figures, or opens it. No rule of `Market` itself: what
journals hold must stay readable, and a price may move away from rules that were good once.
"""

from collections.abc import Callable
from dataclasses import replace
from math import gcd

from trading.domain.amounts import AMOUNT_MAX
from trading.domain.errors import InvalidMarket
from trading.domain.markets import BASIS_POINTS, Market


def figures(market: Market) -> tuple[int, ...]:
    """What `check_room` looks at."""
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
    _check_shares(market)
    _check_tick(market, reference_price or AMOUNT_MAX)
    _check_largest_order(market, reference_price or AMOUNT_MAX)
    _check_smallest_order(market, reference_price or market.tick)


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


def _text_or_none(text: Callable[[int], str], amount: int) -> str:
    return text(amount) if amount else ""
