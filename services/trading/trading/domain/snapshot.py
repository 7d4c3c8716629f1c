"""The whole state as plain lists, strings and integers, always in the same order, and its hash (M20)."""

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from trading.domain.accounts import Account, Posting, owner_of_user
from trading.domain.events import ReferencePriceSet
from trading.domain.evolve_transfers import add_pending
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
from trading.domain.orders import Order, OrderStatus, OrderType, Side, TimeInForce
from trading.domain.state import ExchangeState, HouseDepth, Limits, MarketState, Owner, PendingTransfer, RememberedKey
from trading.domain.traded_volume import TradedVolume

FORMAT = 3  # raised with any change of the lists' meaning

ROWS_AT_ONCE = 500  # some milliseconds of encoding

# What a snapshot is made of; `None` nowhere, so that any serialiser can carry it.
Plain = list[Any]


def take_snapshot(state: ExchangeState) -> Plain:
    """At a batch's end. Orders that ended in the batch are left out: nothing later depends on them."""
    return begin_snapshot(state)()


def begin_snapshot(state: ExchangeState) -> Callable[[], Plain]:
    """As much as has to be taken at a batch's end. What it returns does the rest, of what never changes: most of the
    work, which may be a thread's.
    """
    before_keys: Plain = [
        FORMAT,
        [state.batch_number, state.batch_milliseconds, state.order_number, state.trade_number, state.transfer_number],
        [[asset.code, asset.name, asset.scale] for _, asset in sorted(state.assets.items())],
        [_market_state(market_state) for _, market_state in sorted(state.markets.items())],
        [_owner(owner) for _, owner in sorted(state.owners.items())],
        [_order(order) for order in sorted(state.orders.values(), key=lambda order: order.order_number)],
    ]
    by_age, by_kind = list(state.keys.by_age), {kind: dict(known) for kind, known in state.keys.by_kind.items()}
    after_keys: Plain = [
        [_pending_transfer(pending) for pending in state.pending_transfers.values()],
        [[asset, reason] for asset, reason in sorted(state.frozen_assets.items())],
    ]

    def finish() -> Plain:
        keys = [
            [batch, kind, owner, key, *_remembered(by_kind[kind].get((owner, key)), batch)]
            for batch, kind, (owner, key) in by_age
        ]
        return [*before_keys, keys, *after_keys]

    return finish


def restore_snapshot(snapshot: Plain, limits: Limits | None = None) -> ExchangeState:
    """A state that behaves like the one that was taken. Raises `ValueError` for another format."""
    if snapshot[0] != FORMAT:
        raise ValueError(f"snapshot format {snapshot[0]}, this code reads {FORMAT}")
    _, counters, assets, markets, owners, orders, keys, pending, frozen = snapshot
    state = ExchangeState(limits if limits is not None else Limits(), *counters)
    for code, name, scale in assets:
        state.assets[code] = Asset(code, name, scale)
    taking: dict[str, str] = {}
    for fields in markets:
        market_state, taking_id = _restore_market(fields)
        market_state.owners = state.owners
        state.markets[market_state.market.symbol] = market_state
        if market_state.postponed:
            state.at_work.add(market_state.market.symbol)
        taking[market_state.market.symbol] = taking_id
    for fields in owners:
        owner = _restore_owner(fields)
        state.owners[owner.name] = owner
    for fields in orders:
        _restore_order(state, fields, taking)
    for transfer, number, hold_key, transfer_kind, expires, since, postings in pending:
        moves = tuple(Posting(*posting) for posting in postings)
        add_pending(state, PendingTransfer(transfer, number, hold_key, transfer_kind, expires, since, moves))
    state.frozen_assets.update(frozen)
    _restore_books(state)
    by_kind = state.keys.by_kind
    for batch, kind, owner, key, *remembered in keys:
        state.keys.by_age.append((batch, kind, (owner, key)))
        if remembered:
            fingerprint, order_ids, transfer, idempotency_key = remembered
            by_kind[kind][owner, key] = RememberedKey(fingerprint, batch, tuple(order_ids), transfer, idempotency_key)
    return state


def state_hash(state: ExchangeState) -> str:
    """SHA-256 over the snapshot's canonical bytes, in hex."""
    return sha256(canonical_bytes(take_snapshot(state))).hexdigest()


def canonical_bytes(snapshot: Plain) -> bytes:
    """JSON with one form for one snapshot: what is stored, compared and hashed.

    Encoded in pieces: all at once takes a fifth of a second, in which no other thread runs.
    """
    return f"[{','.join(_encoded(part) for part in snapshot)}]".encode("ascii")


def _encoded(part: Any) -> str:
    if not isinstance(part, list):
        return _json(part)
    pieces = (_json(part[first : first + ROWS_AT_ONCE])[1:-1] for first in range(0, len(part), ROWS_AT_ONCE))
    return f"[{','.join(pieces)}]"


