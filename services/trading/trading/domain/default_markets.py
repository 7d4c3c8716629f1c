"""The markets a new exchange opens with: 20 assets against the dollar. Prices live at the source, these are only rules.

Each row has a price around which the rules make sense; it sizes the house's ladder and is never traded at.
"""

from typing import NamedTuple

from trading.domain.amounts import nearest_multiple, parse_amount
from trading.domain.markets import Asset, HouseQuoting, Market, MarketStatus, PriceSource

DOLLAR = Asset("USD", "US Dollar", 8)
COIN_SCALE = 8

# The local simulator speaks every second; a polled provider's price may be two minutes old and costs a wider spread.
SOURCES = (
    PriceSource("simulator", 3_000),
    PriceSource("coingecko", 120_000, extra_half_spread_basis_points=20),
)

_LEVEL_WORTH = 50_000  # USD per level of the ladder: far above a retail order
_ORDER_WORTH_MAX = 500_000  # USD: ten levels, the whole ladder
_INVENTORY_WORTH = 20_000_000  # USD: the house's risk in one market
_REFILL_SECONDS = 10  # a used-up level is back after this long


class _Row(NamedTuple):
    code: str
    name: str
    tick: str
    lot: str
    typical_price: int


_ROWS = (
    _Row("BTC", "Bitcoin", "0.01", "0.000001", 60_000),
    _Row("ETH", "Ethereum", "0.01", "0.00001", 3_000),
    _Row("SOL", "Solana", "0.001", "0.0001", 150),
    _Row("XRP", "XRP", "0.0001", "0.01", 1),
    _Row("ADA", "Cardano", "0.0001", "0.01", 1),
    _Row("DOGE", "Dogecoin", "0.00001", "0.1", 1),
    _Row("DOT", "Polkadot", "0.001", "0.001", 7),
    _Row("AVAX", "Avalanche", "0.001", "0.001", 35),
    _Row("LINK", "Chainlink", "0.001", "0.001", 15),
    _Row("LTC", "Litecoin", "0.01", "0.0001", 80),
    _Row("BCH", "Bitcoin Cash", "0.01", "0.0001", 300),
    _Row("XLM", "Stellar", "0.00001", "0.1", 1),
    _Row("UNI", "Uniswap", "0.001", "0.001", 8),
    _Row("ATOM", "Cosmos", "0.001", "0.001", 9),
    _Row("ETC", "Ethereum Classic", "0.001", "0.001", 25),
    _Row("FIL", "Filecoin", "0.001", "0.001", 6),
    _Row("NEAR", "NEAR Protocol", "0.001", "0.001", 5),
    _Row("APT", "Aptos", "0.001", "0.001", 9),
    _Row("ARB", "Arbitrum", "0.0001", "0.01", 1),
    _Row("OP", "Optimism", "0.0001", "0.01", 2),
)


def default_assets() -> tuple[Asset, ...]:
    return (DOLLAR, *(Asset(row.code, row.name, COIN_SCALE) for row in _ROWS))


def default_markets() -> tuple[Market, ...]:
    return tuple(_market(row) for row in _ROWS)


def _market(row: _Row) -> Market:
    lot = parse_amount(row.lot, COIN_SCALE, field="lot")

    def worth(dollars: int) -> int:
        return nearest_multiple(dollars * 10**COIN_SCALE // row.typical_price, lot)

    return Market(
        base=row.code,
        quote=DOLLAR.code,
        base_scale=COIN_SCALE,
        quote_scale=DOLLAR.scale,
        status=MarketStatus.TRADING,
        tick=parse_amount(row.tick, DOLLAR.scale, field="tick"),
        lot=lot,
        minimum_notional=parse_amount("1", DOLLAR.scale, field="minimum_notional"),
        maximum_quantity=worth(_ORDER_WORTH_MAX),
        maker_fee_basis_points=10,
        taker_fee_basis_points=20,
        price_band_basis_points=1_000,
        slippage_cap_basis_points=200,
        sources=SOURCES,
        house=HouseQuoting(
            levels=10,
            half_spread_basis_points=5,
            step_basis_points=5,
            level_quantity=worth(_LEVEL_WORTH),
            inventory_limit=worth(_INVENTORY_WORTH),
            refill_per_second=worth(_LEVEL_WORTH) // _REFILL_SECONDS,
        ),
    )
