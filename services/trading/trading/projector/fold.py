"""The projector's fold: the exchange's state and, beside it, the rows of open orders."""

from collections.abc import Iterable
from datetime import datetime

from trading.domain.accounts import owner_of_user, user_of_owner
from trading.domain.bookkeeping import Bookkeeping
from trading.domain.events import (
    BatchStarted,
    Event,
    HoldEnd,
    KeyUsed,
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
from trading.domain.invariants import Violation, check_all
from trading.domain.markets import Market
from trading.domain.moments import time_of
from trading.domain.orders import TERMINAL
from trading.domain.queries import balance
from trading.domain.queries import order as find_order
from trading.domain.state import ExchangeState, Limits
from trading.journal.batch import SealedBatch
from trading.journal.codec import AccountAfter, decode_fold
from trading.journal.history import OrderView, TransferEvent, user_sequences, view_of
from trading.sequencer.memory import Memory
from trading.storage.balance_points import EVENTS_PER_POINT, balance_point_row
from trading.storage.cursors import Cursor
from trading.storage.projection import Changes, HoldOutcome
from trading.storage.rows import (
    Row,
    amendment_part,
    bring_up_to_date,
    fill_part,
    incomplete_row,
    order_row,
    transfer_row,
    used_key_row,
)
from trading.storage.tape import tape_row

# Who follows the journal asks for them soon after; what is older is in the rows. About 20 MB.
RECENTLY_CLOSED_MAX = 20_000
DISCREPANCIES_MAX = 1_000  # one is enough to stop; the rest only says how far it goes


class Fold:
    """`apply` batches in their order; what they did to rows is added to `changes`, where given."""

    def __init__(self, memory: Memory | None = None) -> None:
        self.memory = memory or Memory(Limits())
        self._open_rows: dict[str, Row] = {}
        # Rows of orders placed before the snapshot that the fold began with, by the batch that first touched them here:
        # they lack the fills of before, which are in the projection.
        self._incomplete: dict[str, int] = {}
        # Terminal orders never change again; the oldest first.
        self.recently_closed: dict[str, OrderView] = {}
        self.books = Bookkeeping(self.memory.state)
        self.discrepancies: list[Violation] = []  # found since the reconciler last took them

    @property
    def state(self) -> ExchangeState:
        return self.memory.state

    def violations(self) -> list[Violation]:
        """What does not hold of the state as it stands; a look at everything."""
        return [*check_all(self.state), *self.books.check_everything(self.state)]

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.memory.number, self.memory.digest)

    def apply(self, batch: SealedBatch, changes: Changes) -> None:
        """Raises `BrokenChain` or `UnknownEventType`; the fold is then of no use."""
        time = time_of(batch.time_milliseconds)
        touched: dict[str, None] = {}
        trades: dict[str, list[Traded]] = {}
        events, accounts = decode_fold(batch.body)
        for event in self.memory.steps(batch, events):
            self.books.feed(event)
            self._note(event, changes, touched, batch=batch, time=time)
            self._note_points(event, changes, batch=batch.number, time=time)
            if isinstance(event, Traded):
                trades.setdefault(event.market, []).append(event)
        for symbol, traded in trades.items():
            changes.tape.append(
                tape_row(
                    traded,
                    self._market(symbol),
                    batch=batch.number,
                    time=time,
                    milliseconds=batch.time_milliseconds,
                )
            )
        for order_id in touched:
            self._finish_row(order_id, changes, batch=batch.number, time=time)
        self._compare_with_writer(accounts)

    def hand_over(self, changes: Changes) -> None:
        """The changes are to be told: which of their rows have to be completed from the projection first."""
        for order_id in self._incomplete.keys() & changes.changed_orders.keys():
            changes.incomplete[order_id] = self._incomplete.pop(order_id)

    def forget_closed(self) -> None:
        """The changes are not to be written."""
        self._incomplete = {
            order_id: batch for order_id, batch in self._incomplete.items() if order_id in self._open_rows
        }

    def _row(self, order_id: str, batch: int) -> Row:
        row = self._open_rows.get(order_id)
        if row is None:
            row = self._open_rows[order_id] = incomplete_row(order_id)
            self._incomplete[order_id] = batch
        return row

    def _compare_with_writer(self, accounts: Iterable[AccountAfter]) -> None:
        """M20: who decided the batch and who folds it have the same in their accounts."""
        for owner, asset, available, held in accounts:
            mine = balance(self.state, user_of_owner(owner), asset)
            if (mine.available, mine.held) != (available, held) and len(self.discrepancies) < DISCREPANCIES_MAX:
                message = f"has {mine.available} and {mine.held} held, the leader {available} and {held}"
                self.discrepancies.append(Violation("M20", f"{owner}/{asset}", message))

    def _note(
        self, event: Event, changes: Changes, touched: dict[str, None], *, batch: SealedBatch, time: datetime
    ) -> None:
        kind = type(event)
        if kind is BatchStarted:
            return
        if isinstance(event, OrderPlaced):
            row = order_row(event, self._market(event.market), batch=batch.number, time=time)
            self._open_rows[event.order_id] = changes.new_orders[event.order_id] = row
            touched[event.order_id] = None
        elif isinstance(event, Traded):
            for side in (event.buyer, event.seller):
                if side.order_id:
                    self._note_fill(event, side, batch, time)
                    touched[side.order_id] = None
        elif isinstance(event, OrderClosed | OrderTriggered | OrderAmended):
            self._note_change(event, batch=batch.number, time=time)
            touched[event.order_id] = None
        elif isinstance(event, TransferPosted | TransferHeld | TransferSettled | TransferReleased):
            self._note_transfer(event, changes, batch=batch.number, time=time)
        elif isinstance(event, KeyUsed):
            changes.used_keys.append(used_key_row(event, batch=batch.number, time=time))

    def _note_transfer(self, event: TransferEvent, changes: Changes, *, batch: int, time: datetime) -> None:
        if event.business_key:
            changes.transfers[event.business_key] = transfer_row(event, self.state.assets, batch=batch, time=time)
        if isinstance(event, TransferSettled | TransferReleased):
            end = HoldEnd.POSTED if isinstance(event, TransferSettled) else event.end
            changes.end_hold(event.hold_key, HoldOutcome(end.value, batch))

    def _note_change(self, event: OrderClosed | OrderTriggered | OrderAmended, *, batch: int, time: datetime) -> None:
        row = self._row(event.order_id, batch)
        if isinstance(event, OrderTriggered):
            row["triggered_batch"] = batch
        elif isinstance(event, OrderAmended):
            row["amendments"].append(amendment_part(event, self._market(event.market), batch=batch, time=time))

    def _note_points(self, event: Event, changes: Changes, *, batch: int, time: datetime) -> None:
        for user_id, sequence in user_sequences((event,)):
            if sequence % EVENTS_PER_POINT == 0:
                owner, assets = self.state.owners[owner_of_user(user_id)], self.state.assets
                changes.balance_points.append(balance_point_row(owner, sequence, assets, batch=batch, time=time))

    def _note_fill(self, trade: Traded, side: TradeSide, batch: SealedBatch, time: datetime) -> None:
        part = fill_part(
            trade,
            side,
            self._market(trade.market),
            batch=batch.number,
            time=time,
            milliseconds=batch.time_milliseconds,
        )
        self._row(side.order_id, batch.number)["fills"].append(part)

    def _finish_row(self, order_id: str, changes: Changes, *, batch: int, time: datetime) -> None:
        order = find_order(self.state, order_id)
        if order is None:
            raise AssertionError(f"order {order_id} is gone within its own batch")
        row = self._row(order_id, batch)
        bring_up_to_date(row, order, self._market(order.market), batch=batch, time=time)
        changes.touch(row)
        if order.status in TERMINAL:
            del self._open_rows[order_id]
            self.recently_closed[order_id] = view_of(order, batch)
            if len(self.recently_closed) > RECENTLY_CLOSED_MAX:
                del self.recently_closed[next(iter(self.recently_closed))]

    def _market(self, symbol: str) -> Market:
        return self.state.markets[symbol].market
