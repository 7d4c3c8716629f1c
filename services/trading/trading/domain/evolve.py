"""Applies events. Holds no rules: it does what the event says, whatever today's rules would have said."""

from collections.abc import Callable
from typing import Any

from trading.domain.accounts import HOUSE, Account, owner_of_user, user_of_owner
from trading.domain.book import BookSide
from trading.domain.events import (
    AssetSet,
    BatchStarted,
    Event,
    KeyUsed,
    MarketSet,
    OrderClosed,
    OrderPlaced,
    OrderRested,
    ReferencePriceSet,
    Traded,
    TradeSide,
    TransferPosted,
    WorkFinished,
    WorkPostponed,
)
from trading.domain.ledger import holds_of, postings_of
from trading.domain.orders import Order, OrderStatus, Side
from trading.domain.state import ExchangeState, MarketState, Owner, RememberedKey


def evolve(state: ExchangeState, event: Event) -> None:
    """Raises `KeyError` for an event it does not know: a reader must stop rather than skip."""
    _APPLY[type(event)](state, event)


def _start_batch(state: ExchangeState, event: BatchStarted) -> None:
    state.batch_number = event.number
    state.batch_milliseconds = event.time_milliseconds
    state.closed_in_batch.clear()
    keys = state.keys
    by_kind = {"idempotency": keys.idempotency, "client_order": keys.client_order, "business": keys.business}
    while keys.by_age and keys.by_age[0][0] <= event.keys_evicted_up_to:
        batch, kind, name = keys.by_age.popleft()
        remembered = by_kind[kind].get(name)
        # A key may come again once the shell has seen that it is free; then the younger entry stays.
        if remembered is not None and remembered.batch == batch:
            del by_kind[kind][name]


def _set_asset(state: ExchangeState, event: AssetSet) -> None:
    state.assets[event.asset.code] = event.asset


def _set_market(state: ExchangeState, event: MarketSet) -> None:
    known = state.markets.get(event.market.symbol)
    if known is None:
        state.markets[event.market.symbol] = MarketState(event.market)
    else:
        known.market = event.market


def _set_reference_price(state: ExchangeState, event: ReferencePriceSet) -> None:
    state.markets[event.market].reference = event


def _place_order(state: ExchangeState, event: OrderPlaced) -> None:
    name = owner_of_user(event.user_id)
    owner = _owner(state, name)
    _apply_holds(state, event)
    order = Order(
        order_id=event.order_id,
        order_number=event.order_number,
        user_id=event.user_id,
        owner=name,
        client_order_id=event.client_order_id,
        market=event.market,
        side=event.side,
        order_type=event.order_type,
        time_in_force=event.time_in_force,
        post_only=event.post_only,
        quantity=event.quantity,
        quote_quantity=event.quote_quantity,
        price=event.price,
        protection_price=event.protection_price,
        maker_fee_basis_points=event.maker_fee_basis_points,
        taker_fee_basis_points=event.taker_fee_basis_points,
        hold=event.hold,
        status=OrderStatus.OPEN,
        resting=event.rests,
        created_milliseconds=state.batch_milliseconds,
        updated_milliseconds=state.batch_milliseconds,
    )
    state.order_number = event.order_number
    state.orders[event.order_id] = order
    owner.orders[event.order_id] = order
    owner.sequence = event.user_sequence
    owner.last_batch = state.batch_number
    market = state.markets[event.market]
    if event.rests:
        _side(market, order.side).add(order)
    else:
        market.taking = order
    if event.idempotency_key or event.client_order_id:
        _remember_order(state, event, name)


def _remember_order(state: ExchangeState, event: OrderPlaced, owner: str) -> None:
    keys = state.keys
    batch = state.batch_number
    remembered = RememberedKey(event.fingerprint, batch, (event.order_id,), "", event.idempotency_key)
    if event.idempotency_key:
        keys.idempotency[owner, event.idempotency_key] = remembered
        keys.by_age.append((batch, "idempotency", (owner, event.idempotency_key)))
    if event.client_order_id:
        keys.client_order[owner, event.client_order_id] = remembered
        keys.by_age.append((batch, "client_order", (owner, event.client_order_id)))


