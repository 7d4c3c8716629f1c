"""Unsure means stop (M24): an asset whose books do not add up leaves nobody's account and is not traded."""

from dataclasses import replace

from trading.domain.commands import FreezeAsset, UnfreezeAsset
from trading.domain.errors import UnknownAsset
from trading.domain.events import AssetFrozen, AssetUnfrozen, Event, MarketSet
from trading.domain.markets import MarketStatus
from trading.domain.outcomes import Decision
from trading.domain.state import ExchangeState
from trading.domain.transfer_errors import FreezeNotExplained


def freeze_asset(state: ExchangeState, command: FreezeAsset) -> Decision:
    """No event where all of it is so already: the reconciler says it again as long as it sees it."""
    _check(state, command)
    events: list[Event] = []
    if command.asset not in state.frozen_assets:
        events.append(AssetFrozen(command.asset, command.actor, command.reason))
    for _, market_state in sorted(state.markets.items()):
        market = market_state.market
        if command.asset in {market.base, market.quote} and market.status is MarketStatus.TRADING:
            stopped = replace(market, status=MarketStatus.CANCEL_ONLY)
            events.append(MarketSet(stopped, command.actor, command.reason, market_state.version + 1))
    return events


def unfreeze_asset(state: ExchangeState, command: UnfreezeAsset) -> Decision:
    """The asset's markets stay as they are: whoever unfreezes has looked at the asset, not at each of them."""
    _check(state, command)
    if not command.actor.user_id:
        raise FreezeNotExplained("A person is needed.", field="actor")
    if command.asset not in state.frozen_assets:
        return []
    return [AssetUnfrozen(command.asset, command.actor, command.reason)]


def _check(state: ExchangeState, command: FreezeAsset | UnfreezeAsset) -> None:
    if command.asset not in state.assets:
        raise UnknownAsset(asset=command.asset)
    if not command.reason:
        raise FreezeNotExplained("A reason is needed.", field="reason")
    if not command.actor.credential_id or not command.actor.request_id:
        raise FreezeNotExplained("Somebody must answer for it.", field="actor")
