"""Orders, fills, balances and events as the public sees them. An empty string of the wire is null."""

from typing import Any

from cryptovault.trading.v1 import trading_pb2 as pb

from gateway.views.times import optional_time_text, time_text


def order_view(order: pb.Order) -> dict[str, Any]:
    return {
        "id": order.id,
        "client_order_id": order.client_order_id or None,
        "market": order.market,
        "side": order.side,
        "type": order.type,
        "status": order.status,
        "quantity": order.quantity or None,
        "quote_quantity": order.quote_quantity or None,
        "filled_quantity": order.filled_quantity or "0",
        "filled_quote_quantity": order.filled_quote_quantity or "0",
        "price": order.price or None,
        "stop_price": order.stop_price or None,
        "average_price": order.average_price or None,
        "time_in_force": order.time_in_force,
        "post_only": order.post_only,
        "fees": [{"asset": fee.asset, "amount": fee.amount} for fee in order.fees],
        "maker_fee_basis_points": order.maker_fee_basis_points,
        "taker_fee_basis_points": order.taker_fee_basis_points,
        "created_at": time_text(order.created_at),
        "updated_at": time_text(order.updated_at),
        "filled_at": optional_time_text(order, "filled_at"),
        "expires_at": optional_time_text(order, "expires_at"),
        "close_reason": order.close_reason or None,
    }


def fill_view(fill: pb.Fill) -> dict[str, Any]:
    return {
        "id": fill.id,
        "order_id": fill.order_id,
        "market": fill.market,
        "side": fill.side,
        "price": fill.price,
        "quantity": fill.quantity,
        "fee": fill.fee,
        "fee_asset": fill.fee_asset,
        "liquidity": fill.liquidity,
        "time": time_text(fill.time),
    }


def balance_view(balance: pb.Balance) -> dict[str, Any]:
    return {"asset": balance.asset, "available": balance.available, "held": balance.held}


def placed_view(result: pb.OrderResult) -> dict[str, Any]:
    view = order_view(result.order)
    view["fills"] = [fill_view(fill) for fill in result.fills]
    view["balances"] = [balance_view(balance) for balance in result.balances]
    return view


def cancelled_view(result: pb.CancelOrdersResult) -> dict[str, Any]:
    return {
        "order_ids": list(result.order_ids),
        "not_cancelled": [
            {"order_id": kept.order_id, "market": kept.market, "reason": kept.reason} for kept in result.not_cancelled
        ],
    }


def preview_view(answer: pb.PreviewOrderResponse) -> dict[str, Any]:
    view = order_view(answer.order)
    for name in ("id", "created_at", "updated_at", "filled_at"):
        del view[name]
    names = ("price", "quantity", "fee", "fee_asset", "liquidity")
    view["fills"] = [{name: getattr(fill, name) for name in names} for fill in answer.fills]
    view["balances"] = [balance_view(balance) for balance in answer.balances]
    view["goes_on"] = answer.goes_on
    return view


def detailed_order_view(order: pb.Order, fills: Any) -> dict[str, Any]:
    view = order_view(order)
    view["fills"] = [fill_view(fill) for fill in fills]
    return view


def event_view(event: pb.UserEvent) -> dict[str, Any]:
    return {
        "sequence": event.sequence,
        "time": time_text(event.time),
        "order": order_view(event.order) if event.HasField("order") else None,
        "fills": [fill_view(fill) for fill in event.fills],
        "balances": [balance_view(balance) for balance in event.balances],
    }