def _trade(state: ExchangeState, event: Traded) -> None:
    market = state.markets[event.market]
    owners = state.owners
    for owner, asset, amount in postings_of(event):
        account = owners[owner].accounts.get(asset) if owner in owners else None
        if account is None:
            account = _account(state, owner, asset)
        account.available += amount
    _apply_holds(state, event)
    state.trade_number = event.trade_number
    market.tape_sequence = event.tape_sequence
    for side in (event.buyer, event.seller):
        if side.order_id:
            _fill(state, market, event, side)
    if event.house_consumed is not None:
        house_buys = event.buyer.owner == HOUSE
        depth = market.house_bid if house_buys else market.house_ask
        depth.consumed = event.house_consumed
        depth.as_of_milliseconds = state.batch_milliseconds
        market.house_position += event.quantity if house_buys else -event.quantity


def _fill(state: ExchangeState, market: MarketState, event: Traded, side: TradeSide) -> None:
    order = state.orders[side.order_id]
    order.filled_quantity += event.quantity
    order.filled_notional += event.notional
    order.fee_numerator += side.fee_basis_points * event.notional
    order.fees += side.fee
    order.hold -= side.hold_reduction
    order.status = side.status
    order.updated_milliseconds = state.batch_milliseconds
    owner = state.owners[side.owner]
    owner.sequence = side.user_sequence
    owner.last_batch = state.batch_number
    if side.status is OrderStatus.FILLED:
        _end(state, market, order)


def _rest(state: ExchangeState, event: OrderRested) -> None:
    market = state.markets[event.market]
    order = state.orders[event.order_id]
    market.taking = None
    order.resting = True
    _side(market, order.side).add(order)


def _close(state: ExchangeState, event: OrderClosed) -> None:
    order = state.orders[event.order_id]
    _apply_holds(state, event)
    order.hold -= event.hold_reduction
    order.status = event.status
    order.close_reason = event.reason
    order.updated_milliseconds = state.batch_milliseconds
    owner = state.owners[order.owner]
    owner.sequence = event.user_sequence
    owner.last_batch = state.batch_number
    _end(state, state.markets[event.market], order)


def _end(state: ExchangeState, market: MarketState, order: Order) -> None:
    if order.resting:
        _side(market, order.side).remove(order)
        order.resting = False
    elif market.taking is order:
        market.taking = None
    del state.orders[order.order_id]
    del state.owners[order.owner].orders[order.order_id]
    state.closed_in_batch[order.order_id] = order


def _use_key(state: ExchangeState, event: KeyUsed) -> None:
    name = (owner_of_user(event.user_id), event.idempotency_key)
    state.keys.idempotency[name] = RememberedKey(
        event.fingerprint, state.batch_number, event.order_ids, "", event.idempotency_key
    )
    state.keys.by_age.append((state.batch_number, "idempotency", name))


def _post_transfer(state: ExchangeState, event: TransferPosted) -> None:
    for owner, asset, amount in event.postings:
        _account(state, owner, asset).available += amount
    for user in event.user_sequences:
        owner_state = _owner(state, owner_of_user(user.user_id))
        owner_state.sequence = user.sequence
        owner_state.last_batch = state.batch_number
    state.transfer_number = event.transfer_number
    name = ("", event.business_key)
    state.keys.business[name] = RememberedKey(event.fingerprint, state.batch_number, (), event.transfer_id, "")
    state.keys.by_age.append((state.batch_number, "business", name))


def _postpone(state: ExchangeState, event: WorkPostponed) -> None:
    state.markets[event.market].postponed = True


def _finish_work(state: ExchangeState, event: WorkFinished) -> None:
    state.markets[event.market].postponed = False


def _apply_holds(state: ExchangeState, event: Event) -> None:
    for owner, asset, amount in holds_of(event):
        account = _account(state, owner, asset)
        account.available -= amount
        account.held += amount


def _account(state: ExchangeState, owner_name: str, asset: str) -> Account:
    owner = state.owners.get(owner_name) or _owner(state, owner_name)
    account = owner.accounts.get(asset)
    if account is None:
        account = owner.accounts[asset] = Account()
    return account


def _owner(state: ExchangeState, name: str) -> Owner:
    owner = state.owners.get(name)
    if owner is None:
        owner = state.owners[name] = Owner(name, user_of_owner(name))
    return owner


def _side(market: MarketState, side: Side) -> BookSide:
    return market.bids if side is Side.BUY else market.asks


_APPLY: dict[type, Callable[[ExchangeState, Any], None]] = {
    BatchStarted: _start_batch,
    AssetSet: _set_asset,
    MarketSet: _set_market,
    ReferencePriceSet: _set_reference_price,
    OrderPlaced: _place_order,
    Traded: _trade,
    OrderRested: _rest,
    OrderClosed: _close,
    KeyUsed: _use_key,
    TransferPosted: _post_transfer,
    WorkPostponed: _postpone,
    WorkFinished: _finish_work,
}
