"""Cancels: one order, or all of a user's. Possible in every market that is not halted."""

from trading.domain.accounts import owner_of_user
from trading.domain.by_position import by_position
from trading.domain.commands import Actor, CancelAll, CancelOrder
from trading.domain.errors import InvalidOrder, MarketHalted, OrderNotOpen, UnknownMarket
from trading.domain.events import KeyUsed, NotCancelled
from trading.domain.keys import fingerprint_of, repeat_of_key
from trading.domain.markets import HALTED
from trading.domain.order_rules import KEY_LENGTH_MAX
from trading.domain.orders import USER
from trading.domain.outcomes import Decision
from trading.domain.settlement import Draft
from trading.domain.state import ExchangeState

_key_used = by_position(KeyUsed)


def cancel_order(state: ExchangeState, command: CancelOrder) -> Decision:
    actor, order_id, idempotency_key = command
    owner = owner_of_user(actor.user_id)
    fingerprint = fingerprint_of(command)
    repeat = repeat_of_key(state.keys, owner, idempotency_key, fingerprint, state.batch_milliseconds)
    if repeat is not None:
        return repeat
    check_key(idempotency_key)
    order = state.orders.get(order_id)
    # Another's order is answered like one that does not exist.
    if order is None or order.owner != owner:
        raise OrderNotOpen(order_id=order_id)
    if state.markets[order.market].market.status is HALTED:
        raise MarketHalted(market=order.market)
    draft = Draft(state)
    draft.close(order, USER, actor)
    _use_key(draft, actor, idempotency_key, fingerprint, (order_id,))
    return draft.events


def cancel_all(state: ExchangeState, command: CancelAll) -> Decision:
    """Bounded by the limit of open orders per user. Without a market, halted markets keep their orders:
    `not_cancelled` says which.
    """
    owner = owner_of_user(command.actor.user_id)
    fingerprint = fingerprint_of(command)
    repeat = repeat_of_key(state.keys, owner, command.idempotency_key, fingerprint, state.batch_milliseconds)
    if repeat is not None:
        return repeat
    check_key(command.idempotency_key)
    if command.market:
        market_state = state.markets.get(command.market)
        if market_state is None:
            raise UnknownMarket(market=command.market)
        if market_state.market.status is HALTED:
            raise MarketHalted(market=command.market)
    known = state.owners.get(owner)
    orders = [
        order
        for order in (known.orders.values() if known is not None else ())
        if order.market == (command.market or order.market) and state.markets[order.market].market.status is not HALTED
    ]
    if not orders and not command.idempotency_key:
        return []
    draft = Draft(state)
    for order in orders:
        draft.close(order, USER, command.actor)
    order_ids = tuple(order.order_id for order in orders)
    _use_key(draft, command.actor, command.idempotency_key, fingerprint, order_ids, kept=not_cancelled(state, command))
    return draft.events


def not_cancelled(state: ExchangeState, command: CancelAll) -> tuple[NotCancelled, ...]:
    """What the command leaves open, before it or right after; bounded as what it closes is."""
    known = None if command.market else state.owners.get(owner_of_user(command.actor.user_id))
    return tuple(
        NotCancelled(order.order_id, order.market, MarketHalted.reason)
        for order in (known.orders.values() if known is not None else ())
        if state.markets[order.market].market.status is HALTED
    )


def check_key(idempotency_key: str) -> None:
    if len(idempotency_key) > KEY_LENGTH_MAX:
        raise InvalidOrder(
            "The idempotency key is too long.", field="idempotency_key", rule="length", limit=str(KEY_LENGTH_MAX)
        )


def _use_key(
    draft: Draft,
    actor: Actor,
    idempotency_key: str,
    fingerprint: str,
    order_ids: tuple[str, ...],
    *,
    kept: tuple[NotCancelled, ...] = (),
) -> None:
    if idempotency_key:
        draft.events.append(_key_used(actor.user_id, idempotency_key, fingerprint, order_ids, kept))
