"""What operators, and the reconciler, changed in the exchange, as other services may know it."""

import json
from collections.abc import Mapping

from cryptovault.trading.v1 import events_pb2

from trading.api.actor_messages import actor_message
from trading.domain.events import AssetFrozen, AssetSet, AssetUnfrozen, MarketSet, TradingResumed, UserFeesSet

OPERATORS_EVENTS = (AssetSet, MarketSet, TradingResumed, UserFeesSet, AssetFrozen, AssetUnfrozen)
OperatorsEvent = AssetSet | MarketSet | TradingResumed | UserFeesSet | AssetFrozen | AssetUnfrozen


def operator_message(event: OperatorsEvent, changes: Mapping[tuple[str, int], str]) -> events_pb2.JournalEvent:
    """`changes` is what was asked for, by market and the version that came of it."""
    return events_pb2.JournalEvent(
        operator_acted=_acted(event, changes), actor=actor_message(event), reason=event.reason
    )


def _acted(event: OperatorsEvent, changes: Mapping[tuple[str, int], str]) -> events_pb2.OperatorActed:
    match event:
        case MarketSet():
            symbol, version = event.market.symbol, event.version
            change = changes.get((symbol, version)) or json.dumps({"version": version, "status": event.market.status})
            return events_pb2.OperatorActed(act="market_set", subject=symbol, change=change)
        case UserFeesSet():
            rates = None if event.rates is None else event.rates._asdict()
            return events_pb2.OperatorActed(
                act="user_fees_set", subject=event.user_id, change=json.dumps({"rates": rates})
            )
        case AssetSet():
            change = json.dumps({"name": event.asset.name, "scale": event.asset.scale})
            return events_pb2.OperatorActed(act="asset_set", subject=event.asset.code, change=change)
        case TradingResumed():
            return events_pb2.OperatorActed(act="trading_resumed", subject=event.market)
        case AssetFrozen():
            return events_pb2.OperatorActed(act="asset_frozen", subject=event.asset)
        case AssetUnfrozen():
            return events_pb2.OperatorActed(act="asset_unfrozen", subject=event.asset)
