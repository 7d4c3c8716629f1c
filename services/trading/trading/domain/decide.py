"""Checks a command against the state and computes what happens. Changes nothing."""

from collections.abc import Callable
from typing import Any

from trading.domain.add_market import add_asset, add_market
from trading.domain.amend_order import amend_order
from trading.domain.cancel_orders import cancel_all, cancel_order
from trading.domain.commands import (
    AddAsset,
    AddMarket,
    AmendOrder,
    CancelAll,
    CancelOrder,
    Command,
    Continue,
    ExpireOrders,
    ExpireTransfers,
    FreezeAsset,
    HoldTransfer,
    PlaceOrder,
    PostTransfer,
    ResumeMarket,
    SetAsset,
    SetMarket,
    SetReferencePrice,
    SetUserFees,
    StartBatch,
    Transfer,
    UnfreezeAsset,
    VoidTransfer,
)
from trading.domain.continue_work import continue_work
from trading.domain.expire_orders import expire_orders
from trading.domain.freeze_asset import freeze_asset, unfreeze_asset
from trading.domain.held_transfers import expire_transfers, hold_transfer, post_transfer, void_transfer
from trading.domain.outcomes import Decision
from trading.domain.place_order import place_order
from trading.domain.set_market import resume_market, set_asset, set_market, set_user_fees
from trading.domain.set_reference_price import set_reference_price
from trading.domain.start_batch import start_batch
from trading.domain.state import ExchangeState
from trading.domain.transfer import transfer


def decide(state: ExchangeState, command: Command) -> Decision:
    """Raises `ServiceError` for a refusal; nothing is written then."""
    return DECIDERS[type(command)](state, command)


DECIDERS: dict[type, Callable[[ExchangeState, Any], Decision]] = {
    StartBatch: start_batch,
    PlaceOrder: place_order,
    AmendOrder: amend_order,
    CancelOrder: cancel_order,
    CancelAll: cancel_all,
    SetReferencePrice: set_reference_price,
    Transfer: transfer,
    HoldTransfer: hold_transfer,
    PostTransfer: post_transfer,
    VoidTransfer: void_transfer,
    ExpireTransfers: expire_transfers,
    FreezeAsset: freeze_asset,
    UnfreezeAsset: unfreeze_asset,
    SetAsset: set_asset,
    SetMarket: set_market,
    AddAsset: add_asset,
    AddMarket: add_market,
    ResumeMarket: resume_market,
    SetUserFees: set_user_fees,
    Continue: continue_work,
    ExpireOrders: expire_orders,
}
