"""The projection's rows as they are written, and orders read back from them."""

from datetime import datetime
from typing import Any

from bson.decimal128 import Decimal128

from trading.domain.events import (
    HoldEnd,
    KeyUsed,
    OrderAmended,
    OrderPlaced,
    Traded,
    TradeSide,
    TransferHeld,
    TransferPosted,
    TransferReleased,
    TransferSettled,
)
from trading.domain.identifiers import trade_id
from trading.domain.ledger import postings_of
from trading.domain.markets import Asset, Market
from trading.domain.moments import milliseconds_of, time_of
from trading.domain.orders import CloseReason, Order, OrderStatus, OrderType, Side, TimeInForce
from trading.journal.history import OrderView, TransferEvent
from trading.storage.decimals import to_decimal128, to_units
from trading.storage.documents import HELD, PENDING, FillPart, OrderDocument, used_key_id

Row = dict[str, Any]

# What changes after an order was placed.
CHANGING = (
    "amount",
    "price",
    "status",
    "filled_at",
    "updated_at",
    "filled_amount",
    "filled_quote_amount",
    "fees",
    "close_reason",
    "triggered_batch",
    "amendments",
    "batch",
)


def order_row(event: OrderPlaced, market: Market, *, batch: int, time: datetime) -> Row:
    row: Row = {
        "_id": event.order_id,
        "id": event.order_id,
        "user_id": event.user_id,
        "trading_pair": event.market,
        "order_type": event.order_type.value,
        "side": event.side.value,
        "amount": _or_none(event.quantity, market.base_scale),
        "quote_amount": _or_none(event.quote_quantity, market.quote_scale),
        "price": _or_none(event.price, market.quote_scale),
        "stop_price": _or_none(event.stop_price, market.quote_scale),
        "expires_at": time_of(event.expires_milliseconds) if event.expires_milliseconds else None,
        "status": OrderStatus.OPEN.value,
        "created_at": time,
        "filled_at": None,
        "updated_at": time,
        "time_in_force": event.time_in_force.value,
        "post_only": event.post_only,
        "maker_fee_basis_points": event.maker_fee_basis_points,
        "taker_fee_basis_points": event.taker_fee_basis_points,
        "fingerprint": event.fingerprint,
        "filled_amount": to_decimal128(0, market.base_scale),
        "filled_quote_amount": to_decimal128(0, market.quote_scale),
        "fees": to_decimal128(0, market.quote_scale),
        "close_reason": None,
        "triggered_batch": None,
        "amendments": [],
        "placed_batch": batch,
        "batch": batch,
        "fills": [],
    }
    # Absent rather than empty: the indexes over them are partial.
    if event.client_order_id:
        row["client_order_id"] = event.client_order_id
    if event.idempotency_key:
        row["idempotency_key"] = event.idempotency_key
    return row


def incomplete_row(order_id: str) -> Row:
    """Of an order whose placing was not folded here: what changes is still to come, what was before is in the
    projection (`complete_row`).
    """
    return {"_id": order_id, "fills": [], "amendments": [], "triggered_batch": None}


def complete_row(row: Row, stored: Row, *, before: int) -> None:
    """Adds what the order had before that batch. The stored row may be newer than the cursor: a crash came between."""
    for name, value in stored.items():
        row.setdefault(name, value)
    row["fills"][:0] = [fill for fill in stored["fills"] if fill["batch"] < before]
    row["amendments"][:0] = [amendment for amendment in stored["amendments"] if amendment["batch"] < before]
    triggered = stored["triggered_batch"]
    if row["triggered_batch"] is None and triggered is not None and triggered < before:
        row["triggered_batch"] = triggered


def bring_up_to_date(row: Row, order: Order, market: Market, *, batch: int, time: datetime) -> None:
    """Writes the order's present figures into its row."""
    row["amount"] = _or_none(order.quantity, market.base_scale)
    row["price"] = _or_none(order.price, market.quote_scale)
    row["status"] = order.status.value
    row["updated_at"] = time
    row["filled_at"] = time if order.status is OrderStatus.FILLED else None
    row["filled_amount"] = to_decimal128(order.filled_quantity, market.base_scale)
    row["filled_quote_amount"] = to_decimal128(order.filled_notional, market.quote_scale)
    row["fees"] = to_decimal128(order.fees, market.quote_scale)
    row["close_reason"] = order.close_reason.value if order.close_reason is not None else None
    row["batch"] = batch


def amendment_part(event: OrderAmended, market: Market, *, batch: int, time: datetime) -> Row:
    return {
        "batch": batch,
        "time": time,
        "price_before": _or_none(event.price_before, market.quote_scale),
        "amount_before": _or_none(event.quantity_before, market.base_scale),
    }


