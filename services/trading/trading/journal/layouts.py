"""How each command and event is laid out in the journal: a fixed list of fields per type and version.

A layout is never edited once a release wrote it. A new field is a new version below the old one; the reader fills what
an old version lacks from the field's default. A new type takes the next free code.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from trading.domain import commands, events
from trading.domain.accounts import HoldChange, Posting
from trading.domain.commands import Actor
from trading.domain.markets import (
    Asset,
    CircuitBreaker,
    FeeRates,
    FeeTier,
    HouseQuoting,
    Market,
    MarketStatus,
    PriceSource,
)
from trading.domain.orders import CloseReason, Liquidity, OrderStatus, OrderType, Side, TimeInForce


class Layout(NamedTuple):
    """`parts` are laid out as they were when this version was the newest."""

    code: int
    version: int
    kind: type[Any]
    fields: tuple[str, ...]
    parts: Mapping[type[Any], tuple[str, ...]]


def _layout(
    code: int,
    version: int,
    kind: type[Any],
    fields: str,
    old_parts: Mapping[type[Any], tuple[str, ...]] | None = None,
) -> Layout:
    return Layout(code, version, kind, tuple(fields.split()), {**PARTS, **(old_parts or {})})


_MARKET_1 = (
    "base",
    "quote",
    "base_scale",
    "quote_scale",
    "status",
    "tick",
    "lot",
    "minimum_notional",
    "maximum_quantity",
    "maker_fee_basis_points",
    "taker_fee_basis_points",
    "price_band_basis_points",
    "slippage_cap_basis_points",
    "sources",
    "house",
    "silence_limit_milliseconds",
)

# Parts of commands and events. They carry no code of their own: the type around them fixes their version.
PARTS: dict[type[Any], tuple[str, ...]] = {
    Actor: ("user_id", "credential_id", "request_id", "received_from"),
    Posting: ("owner", "asset", "amount"),
    HoldChange: ("owner", "asset", "amount"),
    Asset: ("code", "name", "scale"),
    PriceSource: ("name", "maximum_age_milliseconds", "extra_half_spread_basis_points"),
    HouseQuoting: (
        "levels",
        "half_spread_basis_points",
        "step_basis_points",
        "level_quantity",
        "inventory_limit",
        "refill_per_second",
    ),
    FeeRates: ("maker", "taker"),
    FeeTier: ("volume", "maker_fee_basis_points", "taker_fee_basis_points"),
    CircuitBreaker: ("move_basis_points", "window_milliseconds", "pause_milliseconds"),
    Market: (*_MARKET_1, "maximum_open_orders", "fee_tiers", "breaker"),
    events.TradeSide: (
        "owner",
        "order_id",
        "liquidity",
        "fee_basis_points",
        "fee",
        "hold_reduction",
        "status",
        "user_sequence",
    ),
    events.UserSequence: ("user_id", "sequence"),
    events.NotCancelled: ("order_id", "market", "reason"),
}

# Stored as their value.
ENUMS: tuple[type[Any], ...] = (
    MarketStatus,
    Side,
    OrderType,
    TimeInForce,
    Liquidity,
    OrderStatus,
    CloseReason,
    events.HoldEnd,
)

_TICK = "market price source source_milliseconds received_milliseconds"
_ORDER_PLACED = (
    "order_id order_number user_id market side order_type time_in_force post_only quantity quote_quantity price "
    "protection_price maker_fee_basis_points taker_fee_basis_points hold_asset hold rests client_order_id "
    "idempotency_key fingerprint user_sequence actor"
)
_KEY_USED = "user_id idempotency_key fingerprint order_ids"
_PLACE_ORDER = (
    "actor market side order_type time_in_force quantity quote_quantity price post_only client_order_id idempotency_key"
)
_AMEND_ORDER = "actor order_id price quantity idempotency_key"
_SET_MARKET = "actor market reason expected_version idempotency_key change"
_ADD_MARKET = "actor market reason idempotency_key change"

EVENTS: tuple[Layout, ...] = (
    _layout(1, 1, events.BatchStarted, "number time_milliseconds keys_evicted_up_to"),
    _layout(2, 1, events.AssetSet, "asset actor reason"),
    _layout(3, 1, events.MarketSet, "market actor reason", {Market: _MARKET_1}),
    _layout(3, 2, events.MarketSet, "market actor reason version"),
    _layout(4, 1, events.ReferencePriceSet, _TICK),
    _layout(5, 1, events.OrderPlaced, _ORDER_PLACED),
    _layout(5, 2, events.OrderPlaced, _ORDER_PLACED + " stop_price expires_milliseconds"),
    _layout(
        6,
        1,
        events.Traded,
        "market base_asset quote_asset trade_number tape_sequence taker_side price quantity notional buyer seller "
        "house_consumed",
    ),
    _layout(7, 1, events.OrderRested, "order_id market"),
    _layout(
        8, 1, events.OrderClosed, "order_id user_id market status reason hold_asset hold_reduction user_sequence actor"
    ),
    _layout(9, 1, events.KeyUsed, _KEY_USED),
    _layout(9, 2, events.KeyUsed, _KEY_USED + " not_cancelled"),
    _layout(
        10,
        1,
        events.TransferPosted,
        "transfer_id transfer_number business_key kind postings reason fingerprint user_sequences actor",
    ),
    _layout(11, 1, events.WorkPostponed, "market"),
    _layout(12, 1, events.WorkFinished, "market"),
    _layout(
        20,
        1,
        events.OrderTriggered,
        "order_id user_id market reference_price protection_price priority rests user_sequence",
    ),
    _layout(
        21,
        1,
        events.OrderAmended,
        "order_id user_id market price quantity protection_price price_before quantity_before priority rests "
        "hold_asset hold_change status user_sequence actor",
    ),
    _layout(50, 1, events.TradingPaused, "market until_milliseconds price_before price"),
    _layout(51, 1, events.TradingResumed, "market time_milliseconds actor reason"),
    _layout(52, 1, events.UserFeesSet, "user_id rates actor reason"),
    _layout(
        30,
        1,
        events.TransferHeld,
        "transfer_id transfer_number business_key kind postings expires_milliseconds reason fingerprint "
        "user_sequences actor",
    ),
    _layout(
        31,
        1,
        events.TransferSettled,
        "transfer_id hold_key business_key kind postings released reason fingerprint user_sequences actor",
    ),
    _layout(
        32,
        1,
        events.TransferReleased,
        "transfer_id hold_key business_key end kind released reason fingerprint user_sequences actor",
    ),
    _layout(33, 1, events.AssetFrozen, "asset actor reason"),
    _layout(34, 1, events.AssetUnfrozen, "asset actor reason"),
)

COMMANDS: tuple[Layout, ...] = (
    _layout(101, 1, commands.StartBatch, "number time_milliseconds"),
    _layout(102, 1, commands.PlaceOrder, _PLACE_ORDER),
    _layout(102, 2, commands.PlaceOrder, _PLACE_ORDER + " stop_price expires_milliseconds"),
    _layout(103, 1, commands.CancelOrder, "actor order_id idempotency_key"),
    _layout(104, 1, commands.CancelAll, "actor market idempotency_key"),
    _layout(105, 1, commands.SetReferencePrice, _TICK),
    _layout(105, 2, commands.SetReferencePrice, _TICK + " lowest highest"),
    _layout(106, 1, commands.Transfer, "actor business_key kind postings reason"),
    _layout(107, 1, commands.SetAsset, "actor asset reason"),
    _layout(108, 1, commands.SetMarket, "actor market reason", {Market: _MARKET_1}),
    _layout(108, 2, commands.SetMarket, _SET_MARKET),
    _layout(108, 3, commands.SetMarket, _SET_MARKET + " reference_price"),
    _layout(109, 1, commands.Continue, "market"),
    _layout(120, 1, commands.AmendOrder, _AMEND_ORDER),
    _layout(120, 2, commands.AmendOrder, _AMEND_ORDER + " price_scale quantity_scale"),
    _layout(121, 1, commands.ExpireOrders, ""),
    _layout(121, 2, commands.ExpireOrders, "market"),
    _layout(150, 1, commands.ResumeMarket, "actor market reason"),
    _layout(152, 1, commands.AddAsset, "actor asset reason idempotency_key"),
    _layout(153, 1, commands.AddMarket, _ADD_MARKET),
    _layout(153, 2, commands.AddMarket, _ADD_MARKET + " reference_price"),
    _layout(151, 1, commands.SetUserFees, "actor user_id rates reason"),
    _layout(130, 1, commands.HoldTransfer, "actor business_key kind postings expires_milliseconds reason"),
    _layout(131, 1, commands.PostTransfer, "actor business_key hold_key postings reason"),
    _layout(132, 1, commands.VoidTransfer, "actor business_key hold_key reason"),
    _layout(133, 1, commands.ExpireTransfers, ""),
    _layout(134, 1, commands.FreezeAsset, "actor asset reason"),
    _layout(135, 1, commands.UnfreezeAsset, "actor asset reason"),
)