def _json(plain: Any) -> str:
    return json.dumps(plain, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def market_to_plain(market: Market) -> Plain:
    house = market.house
    return [
        market.base, market.quote, market.base_scale, market.quote_scale, market.status.value, market.tick, market.lot,
        market.minimum_notional, market.maximum_quantity, market.maker_fee_basis_points, market.taker_fee_basis_points,
        market.price_band_basis_points, market.slippage_cap_basis_points,
        [
            [source.name, source.maximum_age_milliseconds, source.extra_half_spread_basis_points]
            for source in market.sources
        ],
        [
            house.levels, house.half_spread_basis_points, house.step_basis_points, house.level_quantity,
            house.inventory_limit, house.refill_per_second,
        ],
        market.silence_limit_milliseconds, market.maximum_open_orders, [list(tier) for tier in market.fee_tiers],
        list(market.breaker),
    ]  # fmt: skip


def market_from_plain(fields: Plain) -> Market:
    base, quote, base_scale, quote_scale, status, *rules = fields
    tick, lot, minimum_notional, maximum_quantity, maker_fee, taker_fee, band, cap, sources, house, *newer = rules
    silence, maximum_open_orders, tiers, breaker = newer
    return Market(
        base, quote, base_scale, quote_scale, MarketStatus(status), tick, lot, minimum_notional, maximum_quantity,
        maker_fee, taker_fee, band, cap, tuple(PriceSource(*source) for source in sources), HouseQuoting(*house),
        silence, maximum_open_orders, tuple(FeeTier(*tier) for tier in tiers), CircuitBreaker(*breaker),
    )  # fmt: skip


def _market_state(state: MarketState) -> Plain:
    reference = state.reference
    return [
        market_to_plain(state.market),
        []
        if reference is None
        else [reference.price, reference.source, reference.source_milliseconds, reference.received_milliseconds],
        [state.house_bid.consumed, state.house_bid.as_of_milliseconds],
        [state.house_ask.consumed, state.house_ask.as_of_milliseconds],
        state.house_position,
        state.tape_sequence,
        state.taking.order_id if state.taking is not None else "",
        int(state.postponed),
        state.version,
        state.paused_until_milliseconds,
    ]


def _restore_market(fields: Plain) -> tuple[MarketState, str]:
    market, reference, house_bid, house_ask, position, tape_sequence, taking, postponed, version, paused = fields
    state = MarketState(market_from_plain(market))
    if reference:
        state.reference = ReferencePriceSet(state.market.symbol, *reference)
    state.house_bid = HouseDepth(*house_bid)
    state.house_ask = HouseDepth(*house_ask)
    state.house_position = position
    state.tape_sequence = tape_sequence
    state.postponed = bool(postponed)
    state.version = version
    state.paused_until_milliseconds = paused
    return state, taking


def _owner(owner: Owner) -> Plain:
    return [
        owner.name,
        owner.user_id,
        owner.sequence,
        owner.last_batch,
        [[code, account.available, account.held] for code, account in sorted(owner.accounts.items())],
        [[asset, [list(day) for day in volume.days]] for asset, volume in sorted(owner.volumes.items())],
        [] if owner.fee_rates is None else list(owner.fee_rates),
    ]


def _restore_owner(fields: Plain) -> Owner:
    name, user_id, sequence, last_batch, accounts, volumes, rates = fields
    owner = Owner(name, user_id, sequence=sequence, last_batch=last_batch)
    owner.accounts = {code: Account(available, held) for code, available, held in accounts}
    for asset, days in volumes:
        owner.volumes[asset] = TradedVolume.of(days)
    if rates:
        owner.fee_rates = FeeRates(*rates)
    return owner


def _order(order: Order) -> Plain:
    return [
        order.order_id, order.order_number, order.user_id, order.client_order_id, order.market, order.side.value,
        order.order_type.value, order.time_in_force.value, int(order.post_only), order.quantity, order.quote_quantity,
        order.price, order.protection_price, order.maker_fee_basis_points, order.taker_fee_basis_points, order.hold,
        order.status.value, int(order.resting), order.created_milliseconds, order.updated_milliseconds,
        order.filled_quantity, order.filled_notional, order.fee_numerator, order.fees, order.stop_price,
        order.expires_milliseconds, order.priority, order.amendments,
    ]  # fmt: skip


def _restore_order(state: ExchangeState, fields: Plain, taking: dict[str, str]) -> None:
    order_id, number, user_id, client_order_id, market, side, order_type, time_in_force, post_only, *figures = fields
    quantity, quote_quantity, price, protection, maker_fee, taker_fee, hold, status, resting, *rest = figures
    owner = owner_of_user(user_id)
    order = Order(
        order_id, number, user_id, owner, client_order_id, market, Side(side), OrderType(order_type),
        TimeInForce(time_in_force), bool(post_only), quantity, quote_quantity, price, protection, maker_fee, taker_fee,
        hold, OrderStatus(status), bool(resting), *rest,
    )  # fmt: skip
    state.orders[order_id] = order
    state.owners[owner].orders[order_id] = order
    market_state = state.markets[market]
    if order.expires_milliseconds:
        state.expiries.add(order.expires_milliseconds, order)
        market_state.expiries.add(order.expires_milliseconds, order)
    if order.status is OrderStatus.NEW:
        queue, key = market_state.queue_of(order)
        queue.add(key, order)
    elif taking[market] == order_id:
        market_state.taking = order


def _pending_transfer(pending: PendingTransfer) -> Plain:
    *fields, postings = pending
    return [*fields, [list(posting) for posting in postings]]


def _restore_books(state: ExchangeState) -> None:
    """By priority, so that every level comes out in its order."""
    for order in sorted(state.orders.values(), key=lambda order: order.priority):
        if order.resting:
            market_state = state.markets[order.market]
            (market_state.bids if order.side is Side.BUY else market_state.asks).add(order)


def _remembered(known: RememberedKey | None, batch: int) -> Plain:
    if known is None or known.batch != batch:
        return []
    return [known.fingerprint, list(known.order_ids), known.transfer_id, known.idempotency_key]
