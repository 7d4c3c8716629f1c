"""From what the core did to what the caller is told."""

from collections.abc import Sequence

from trading.domain.accounts import owner_of_user
from trading.domain.cancel_orders import not_cancelled
from trading.domain.commands import AmendOrder, CancelAll, CancelOrder, Command, KeyedChange, PlaceOrder
from trading.domain.events import (
    Event,
    KeyUsed,
    OrderAmended,
    OrderClosed,
    OrderPlaced,
    TransferHeld,
    TransferPosted,
    TransferReleased,
    TransferSettled,
)
from trading.domain.outcomes import Repeat
from trading.domain.queries import Balance, balance, order, user_cursor
from trading.domain.state import ExchangeState
from trading.journal.codec import AccountAfter, Entry
from trading.journal.history import OrderView, balance_before, view_after, view_of
from trading.sequencer.tickets import Committed


def committed_now(
    state: ExchangeState, command: Command, events: Sequence[Event], *, batch: int, time_milliseconds: int
) -> Committed:
    """To be called right after the command, before the next one moves the figures."""
    if isinstance(command, PlaceOrder | CancelOrder | AmendOrder):
        order_id = next(
            event.order_id for event in events if isinstance(event, OrderPlaced | OrderAmended | OrderClosed)
        )
        record = order(state, order_id)
        view = None if record is None else view_of(record, batch)
        user_id = command.actor.user_id
        balances = () if view is None else market_balances(state, user_id, view.market)
        return Committed(batch, time_milliseconds, events, view, balances)
    if isinstance(command, CancelAll):
        closed = tuple(event.order_id for event in events if isinstance(event, OrderClosed))
        return Committed(batch, time_milliseconds, order_ids=closed, not_cancelled=not_cancelled(state, command))
    for event in events:
        if isinstance(event, TransferPosted | TransferHeld | TransferSettled | TransferReleased):
            return Committed(batch, time_milliseconds, transfer_id=event.transfer_id)
    return Committed(batch, time_milliseconds, events)


def committed_before(
    state: ExchangeState,
    command: Command,
    repeat: Repeat,
    view: OrderView | None,
    entry: Entry | None,
    *,
    balances: Sequence[Balance] = (),
) -> Committed:
    """The first reply again. `view` is the order it was about, `entry` the one that placed, amended or cancelled it (or
    cancelled many), `balances` those that it left.
    """
    if isinstance(command, PlaceOrder | CancelOrder | AmendOrder) and view is not None:
        return Committed(
            max(repeat.batch, user_cursor(state, command.actor.user_id).batch),
            view.created_milliseconds if isinstance(command, PlaceOrder) else view.updated_milliseconds,
            entry.events if entry is not None and not isinstance(command, CancelOrder) else (),
            view,
            balances,
            replayed=True,
        )
    events = entry.events if entry is not None else ()
    if isinstance(command, CancelAll):
        kept = tuple(one for event in events if type(event) is KeyUsed for one in event.not_cancelled)
        return Committed(repeat.batch, 0, order_ids=repeat.order_ids, not_cancelled=kept, replayed=True)
    return Committed(repeat.batch, 0, events, order_ids=repeat.order_ids, transfer_id=repeat.transfer_id, replayed=True)


def balances_then(
    state: ExchangeState, user_id: str, symbol: str, accounts: Sequence[AccountAfter], later: Sequence[Event]
) -> tuple[Balance, Balance]:
    """The user's in the market's two assets, as they were before `later`, the last events of a batch."""
    market, owner = state.markets[symbol].market, owner_of_user(user_id)
    return balance_before(accounts, later, owner, market.base), balance_before(accounts, later, owner, market.quote)


def placing_entry(entries: Sequence[Entry], order_id: str) -> tuple[Entry, list[Event]]:
    """The entry whose command placed the order, and the events after it. It must be there."""
    for index, entry in enumerate(entries):
        for event in entry.events:
            if type(event) is OrderPlaced and event.order_id == order_id:
                return entry, _events_after(entries, index)
    raise AssertionError(f"order {order_id} is not in the batch that placed it")


def changing_entry(entries: Sequence[Entry], command: KeyedChange) -> Entry | None:
    """The entry of the operator's change with the same key."""
    for entry in entries:
        first = entry.command
        if (
            isinstance(first, KeyedChange)
            and first.idempotency_key == command.idempotency_key
            and first.actor.user_id == command.actor.user_id
        ):
            return entry
    return None


def keyed_entry(entries: Sequence[Entry], command: AmendOrder | CancelOrder | CancelAll) -> tuple[Entry, list[Event]]:
    """The entry in which the command's key was used, and the events after it. It must be there."""
    for index, entry in enumerate(entries):
        for event in entry.events:
            used = (event.user_id, event.idempotency_key) if type(event) is KeyUsed else None
            if used == (command.actor.user_id, command.idempotency_key):
                return entry, _events_after(entries, index)
    raise AssertionError("the key is not in the batch that used it")


def _events_after(entries: Sequence[Entry], index: int) -> list[Event]:
    return [later for after in entries[index + 1 :] for later in after.events]


def placed_view(entry: Entry, *, batch: int, time_milliseconds: int) -> OrderView | None:
    return view_after(entry.events, batch=batch, time_milliseconds=time_milliseconds)


def market_balances(state: ExchangeState, user_id: str, symbol: str) -> tuple[Balance, Balance]:
    market = state.markets[symbol].market
    return balance(state, user_id, market.base), balance(state, user_id, market.quote)
