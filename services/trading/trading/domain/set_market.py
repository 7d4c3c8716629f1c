"""The operator's changes: assets and the rules of markets. What open orders or past events rely on stays."""

from trading.domain.commands import SetAsset, SetMarket
from trading.domain.errors import MarketChangeRefused, UnknownAsset
from trading.domain.events import AssetSet, MarketSet
from trading.domain.markets import Market
from trading.domain.outcomes import Decision
from trading.domain.state import ExchangeState


def set_asset(state: ExchangeState, command: SetAsset) -> Decision:
    asset = command.asset
    known = state.assets.get(asset.code)
    if known == asset:
        return []
    if known is not None and known.scale != asset.scale:
        raise MarketChangeRefused("An asset's scale never changes.", market="", field="scale")
    return [AssetSet(asset, command.actor, command.reason)]


def set_market(state: ExchangeState, command: SetMarket) -> Decision:
    """No event where nothing would change, so that a start can set the default markets each time."""
    market = command.market
    for code, scale in ((market.base, market.base_scale), (market.quote, market.quote_scale)):
        asset = state.assets.get(code)
        if asset is None:
            raise UnknownAsset(asset=code)
        if asset.scale != scale:
            raise MarketChangeRefused("The scale is not the asset's.", market=market.symbol, field="scale")
    known = state.markets.get(market.symbol)
    if known is not None:
        if known.market == market:
            return []
        has_orders = bool(known.bids.keys or known.asks.keys or known.taking)
        _check_units(known.market, market, has_orders=has_orders)
    return [MarketSet(market, command.actor, command.reason)]


def _check_units(before: Market, after: Market, *, has_orders: bool) -> None:
    # An order off the tick or the lot would make notionals inexact.
    if not has_orders:
        return
    for field, same in (("tick", before.tick == after.tick), ("lot", before.lot == after.lot)):
        if not same:
            raise MarketChangeRefused("Open orders rely on it.", market=after.symbol, field=field)
