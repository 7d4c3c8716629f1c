"""Markets, their rules, fees, trades and books as the public and operators see them."""

from typing import Any

from cryptovault.trading.v1 import operator_pb2
from cryptovault.trading.v1 import trading_pb2 as pb

from gateway.views.times import optional_time_text, time_text

_MILLISECONDS = 1_000


def market_view(market: pb.Market) -> dict[str, Any]:
    breaker = market.circuit_breaker
    return {
        "symbol": market.symbol,
        "base_asset": market.base_asset,
        "quote_asset": market.quote_asset,
        "name": market.base_name,
        "status": market.status,
        "paused_until": optional_time_text(market, "paused_until"),
        "tick": market.tick,
        "lot": market.lot,
        "min_notional": market.min_notional,
        "max_quantity": market.max_quantity or None,
        "max_open_orders": market.max_open_orders,
        "maker_fee_basis_points": market.maker_fee_basis_points,
        "taker_fee_basis_points": market.taker_fee_basis_points,
        "fee_tiers": [fee_tier_view(tier) for tier in market.fee_tiers],
        "price_band_basis_points": market.price_band_basis_points,
        "slippage_cap_basis_points": market.slippage_cap_basis_points,
        "circuit_breaker": {
            "move_basis_points": breaker.move_basis_points,
            "window_seconds": seconds_text(breaker.window_milliseconds),
            "pause_seconds": seconds_text(breaker.pause_milliseconds),
        }
        if market.HasField("circuit_breaker")
        else None,
    }


def fee_tier_view(tier: pb.FeeTier) -> dict[str, Any]:
    return {
        "volume_from": tier.volume,
        "maker_fee_basis_points": tier.maker_fee_basis_points,
        "taker_fee_basis_points": tier.taker_fee_basis_points,
    }


def fees_view(fees: pb.MarketFees) -> dict[str, Any]:
    return {
        "market": fees.market,
        "quote_asset": fees.quote_asset,
        "maker_fee_basis_points": fees.maker_fee_basis_points,
        "taker_fee_basis_points": fees.taker_fee_basis_points,
        "tier": fees.tier,
        "volume_30d": fees.volume_30d,
        "overridden": fees.overridden,
        "next_tier": fee_tier_view(fees.next_tier) if fees.HasField("next_tier") else None,
    }


def rules_view(rules: operator_pb2.MarketRules) -> dict[str, Any]:
    house = rules.house
    return {
        **market_view(rules.market),
        "version": rules.version,
        "operator_status": rules.status,
        "house": {
            "levels": house.levels,
            "half_spread_basis_points": house.half_spread_basis_points,
            "step_basis_points": house.step_basis_points,
            "level_quantity": house.level_quantity,
            "inventory_limit": house.inventory_limit,
            "refill_per_second": house.refill_per_second,
        },
        "house_position": rules.house_position,
        "reference_price": rules.reference_price or None,
        "sources": [
            {
                "name": source.name,
                "maximum_age_seconds": seconds_text(source.maximum_age_milliseconds),
                "extra_half_spread_basis_points": source.extra_half_spread_basis_points,
            }
            for source in rules.sources
        ],
        "silence_limit_seconds": seconds_text(rules.silence_limit_milliseconds),
    }


def trade_view(trade: pb.PublicTrade) -> dict[str, Any]:
    return {
        "id": trade.id,
        "sequence": trade.sequence,
        "price": trade.price,
        "quantity": trade.quantity,
        "taker_side": trade.taker_side,
        "time": time_text(trade.time),
    }


def seconds_text(milliseconds: int) -> str:
    """`1500` is `"1.5"`."""
    whole, rest = divmod(milliseconds, _MILLISECONDS)
    return f"{whole}.{rest:03d}".rstrip("0").rstrip(".")


def book_view(book: pb.GetBookResponse) -> dict[str, Any]:
    return {
        "market": book.market,
        "sequence": book.batch,
        "bids": [[level.price, level.quantity] for level in book.bids],
        "asks": [[level.price, level.quantity] for level in book.asks],
        "time": time_text(book.time),
    }
