"""What a batch means to each user: one step per user event, with the order and the balances as they are after it.

Worked out backwards from the figures at the end of the batch, which the writer has in memory and every reader finds in
the batch and in the projection. So the live stream and the log, read later, say the same.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from trading.domain.accounts import HoldChange, Posting, owner_of_user, user_of_owner
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
from trading.domain.ledger import holds_of, postings_of
from trading.domain.orders import CloseReason, Order, OrderStatus, OrderType, Side, TimeInForce
from trading.domain.queries import Balance
from trading.journal.codec import AccountAfter

TransferEvent = TransferPosted | TransferHeld | TransferSettled | TransferReleased
_TRANSFERS = (TransferPosted, TransferHeld, TransferSettled, TransferReleased)
_OF_ONE_ORDER = (OrderPlaced, OrderClosed, OrderTriggered, OrderAmended)
_OrderEvent = OrderPlaced | OrderClosed | OrderTriggered | OrderAmended


class OrderView(NamedTuple):
    """An order at one moment. Amounts in minor units; `fees` in the quote asset.

    A tuple rather than a dataclass: several are made for every order, and a frozen dataclass costs five times as much.
    """

    order_id: str
    user_id: str
    client_order_id: str
    market: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    post_only: bool
    quantity: int
    quote_quantity: int
    price: int
    created_milliseconds: int
    updated_milliseconds: int
    status: OrderStatus
    filled_quantity: int
    filled_notional: int
    fees: int
    close_reason: CloseReason | None
    batch: int
    stop_price: int = 0
    expires_milliseconds: int = 0
    maker_fee_basis_points: int = 0
    taker_fee_basis_points: int = 0


class UserStep(NamedTuple):
    """`sequence` counts the user's steps without gap. `trade` and `side` are set where the step is a fill."""

    user_id: str
    sequence: int
    order: OrderView | None
    trade: Traded | None
    side: TradeSide | None
    balances: list[Balance]


def view_of(order: Order, batch: int) -> OrderView:
    return OrderView(
        order.order_id,
        order.user_id,
        order.client_order_id,
        order.market,
        order.side,
        order.order_type,
        order.time_in_force,
        order.post_only,
        order.quantity,
        order.quote_quantity,
        order.price,
        order.created_milliseconds,
        order.updated_milliseconds,
        order.status,
        order.filled_quantity,
        order.filled_notional,
        order.fees,
        order.close_reason,
        batch,
        order.stop_price,
        order.expires_milliseconds,
        order.maker_fee_basis_points,
        order.taker_fee_basis_points,
    )


def view_after(events: Sequence[Event], *, time_milliseconds: int, batch: int) -> OrderView | None:
    """The order that these events of one command placed, as it is after them; None where they placed none."""
    view: OrderView | None = None
    for event in events:
        if type(event) is OrderPlaced:
            view = _placed(event, time_milliseconds, batch)
        elif view is None:
            continue
        elif type(event) is Traded:
            for side in (event.buyer, event.seller):
                if side.order_id == view.order_id:
                    view = view._replace(
                        status=side.status,
                        filled_quantity=view.filled_quantity + event.quantity,
                        filled_notional=view.filled_notional + event.notional,
                        fees=view.fees + side.fee,
                    )
        elif type(event) is OrderClosed and event.order_id == view.order_id:
            view = view._replace(status=event.status, close_reason=event.reason)
    return view


def view_within(view: OrderView, events: Sequence[Event], later: Sequence[Event]) -> OrderView:
    """The order right after `events` of one command. `view` is as the batch left it, `later` what came in between."""
    for event in reversed(later):
        if isinstance(event, OrderAmended) and event.order_id == view.order_id:
            view = view._replace(price=event.price_before, quantity=event.quantity_before)
        elif isinstance(event, Traded) and (side := side_of(event, view.order_id)) is not None:
            view = view._replace(
                filled_quantity=view.filled_quantity - event.quantity,
                filled_notional=view.filled_notional - event.notional,
                fees=view.fees - side.fee,
            )
    view = view._replace(close_reason=None)
    for event in events:
        if isinstance(event, OrderAmended | OrderClosed) and event.order_id == view.order_id:
            reason = event.reason if isinstance(event, OrderClosed) else None
            view = view._replace(status=event.status, close_reason=reason)
        elif isinstance(event, Traded) and (side := side_of(event, view.order_id)) is not None:
            view = view._replace(status=side.status)
    return view


