"""The markets a new exchange opens with: 20 assets against the dollar. Prices live at the source, these are only rules.

Each row has a price around which the rules make sense; it sizes the house's ladder and is never traded at.
"""

from dataclasses import replace
from typing import NamedTuple

from trading.domain.amounts import nearest_multiple, parse_amount
from trading.domain.markets import Asset, CircuitBreaker, FeeTier, HouseQuoting, Market, MarketStatus, PriceSource

DOLLAR = Asset("USD", "US Dollar", 8)
COIN_SCALE = 8

# The local simulator speaks every second; a polled provider's price may be two minutes old and costs a wider spread.
SOURCES = (
    PriceSource("simulator", 3_000),
    PriceSource("coingecko", 120_000, extra_half_spread_basis_points=20),
)

# What a large trader saves is a tenth to a half of what the house earns by its spread: no volume trades at a loss.
FEE_TIERS = tuple(
    FeeTier(dollars * 10**DOLLAR.scale, maker_fee_basis_points, taker_fee_basis_points)
    for dollars, maker_fee_basis_points, taker_fee_basis_points in (
        (100_000, 8, 18),
        (1_000_000, 6, 15),
        (10_000_000, 3, 12),
        (100_000_000, 0, 8),
    )
)
# A large coin moves a tenth within a minute in a crash or by a wrong price; both deserve a look before anybody trades.
BREAKER = CircuitBreaker(move_basis_points=1_000, window_milliseconds=60_000, pause_milliseconds=60_000)

NO_HOUSE = HouseQuoting(0, 0, 0, 0, 0, 0)

_LEVEL_WORTH = 50_000  # USD per level of the ladder: far above a retail order
_LEVELS = 10  # the largest order is the whole ladder
_INVENTORY_WORTH = 20_000_000  # USD: the house's risk in one market
_REFILL_SECONDS = 10  # a used-up level is back after this long


class _Row(NamedTuple):
    code: str
    name: str
    tick: str
    lot: str
    typical_price: str


_ROWS = (
    _Row("BTC", "Bitcoin", "0.01", "0.000001", "60000"),
    _Row("ETH", "Ethereum", "0.01", "0.00001", "3000"),
    _Row("SOL", "Solana", "0.001", "0.0001", "150"),
    _Row("XRP", "XRP", "0.0001", "0.01", "1.5"),
    _Row("ADA", "Cardano", "0.0001", "0.01", "0.7"),
    _Row("DOGE", "Dogecoin", "0.00001", "0.1", "0.2"),
    _Row("DOT", "Polkadot", "0.001", "0.001", "6.5"),
    _Row("AVAX", "Avalanche", "0.001", "0.001", "33"),
    _Row("LINK", "Chainlink", "0.001", "0.001", "17"),
    _Row("LTC", "Litecoin", "0.01", "0.0001", "90"),
    _Row("BCH", "Bitcoin Cash", "0.01", "0.0001", "350"),
    _Row("XLM", "Stellar", "0.00001", "0.1", "0.25"),
    _Row("UNI", "Uniswap", "0.001", "0.001", "9.5"),
    _Row("ATOM", "Cosmos", "0.001", "0.001", "8"),
    _Row("ETC", "Ethereum Classic", "0.001", "0.001", "25"),
    _Row("FIL", "Filecoin", "0.001", "0.001", "5.5"),
    _Row("NEAR", "NEAR Protocol", "0.001", "0.001", "5"),
    _Row("APT", "Aptos", "0.001", "0.001", "9"),
    _Row("ARB", "Arbitrum", "0.0001", "0.01", "0.9"),
    _Row("OP", "Optimism", "0.0001", "0.01", "2"),
)


def default_assets() -> tuple[Asset, ...]:
    return (DOLLAR, *(Asset(row.code, row.name, COIN_SCALE) for row in _ROWS))


def default_markets() -> tuple[Market, ...]:
    return tuple(_market(row) for row in _ROWS)


def new_market(base: Asset, quote: Asset) -> Market:
    """As the others, but closed, in the coarsest lots and without the house: those depend on what the base costs."""
    whole = 10**base.scale
    return replace(
        _market(_ROWS[0]),
        base=base.code,
        quote=quote.code,
        base_scale=base.scale,
        quote_scale=quote.scale,
        status=MarketStatus.CANCEL_ONLY,
        tick=1,
        lot=whole,
        minimum_notional=1,
        maximum_quantity=whole,
        fee_tiers=FEE_TIERS if quote == DOLLAR else (),
        house=NO_HOUSE,
    )


def _market(row: _Row) -> Market:
    lot = parse_amount(row.lot, COIN_SCALE, field="lot")
    typical_price = parse_amount(row.typical_price, DOLLAR.scale, field="typical_price")

    def worth(dollars: int) -> int:
        return nearest_multiple(dollars * 10 ** (COIN_SCALE + DOLLAR.scale) // typical_price, lot)

    return Market(
        base=row.code,
        quote=DOLLAR.code,
        base_scale=COIN_SCALE,
        quote_scale=DOLLAR.scale,
        status=MarketStatus.TRADING,
        tick=parse_amount(row.tick, DOLLAR.scale, field="tick"),
        lot=lot,
        minimum_notional=parse_amount("1", DOLLAR.scale, field="minimum_notional"),
        maximum_quantity=_LEVELS * worth(_LEVEL_WORTH),
        maker_fee_basis_points=10,
        taker_fee_basis_points=20,
        price_band_basis_points=1_000,
        slippage_cap_basis_points=200,
        sources=SOURCES,
        fee_tiers=FEE_TIERS,
        breaker=BREAKER,
        house=HouseQuoting(
            levels=_LEVELS,
            half_spread_basis_points=5,
            step_basis_points=5,
            level_quantity=worth(_LEVEL_WORTH),
            inventory_limit=worth(_INVENTORY_WORTH),
            refill_per_second=worth(_LEVEL_WORTH) // _REFILL_SECONDS,
        ),
    )
