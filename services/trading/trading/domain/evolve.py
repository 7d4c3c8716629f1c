"""Applies events. Holds no rules: it does what the event says, whatever today's rules would have said."""

from collections.abc import Callable
from typing import Any

from trading.domain.accounts import FEES, HOUSE, Account, owner_of_user
from trading.domain.book import BookSide
from trading.domain.by_position import by_position
from trading.domain.events import (
    AssetFrozen,
    AssetSet,
    AssetUnfrozen,
    BatchStarted,
    Event,
    KeyUsed,
    MarketSet,
    OrderAmended,
    OrderClosed,
    OrderPlaced,
    OrderRested,
    OrderTriggered,
    ReferencePriceSet,
    Traded,
    TradingPaused,
    TradingResumed,
    TransferHeld,
    TransferPosted,
    TransferReleased,
    TransferSettled,
    UserFeesSet,
    WorkFinished,
    WorkPostponed,
)
from trading.domain.evolve_transfers import (
    freeze_asset,
    hold_transfer,
    post_transfer,
    release_transfer,
    settle_transfer,
    unfreeze_asset,
)
from trading.domain.orders import BUY, FILLED, NEW, OPEN, Order, OrderStatus, Side, fill_in_order, new_order
from trading.domain.owners import owner_named
from trading.domain.state import ExchangeState, MarketState, Owner, RememberedKey
from trading.domain.traded_volume import TradedVolume

_remembered_key = by_position(RememberedKey)


def evolve(state: ExchangeState, event: Event) -> None:
    """Raises `KeyError` for an event it does not know: a reader must stop rather than skip."""
    EVOLVERS[type(event)](state, event)


def _start_batch(state: ExchangeState, event: BatchStarted) -> None:
    state.batch_number = event.number
    state.batch_milliseconds = event.time_milliseconds
    state.closed_in_batch.clear()
    keys = state.keys
    by_kind = keys.by_kind
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
        known = state.markets[event.market.symbol] = MarketState(event.market, owners=state.owners)
    known.market = event.market
    known.version = event.version or known.version + 1


def _set_reference_price(state: ExchangeState, event: ReferencePriceSet) -> None:
    state.markets[event.market].reference = event


def _pause(state: ExchangeState, event: TradingPaused) -> None:
    state.markets[event.market].paused_until_milliseconds = event.until_milliseconds


def _resume(state: ExchangeState, event: TradingResumed) -> None:
    state.markets[event.market].paused_until_milliseconds = event.time_milliseconds


def _set_user_fees(state: ExchangeState, event: UserFeesSet) -> None:
    owner_named(state, owner_of_user(event.user_id)).fee_rates = event.rates


def _place_order(state: ExchangeState, event: OrderPlaced) -> None:
    # At once and by position: field by field and by name it takes twice as long.
    (
        order_id,
        order_number,
        user_id,
        symbol,
        side,
        order_type,
        time_in_force,
        post_only,
        quantity,
        quote_quantity,
        price,
        protection_price,
        maker_fee_basis_points,
        taker_fee_basis_points,
        hold_asset,
        hold,
        rests,
        client_order_id,
        idempotency_key,
        fingerprint,
        user_sequence,
        _,
        stop_price,
        expires_milliseconds,
    ) = event
    name = owner_of_user(user_id)
    owner = state.owners.get(name) or owner_named(state, name)
    now = state.batch_milliseconds
    order = new_order(Order)
    # With the owner's own texts: what is known again by being the same needs no look at its letters.
    fill_in_order(
        order, order_id, order_number, owner.user_id, owner.name, client_order_id, symbol, side, order_type,
        time_in_force, post_only, quantity, quote_quantity, price, protection_price, maker_fee_basis_points,
        taker_fee_basis_points, hold, OPEN, rests, now, now,
    )  # fmt: skip
    order.priority = order_number
    _move(owner, hold_asset, -hold, hold)
    state.order_number = order_number
    state.orders[order_id] = order
    owner.orders[order_id] = order
    owner.sequence = user_sequence
    owner.last_batch = state.batch_number
    market = state.markets[symbol]
    if rests:
        (market.bids if side is BUY else market.asks).add(order)
    elif stop_price:
        _wait(market, order, stop_price)
    else:
        market.taking = order
    if expires_milliseconds:
        order.expires_milliseconds = expires_milliseconds
        state.expiries.add(expires_milliseconds, order)
        market.expiries.add(expires_milliseconds, order)
    if idempotency_key or client_order_id:
        _remember_order(state, order, idempotency_key, fingerprint)