def _placed(event: OrderPlaced, time_milliseconds: int, batch: int) -> OrderView:
    return OrderView(
        event.order_id,
        event.user_id,
        event.client_order_id,
        event.market,
        event.side,
        event.order_type,
        event.time_in_force,
        event.post_only,
        event.quantity,
        event.quote_quantity,
        event.price,
        time_milliseconds,
        time_milliseconds,
        OrderStatus.NEW if event.stop_price else OrderStatus.OPEN,
        0,
        0,
        0,
        None,
        batch,
        event.stop_price,
        event.expires_milliseconds,
        event.maker_fee_basis_points,
        event.taker_fee_basis_points,
    )


def side_of(trade: Traded, order_id: str) -> TradeSide | None:
    """The side of the trade that belongs to the order."""
    if trade.buyer.order_id == order_id:
        return trade.buyer
    return trade.seller if trade.seller.order_id == order_id else None


def touched_accounts(events: Iterable[Event]) -> dict[tuple[str, str], None]:
    """The users' (owner, asset) that the events moved, in the order of their first movement."""
    touched: dict[tuple[str, str], None] = {}
    for event in events:
        for owner, asset, _ in (*postings_of(event), *holds_of(event)):
            if user_of_owner(owner):
                touched[owner, asset] = None
    return touched


def balance_before(accounts: Iterable[AccountAfter], later: Sequence[Event], owner: str, asset: str) -> Balance:
    """One balance before `later`, the last events of a batch, from what the batch says that it was after them.

    An account that the batch of an order does not list, though it is of the order's market, held nothing yet.
    """
    available, held = next(
        ((account.available, account.held) for account in accounts if (account.owner, account.asset) == (owner, asset)),
        (0, 0),
    )
    for event in later:
        for name, moved, amount in postings_of(event):
            if (name, moved) == (owner, asset):
                available -= amount
        for name, moved, amount in holds_of(event):
            if (name, moved) == (owner, asset):
                available += amount
                held -= amount
    return Balance(asset, available, held)


def touched_orders(events: Sequence[Event]) -> dict[str, None]:
    """The orders that the events placed, triggered, amended, filled or closed."""
    touched: dict[str, None] = {}
    for event in events:
        kind = type(event)
        if kind is Traded:
            for side in (event.buyer, event.seller):  # type: ignore[union-attr]  # the exact type was just compared
                if side.order_id:
                    touched[side.order_id] = None
        elif kind in _OF_ONE_ORDER:
            touched[event.order_id] = None  # type: ignore[union-attr]
    return touched


def user_sequences(events: Iterable[Event]) -> list[tuple[str, int]]:
    """(user id, sequence) of every user event, in their order."""
    found: list[tuple[str, int]] = []
    for event in events:
        kind = type(event)
        if kind in _OF_ONE_ORDER:
            found.append((event.user_id, event.user_sequence))  # type: ignore[union-attr]  # hot path, see above
        elif kind is Traded:
            for side in (event.buyer, event.seller):  # type: ignore[union-attr]
                if side.order_id:
                    found.append((user_of_owner(side.owner), side.user_sequence))  # noqa: PERF401 - reads better
        elif kind in _TRANSFERS:
            found.extend((user.user_id, user.sequence) for user in event.user_sequences)  # type: ignore[union-attr]
    return found


def user_steps(
    events: Sequence[Event],
    *,
    accounts: Iterable[AccountAfter],
    order_after: Callable[[str], OrderView],
    user_id: str = "",
) -> list[UserStep]:
    """Every user's steps in the order they happened, or one user's alone. `order_after` gives an order as it is after
    these events.
    """
    walk = _BackwardWalk(accounts, order_after, owner_of_user(user_id) if user_id else "")
    steps: list[UserStep] = []
    for event in reversed(events):
        walk.undo(event, steps)
    steps.reverse()
    return steps