def fill_part(trade: Traded, side: TradeSide, market: Market, *, batch: int, time: datetime, milliseconds: int) -> Row:
    scales = {trade.base_asset: market.base_scale, trade.quote_asset: market.quote_scale}
    return {
        "id": trade_id(milliseconds, trade.trade_number),
        "number": trade.trade_number,
        "batch": batch,
        "time": time,
        "price": to_decimal128(trade.price, market.quote_scale),
        "amount": to_decimal128(trade.quantity, market.base_scale),
        "quote_amount": to_decimal128(trade.notional, market.quote_scale),
        "fee": to_decimal128(side.fee, market.quote_scale),
        "liquidity": side.liquidity.value,
        "postings": [
            {"asset": asset, "amount": to_decimal128(amount, scales[asset])}
            for owner, asset, amount in postings_of(trade)
            if owner == side.owner
        ],
    }


def transfer_row(event: TransferEvent, assets: dict[str, Asset], *, batch: int, time: datetime) -> Row:
    """Of a phase that somebody asked for; an expiry has no row of its own."""
    if event.actor is None:
        raise AssertionError("a transfer's row names its actor")
    phase = _phase(event)
    return {
        "_id": event.business_key,
        "transfer_id": event.transfer_id,
        "phase": phase,
        "state": PENDING if phase == HELD else "done",
        "hold_key": "" if isinstance(event, TransferPosted | TransferHeld) else event.hold_key,
        "kind": event.kind,
        "reason": event.reason,
        "postings": [
            {"account": owner, "asset": asset, "amount": to_decimal128(amount, assets[asset].scale)}
            for owner, asset, amount in (() if isinstance(event, TransferReleased) else event.postings)
        ],
        "fingerprint": event.fingerprint,
        "actor": event.actor.user_id or event.actor.credential_id,
        "credential": event.actor.credential_id,
        "request_id": event.actor.request_id,
        "created_at": time,
        "first_batch": batch,
        "batch": batch,
    }


def _phase(event: TransferEvent) -> str:
    if isinstance(event, TransferPosted):
        return "moved"
    if isinstance(event, TransferHeld):
        return HELD
    return (HoldEnd.POSTED if isinstance(event, TransferSettled) else event.end).value


def used_key_row(event: KeyUsed, *, batch: int, time: datetime) -> Row:
    return {
        "_id": used_key_id(event.user_id, event.idempotency_key),
        "fingerprint": event.fingerprint,
        "order_ids": list(event.order_ids),
        "created_at": time,
        "batch": batch,
    }


def view_of_document(document: OrderDocument, market: Market) -> OrderView:
    return OrderView(
        document.id,
        document.user_id,
        document.client_order_id or "",
        document.trading_pair,
        Side(document.side),
        OrderType(document.order_type),
        TimeInForce(document.time_in_force),
        document.post_only,
        to_units(document.amount, market.base_scale) if document.amount is not None else 0,
        to_units(document.quote_amount, market.quote_scale) if document.quote_amount is not None else 0,
        to_units(document.price, market.quote_scale) if document.price is not None else 0,
        milliseconds_of(document.created_at),
        milliseconds_of(document.updated_at),
        OrderStatus(document.status),
        to_units(document.filled_amount, market.base_scale),
        to_units(document.filled_quote_amount, market.quote_scale),
        to_units(document.fees, market.quote_scale),
        CloseReason(document.close_reason) if document.close_reason else None,
        document.batch,
        to_units(document.stop_price, market.quote_scale) if document.stop_price is not None else 0,
        milliseconds_of(document.expires_at) if document.expires_at is not None else 0,
        document.maker_fee_basis_points,
        document.taker_fee_basis_points,
    )


def view_as_of(document: OrderDocument, market: Market, *, batch: int, time_milliseconds: int) -> OrderView:
    """The order as it was after an earlier batch: with its fills and its terms up to then. Its status is what it was
    unless an event of that batch says otherwise.
    """
    view = view_of_document(document, market)
    fills = fills_up_to(document, batch)
    waited = view.stop_price and (document.triggered_batch is None or document.triggered_batch > batch)
    later = next((amendment for amendment in document.amendments if amendment.batch > batch), None)
    if later is not None:
        view = view._replace(
            price=to_units(later.price_before, market.quote_scale) if later.price_before is not None else 0,
            quantity=to_units(later.amount_before, market.base_scale) if later.amount_before is not None else 0,
        )
    status = OrderStatus.PARTIALLY_FILLED if fills else OrderStatus.OPEN
    return view._replace(
        updated_milliseconds=time_milliseconds,
        status=OrderStatus.NEW if waited else status,
        filled_quantity=sum(to_units(fill.amount, market.base_scale) for fill in fills),
        filled_notional=sum(to_units(fill.quote_amount, market.quote_scale) for fill in fills),
        fees=sum(to_units(fill.fee, market.quote_scale) for fill in fills),
        close_reason=None,
        batch=batch,
    )


def fills_up_to(document: OrderDocument, batch: int) -> list[FillPart]:
    return [fill for fill in document.fills if fill.batch <= batch]


def _or_none(amount: int, scale: int) -> Decimal128 | None:
    return to_decimal128(amount, scale) if amount else None
