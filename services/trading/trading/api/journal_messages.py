"""Batches as other services may know them."""

from collections.abc import Mapping, Sequence

from cryptovault.trading.v1 import events_pb2

from trading.api.actor_messages import actor_message
from trading.api.messages import timestamp
from trading.api.operator_messages import OPERATORS_EVENTS, operator_message
from trading.api.transfer_messages import transfer_message
from trading.domain.accounts import user_of_owner
from trading.domain.amounts import average_price
from trading.domain.events import (
    Event,
    OrderAmended,
    OrderClosed,
    OrderPlaced,
    OrderTriggered,
    Traded,
    TradeSide,
    TransferHeld,
    TransferPosted,
    TransferReleased,
    TransferSettled,
)
from trading.domain.identifiers import trade_id
from trading.domain.markets import Market
from trading.domain.orders import OrderStatus
from trading.domain.state import ExchangeState
from trading.journal.batch import SealedBatch
from trading.journal.history import OrderView


def closed_orders(events: Sequence[Event]) -> list[str]:
    """The orders that reached a terminal state, by a fill or otherwise."""
    closed = []
    for event in events:
        if isinstance(event, OrderClosed):
            closed.append(event.order_id)
        elif isinstance(event, Traded):
            closed.extend(side.order_id for side in (event.buyer, event.seller) if side.order_id and _is_filled(side))
    return closed


def batch_message(
    batch: SealedBatch,
    events: Sequence[Event],
    state: ExchangeState,
    orders: Mapping[str, OrderView],
    changes: Mapping[tuple[str, int], str],
) -> events_pb2.JournalBatch:
    """`orders` holds every order of `closed_orders(events)`; what is terminal never changes again. `changes` is what
    operators asked for, by market and the version that came of it.
    """
    messages: list[events_pb2.JournalEvent] = []
    for event in events:
        if isinstance(event, OrderPlaced):
            market = state.markets[event.market].market
            messages.append(events_pb2.JournalEvent(order_placed=_placed(event, market), actor=actor_message(event)))
        elif isinstance(event, OrderTriggered):
            market = state.markets[event.market].market
            messages.append(events_pb2.JournalEvent(order_triggered=_triggered(event, market)))
        elif isinstance(event, OrderAmended):
            market = state.markets[event.market].market
            messages.append(events_pb2.JournalEvent(order_amended=_amended(event, market), actor=actor_message(event)))
        elif isinstance(event, Traded):
            market = state.markets[event.market].market
            trade = _traded(event, market, batch.time_milliseconds)
            messages.append(events_pb2.JournalEvent(traded=trade))
            messages.extend(
                events_pb2.JournalEvent(order_closed=_closed(orders[side.order_id], market))
                for side in (event.buyer, event.seller)
                if side.order_id and _is_filled(side)
            )
        elif isinstance(event, OrderClosed):
            market = state.markets[event.market].market
            closed = _closed(orders[event.order_id], market)
            messages.append(events_pb2.JournalEvent(order_closed=closed, actor=actor_message(event)))
        elif isinstance(event, TransferPosted | TransferHeld | TransferSettled | TransferReleased):
            messages.append(transfer_message(event, state.assets))
        elif isinstance(event, OPERATORS_EVENTS):
            messages.append(operator_message(event, changes))
    return events_pb2.JournalBatch(
        number=batch.number, digest=batch.digest, time=timestamp(batch.time_milliseconds), events=messages
    )


def _is_filled(side: TradeSide) -> bool:
    return side.status is OrderStatus.FILLED


def _placed(event: OrderPlaced, market: Market) -> events_pb2.OrderPlaced:
    return events_pb2.OrderPlaced(
        order_id=event.order_id,
        user_id=event.user_id,
        market=event.market,
        side=event.side,
        type=event.order_type,
        quantity=market.quantity_text(event.quantity) if event.quantity else "",
        quote_quantity=market.quote_text(event.quote_quantity) if event.quote_quantity else "",
        price=market.price_text(event.price) if event.price else "",
        stop_price=market.price_text(event.stop_price) if event.stop_price else "",
    )


def _triggered(event: OrderTriggered, market: Market) -> events_pb2.OrderTriggered:
    return events_pb2.OrderTriggered(
        order_id=event.order_id,
        user_id=event.user_id,
        market=event.market,
        reference_price=market.price_text(event.reference_price),
    )


def _amended(event: OrderAmended, market: Market) -> events_pb2.OrderAmended:
    return events_pb2.OrderAmended(
        order_id=event.order_id,
        user_id=event.user_id,
        market=event.market,
        price=market.price_text(event.price) if event.price else "",
        quantity=market.quantity_text(event.quantity) if event.quantity else "",
    )


def _traded(event: Traded, market: Market, time_milliseconds: int) -> events_pb2.Traded:
    taker_buys = event.taker_side.value == "buy"
    taker, maker = (event.buyer, event.seller) if taker_buys else (event.seller, event.buyer)
    return events_pb2.Traded(
        trade_id=trade_id(time_milliseconds, event.trade_number),
        market=event.market,
        base_asset=event.base_asset,
        quote_asset=event.quote_asset,
        price=market.price_text(event.price),
        quantity=market.quantity_text(event.quantity),
        notional=market.quote_text(event.notional),
        maker_user_id=user_of_owner(maker.owner) or maker.owner,
        maker_order_id=maker.order_id,
        maker_fee=market.quote_text(maker.fee),
        taker_user_id=user_of_owner(taker.owner) or taker.owner,
        taker_order_id=taker.order_id,
        taker_fee=market.quote_text(taker.fee),
        taker_side=event.taker_side,
        tape_sequence=event.tape_sequence,
    )


def _closed(order: OrderView, market: Market) -> events_pb2.OrderClosed:
    average = average_price(order.filled_notional, order.filled_quantity, market.base_scale)
    return events_pb2.OrderClosed(
        order_id=order.order_id,
        user_id=order.user_id,
        market=order.market,
        side=order.side,
        status=order.status,
        reason=order.close_reason or "",
        filled_quantity=market.quantity_text(order.filled_quantity),
        filled_quote_quantity=market.quote_text(order.filled_notional),
        average_price=market.price_text(average) if order.filled_quantity else "",
        fees=market.quote_text(order.fees),
    )