def _status_after(event: _OrderEvent) -> OrderStatus:
    if isinstance(event, OrderPlaced):
        return OrderStatus.NEW if event.stop_price else OrderStatus.OPEN
    return OrderStatus.OPEN if isinstance(event, OrderTriggered) else event.status


def _with_status(view: OrderView, status: OrderStatus) -> OrderView:
    return view if view.status is status else view._replace(status=status)


class _BackwardWalk:
    """Balances and orders as they are after the event that comes next (backwards)."""

    def __init__(
        self, accounts: Iterable[AccountAfter], order_after: Callable[[str], OrderView], only_owner: str
    ) -> None:
        self._only_owner = only_owner
        self._accounts: dict[tuple[str, str], list[int]] = {
            (account.owner, account.asset): [account.available, account.held] for account in accounts
        }
        self._orders: dict[str, OrderView] = {}
        self._order_after = order_after

    def undo(self, event: Event, steps: list[UserStep]) -> None:
        kind = type(event)
        if kind is Traded:
            self._undo_trade(event, steps)  # type: ignore[arg-type]  # the exact type was just compared: hot path
        elif kind in _OF_ONE_ORDER:
            self._undo_order(event, steps)  # type: ignore[arg-type]
        elif kind in _TRANSFERS:
            self._undo_transfer(event, steps)  # type: ignore[arg-type]

    def _undo_order(self, event: _OrderEvent, steps: list[UserStep]) -> None:
        holds = holds_of(event)
        owner = owner_of_user(event.user_id)
        if self._only_owner and owner != self._only_owner:
            self._take_back((), holds)
            return
        view = _with_status(self._order(event.order_id), _status_after(event))
        # What its status was before does not matter: an earlier event of this batch says its own.
        before = view if view.close_reason is None else view._replace(close_reason=None)
        if type(event) is OrderAmended:
            before = before._replace(price=event.price_before, quantity=event.quantity_before)
        self._orders[event.order_id] = before
        balances = self._balances(owner, (), holds)
        steps.append(UserStep(event.user_id, event.user_sequence, view, None, None, balances))
        self._take_back((), holds)

    def _undo_trade(self, trade: Traded, steps: list[UserStep]) -> None:
        postings, holds = postings_of(trade), holds_of(trade)
        # Steps are listed backwards, so the seller's comes first to stand after the buyer's at the end.
        for side in (trade.seller, trade.buyer):
            if not side.order_id or (self._only_owner and side.owner != self._only_owner):
                continue
            after = _with_status(self._order(side.order_id), side.status)
            balances = self._balances(side.owner, postings, holds)
            steps.append(UserStep(user_of_owner(side.owner), side.user_sequence, after, trade, side, balances))
            self._orders[side.order_id] = after._replace(
                filled_quantity=after.filled_quantity - trade.quantity,
                filled_notional=after.filled_notional - trade.notional,
                fees=after.fees - side.fee,
            )
        self._take_back(postings, holds)

    def _undo_transfer(self, transfer: TransferEvent, steps: list[UserStep]) -> None:
        postings, holds = postings_of(transfer), holds_of(transfer)
        for user in reversed(transfer.user_sequences):
            if self._only_owner and owner_of_user(user.user_id) != self._only_owner:
                continue
            balances = self._balances(owner_of_user(user.user_id), postings, holds)
            steps.append(UserStep(user.user_id, user.sequence, None, None, None, balances))
        self._take_back(postings, holds)

    def _order(self, order_id: str) -> OrderView:
        view = self._orders.get(order_id)
        if view is None:
            view = self._orders[order_id] = self._order_after(order_id)
        return view

    def _balances(self, owner: str, postings: Sequence[Posting], holds: Sequence[HoldChange]) -> list[Balance]:
        assets = {asset: None for name, asset, _ in (*postings, *holds) if name == owner}
        return [Balance(asset, *self._accounts[owner, asset]) for asset in assets]

    def _take_back(self, postings: Sequence[Posting], holds: Sequence[HoldChange]) -> None:
        for owner, asset, amount in holds:
            account = self._accounts.get((owner, asset))
            if account is not None:
                account[0] += amount
                account[1] -= amount
        for owner, asset, amount in postings:
            account = self._accounts.get((owner, asset))
            if account is not None:
                account[0] -= amount