def _remember_order(state: ExchangeState, order: Order, idempotency_key: str, fingerprint: str) -> None:
    client_order_id = order.client_order_id
    keys, batch = state.keys, state.batch_number
    remembered = _remembered_key(fingerprint, batch, (order.order_id,), "", idempotency_key)
    if idempotency_key:
        name = (order.owner, idempotency_key)
        keys.idempotency[name] = remembered
        keys.by_age.append((batch, "idempotency", name))
    if client_order_id:
        name = (order.owner, client_order_id)
        keys.client_order[name] = remembered
        keys.by_age.append((batch, "client_order", name))


def _wait(market: MarketState, order: Order, stop_price: int) -> None:
    order.status = NEW
    order.stop_price = stop_price
    queue, key = market.queue_of(order)
    queue.add(key, order)


def _trigger(state: ExchangeState, event: OrderTriggered) -> None:
    market = state.markets[event.market]
    order = state.orders[event.order_id]
    _stop_waiting(market, order)
    order.status = OPEN
    order.protection_price = event.protection_price
    _go_to_the_book(state, market, order, event)
    _touch(state, order, event.user_sequence)


def _amend(state: ExchangeState, event: OrderAmended) -> None:
    market = state.markets[event.market]
    order = state.orders[event.order_id]
    _move(state.owners[order.owner], event.hold_asset, -event.hold_change, event.hold_change)
    order.hold += event.hold_change
    if event.priority:
        _side(market, order.side).remove(order)
    order.price = event.price
    order.quantity = event.quantity
    order.protection_price = event.protection_price
    order.amendments += 1
    if event.priority:
        _go_to_the_book(state, market, order, event)
    _touch(state, order, event.user_sequence)


def _stop_waiting(market: MarketState, order: Order) -> None:
    queue, key = market.queue_of(order)
    queue.remove(key, order)


def _go_to_the_book(
    state: ExchangeState, market: MarketState, order: Order, event: OrderTriggered | OrderAmended
) -> None:
    state.order_number = order.priority = event.priority
    order.resting = event.rests
    if event.rests:
        _side(market, order.side).add(order)
    else:
        market.taking = order


def _touch(state: ExchangeState, order: Order, user_sequence: int) -> None:
    order.updated_milliseconds = state.batch_milliseconds
    owner = state.owners[order.owner]
    owner.sequence = user_sequence
    owner.last_batch = state.batch_number


def _trade(state: ExchangeState, event: Traded) -> None:
    (
        symbol, base, quote, trade_number, tape_sequence, _, _, quantity, notional, buyer, seller, house_consumed,
    ) = event  # fmt: skip
    market = state.markets[symbol]
    # A trade's postings and holds, as `ledger` lists them, in one pass. `History` holds the two together.
    name, order_id, _, rate, fee, released, status, sequence = buyer
    owner = state.owners.get(name) or owner_named(state, name)
    _move(owner, base, quantity, 0)
    _move(owner, quote, released - notional - fee, -released)
    if order_id:
        _fill(state, market, owner, order_id, quote, quantity, notional, rate, fee, released, status, sequence)
    fees = fee
    name, order_id, _, rate, fee, released, status, sequence = seller
    owner = state.owners.get(name) or owner_named(state, name)
    _move(owner, base, released - quantity, -released)
    if notional != fee:
        _move(owner, quote, notional - fee, 0)
    if order_id:
        _fill(state, market, owner, order_id, quote, quantity, notional, rate, fee, released, status, sequence)
    fees += fee
    if fees:
        _move(state.owners.get(FEES) or owner_named(state, FEES), quote, fees, 0)
    state.trade_number = trade_number
    market.tape_sequence = tape_sequence
    if house_consumed is not None:
        house_buys = buyer.owner == HOUSE
        depth = market.house_bid if house_buys else market.house_ask
        depth.consumed = house_consumed
        depth.as_of_milliseconds = state.batch_milliseconds
        market.house_position += quantity if house_buys else -quantity


