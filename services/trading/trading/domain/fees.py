"""Which rates an order pays. They are looked up once, when it is placed, and stay for its whole life."""

from typing import NamedTuple

from trading.domain.markets import FeeRates, FeeTier, Market
from trading.domain.state import Owner


class FeeStanding(NamedTuple):
    """Where a user stands in one market. `tier` 0 is the market's two rates, tier n the n-th of `fee_tiers`."""

    rates: FeeRates
    tier: int
    volume: int  # quote minor units of the last 30 days
    overridden: bool  # the rates are the user's own, whatever the tier says
    next_tier: FeeTier | None


def fee_rates(owner: Owner | None, market: Market, time_milliseconds: int) -> FeeRates:
    """What an order pays that is placed now. `owner` None has never traded."""
    if owner is None:
        return market.base_rates
    if owner.fee_rates is not None:
        return owner.fee_rates
    traded = owner.volumes.get(market.quote)
    # Most users are below the first tier, whichever of their days still count.
    if traded is None or not market.fee_tiers or traded.total < market.fee_tiers[0].volume:
        return market.base_rates
    volume = traded.at(time_milliseconds)
    for tier in reversed(market.fee_tiers):
        if volume >= tier.volume:
            return FeeRates(tier.maker_fee_basis_points, tier.taker_fee_basis_points)
    return market.base_rates


def fee_standing(owner: Owner | None, market: Market, time_milliseconds: int) -> FeeStanding:
    """The same with its reasons, for people."""
    traded = owner.volumes.get(market.quote) if owner is not None else None
    volume = traded.at(time_milliseconds) if traded is not None else 0
    tier = sum(1 for one in market.fee_tiers if volume >= one.volume)
    return FeeStanding(
        fee_rates(owner, market, time_milliseconds),
        tier,
        volume,
        owner is not None and owner.fee_rates is not None,
        market.fee_tiers[tier] if tier < len(market.fee_tiers) else None,
    )