def _fill(  # noqa: PLR0917 - a side of a trade, taken apart
    state: ExchangeState,
    market: MarketState,
    owner: Owner,
    order_id: str,
    quote: str,
    quantity: int,
    notional: int,
    rate: int,
    fee: int,
    released: int,
    status: OrderStatus,
    user_sequence: int,
) -> None:
    now = state.batch_milliseconds
    order = state.orders[order_id]
    order.filled_quantity += quantity
    order.filled_notional += notional
    order.fee_numerator += rate * notional
    order.fees += fee
    order.hold -= released
    order.status = status
    order.updated_milliseconds = now
    volume = owner.volumes.get(quote)
    if volume is None:
        volume = owner.volumes[quote] = TradedVolume()
    volume.add(notional, now)
    owner.sequence = user_sequence
    owner.last_batch = state.batch_number
    if status is FILLED:
        _end(state, market, owner, order)


def _rest(state: ExchangeState, event: OrderRested) -> None:
    market = state.markets[event.market]
    order = state.orders[event.order_id]
    market.taking = None
    order.resting = True
    _side(market, order.side).add(order)


def _close(state: ExchangeState, event: OrderClosed) -> None:
    order_id, _, symbol, status, reason, hold_asset, hold_reduction, user_sequence, _ = event
    market = state.markets[symbol]
    order = state.orders[order_id]
    owner = state.owners[order.owner]
    _move(owner, hold_asset, hold_reduction, -hold_reduction)
    order.hold -= hold_reduction
    if order.status is NEW:
        _stop_waiting(market, order)
    order.status = status
    order.close_reason = reason
    order.updated_milliseconds = state.batch_milliseconds
    owner.sequence = user_sequence
    owner.last_batch = state.batch_number
    _end(state, market, owner, order)


def _end(state: ExchangeState, market: MarketState, owner: Owner, order: Order) -> None:
    if order.resting:
        (market.bids if order.side is BUY else market.asks).remove(order)
        order.resting = False
    elif market.taking is order:
        market.taking = None
    if order.expires_milliseconds:
        state.expiries.remove(order.expires_milliseconds, order)
        market.expiries.remove(order.expires_milliseconds, order)
    order_id = order.order_id
    del state.orders[order_id]
    del owner.orders[order_id]
    state.closed_in_batch[order_id] = order


def _use_key(state: ExchangeState, event: KeyUsed) -> None:
    user_id, key, fingerprint, order_ids, _ = event
    name = (owner_of_user(user_id), key)
    keys, batch = state.keys, state.batch_number
    keys.idempotency[name] = _remembered_key(fingerprint, batch, order_ids, "", key)
    keys.by_age.append((batch, "idempotency", name))


def _postpone(state: ExchangeState, event: WorkPostponed) -> None:
    state.markets[event.market].postponed = True
    state.at_work.add(event.market)


def _finish_work(state: ExchangeState, event: WorkFinished) -> None:
    state.markets[event.market].postponed = False
    state.at_work.discard(event.market)


def _move(owner: Owner, asset: str, available: int, held: int) -> None:
    account = owner.accounts.get(asset)
    if account is None:
        account = owner.accounts[asset] = Account()
    account.available += available
    account.held += held


def _side(market: MarketState, side: Side) -> BookSide:
    return market.bids if side is BUY else market.asks


EVOLVERS: dict[type, Callable[[ExchangeState, Any], None]] = {
    BatchStarted: _start_batch,
    AssetSet: _set_asset,
    MarketSet: _set_market,
    ReferencePriceSet: _set_reference_price,
    TradingPaused: _pause,
    TradingResumed: _resume,
    UserFeesSet: _set_user_fees,
    OrderPlaced: _place_order,
    OrderTriggered: _trigger,
    OrderAmended: _amend,
    Traded: _trade,
    OrderRested: _rest,
    OrderClosed: _close,
    KeyUsed: _use_key,
    TransferPosted: post_transfer,
    TransferHeld: hold_transfer,
    TransferSettled: settle_transfer,
    TransferReleased: release_transfer,
    AssetFrozen: freeze_asset,
    AssetUnfrozen: unfreeze_asset,
    WorkPostponed: _postpone,
    WorkFinished: _finish_work,
}
