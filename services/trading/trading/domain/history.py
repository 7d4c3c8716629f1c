"""The invariants that need the past: a second, slow and simple book-keeping over the stream of events.

It trusts nothing but the events themselves, so it can be run over any journal; tests run it beside every engine run.
"""

from collections import deque
from dataclasses import dataclass, field

from trading.domain.accounts import HOUSE, SYSTEM_OWNERS
from trading.domain.commands import Actor
from trading.domain.events import (
    BatchStarted,
    Event,
    HoldEnd,
    KeyUsed,
    MarketSet,
    OrderAmended,
    OrderClosed,
    OrderPlaced,
    OrderRested,
    OrderTriggered,
    Traded,
    TradeSide,
    TransferHeld,
    TransferPosted,
    TransferReleased,
    TransferSettled,
)
from trading.domain.invariants import Violation
from trading.domain.ledger import holds_of, postings_of
from trading.domain.markets import BASIS_POINTS, Market
from trading.domain.orders import (
    LIFE,
    TERMINAL,
    Liquidity,
    OrderStatus,
    OrderStep,
    Side,
    TimeInForce,
    waits_for_a_rise,
)
from trading.domain.state import ExchangeState
from trading.domain.traded_volume import DAY_MILLISECONDS, VOLUME_DAYS

_CLOSING = {OrderStatus.EXPIRED: OrderStep.EXPIRE, OrderStatus.REJECTED: OrderStep.REFUSE}


@dataclass(slots=True)
class _OrderHistory:
    placed: OrderPlaced
    price: int  # these four change
    quantity: int
    protection_price: int
    priority: int
    status: OrderStatus = OrderStatus.OPEN
    filled: int = 0
    notional: int = 0
    fee_numerator: int = 0
    fees: int = 0
    hold: int = 0


@dataclass(slots=True)
class History:
    """Feed it every event in order, after each command `end_command`, and compare with a state at any time."""

    violations: list[Violation] = field(default_factory=list)
    _balances: dict[tuple[str, str], int] = field(default_factory=dict)
    _held: dict[tuple[str, str], int] = field(default_factory=dict)
    _orders: dict[str, _OrderHistory] = field(default_factory=dict)
    _resting: dict[tuple[str, Side], dict[str, _OrderHistory]] = field(default_factory=dict)
    _markets: dict[str, Market] = field(default_factory=dict)
    _sequences: dict[str, int] = field(default_factory=dict)
    _trade_number: int = 0
    _tapes: dict[str, int] = field(default_factory=dict)
    _pending: dict[str, TransferHeld] = field(default_factory=dict)
    _effects: dict[tuple[str, str, str], int] = field(default_factory=dict)  # the batch of each key's effect
    _forgettable: deque[tuple[int, tuple[str, str, str]]] = field(default_factory=deque)  # those of them, oldest first
    _batch: int = 0
    _time: int = 0
    _immediate: list[str] = field(default_factory=list)
    _traded: dict[tuple[str, str], dict[int, int]] = field(default_factory=dict)  # (user, asset): by day

    def feed(self, event: Event) -> None:  # noqa: C901 - one branch per type
        self._feed_ledger(event)
        if isinstance(event, BatchStarted):
            self._start_batch(event)
        elif isinstance(event, MarketSet):
            self._markets[event.market.symbol] = event.market
        elif isinstance(event, OrderPlaced):
            self._feed_placed(event)
        elif isinstance(event, Traded):
            self._feed_trade(event)
        elif isinstance(event, OrderTriggered):
            self._feed_triggered(event)
        elif isinstance(event, OrderAmended):
            self._feed_amended(event)
        elif isinstance(event, OrderRested):
            self._rest(self._orders[event.order_id])
        elif isinstance(event, OrderClosed):
            self._feed_closed(event)
        elif isinstance(event, TransferPosted | TransferHeld | TransferSettled | TransferReleased):
            self._feed_transfer(event)
        elif isinstance(event, KeyUsed):
            self._effect("key", event.user_id, event.idempotency_key)

    def _feed_transfer(self, event: TransferPosted | TransferHeld | TransferSettled | TransferReleased) -> None:
        if event.business_key:
            self._effect("business", "", event.business_key)
        if event.actor is not None:
            self._answered_for(event.transfer_id, event.actor)
        for user in event.user_sequences:
            self._sequence(user.user_id, user.sequence)
        if isinstance(event, TransferHeld):
            self._pending[event.business_key] = event
        elif isinstance(event, TransferSettled | TransferReleased):
            self._feed_end(event)

    def _answered_for(self, subject: str, actor: Actor) -> None:
        """M22; a trade is answered for by who placed its orders."""
        if not (actor.credential_id and actor.request_id):
            self._violated("M22", subject, "nobody asked for it")

    def _feed_end(self, event: TransferSettled | TransferReleased) -> None:
        """M17: a held transfer ends once, gives back exactly what it held and moves no more than that."""
        held = self._pending.pop(event.hold_key, None)
        if held is None:
            self._violated("M17", event.hold_key, "ended, but was not pending")
            return
        kept = {(owner, asset): amount for owner, asset, amount in held.postings}
        given_back = [(owner, asset, amount) for owner, asset, amount in event.released]
        if given_back != [(owner, asset, amount) for owner, asset, amount in held.postings if amount < 0]:
            self._violated("M17", event.hold_key, f"held {held.postings}, gave back {given_back}")
        for owner, asset, amount in postings_of(event):
            if not 0 < amount * kept.get((owner, asset), 0) <= kept.get((owner, asset), 0) ** 2:
                self._violated("M17", event.hold_key, f"moved {amount} {asset} of {owner}")
        if isinstance(event, TransferReleased) and (event.actor is None) is not (event.end is HoldEnd.EXPIRED):
            self._violated("M22", event.hold_key, f"{event.end} by {event.actor}")
        if isinstance(event, TransferReleased) and event.end is HoldEnd.EXPIRED:
            if not 0 < held.expires_milliseconds <= self._time:
                self._violated("M17", event.hold_key, f"expired before {held.expires_milliseconds}")
        elif 0 < held.expires_milliseconds <= self._time:
            self._violated("M17", event.hold_key, "ended after it had expired")

    def end_command(self, *, postponed: bool) -> None:
        """M11 for orders that must not outlive their command, unless its work was postponed."""
        for order_id in () if postponed else self._immediate:
            order = self._orders[order_id]
            if order.status in {OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED}:
                self._violated("M11", order_id, f"{order.placed.time_in_force} is still {order.status}")
            fill_or_kill = order.placed.time_in_force is TimeInForce.FOK
            if fill_or_kill and order.status not in {OrderStatus.FILLED, OrderStatus.REJECTED}:
                self._violated("M11", order_id, f"fill or kill ended {order.status}")
        if not postponed:
            self._immediate.clear()

    def compare(self, state: ExchangeState) -> list[Violation]:
        """M6: balances are the sums of postings and holds. Also returns all violations found so far."""
        found = list(self.violations)
        for owner in state.owners.values():
            for asset, account in owner.accounts.items():
                posted, held = self._balances.get((owner.name, asset), 0), self._held.get((owner.name, asset), 0)
                if account.available + account.held != posted or account.held != held:
                    message = f"has {account.available} and {account.held} held, postings say {posted} and {held}"
                    found.append(Violation("M6", f"{owner.name}/{asset}", message))
            found.extend(
                Violation("M6", f"{owner.name}/{asset}", f"traded {volume.at(self._time)} in 30 days")
                for asset, volume in owner.volumes.items()
                if volume.at(self._time) != self._volume(owner.user_id, asset)
            )
            if owner.name not in SYSTEM_OWNERS and owner.sequence != self._sequences.get(owner.user_id, 0):
                found.append(Violation("M13", owner.name, f"is at {owner.sequence}"))
        if {key: held.postings for key, held in self._pending.items()} != {
            key: pending.postings for key, pending in state.pending_transfers.items()
        }:
            found.append(Violation("M17", "transfers", "the pending ones are not those that were held and not ended"))
        for order in state.orders.values():
            known = self._orders.get(order.order_id)
            if known is None or (known.filled, known.notional, known.fees, known.hold, known.status) != (
                order.filled_quantity, order.filled_notional, order.fees, order.hold, order.status,
            ):  # fmt: skip
                found.append(Violation("M8", order.order_id, "is not the sum of its fills"))
        return found

    def _feed_ledger(self, event: Event) -> None:
        postings = postings_of(event)
        sums: dict[str, int] = {}
        for owner, asset, amount in postings:
            sums[asset] = sums.get(asset, 0) + amount
            self._balances[owner, asset] = self._balances.get((owner, asset), 0) + amount
            if amount == 0:
                self._violated("M2", owner, "a posting of zero")
        if postings and (len(postings) < 2 or any(sums.values())):  # noqa: PLR2004 - one gives, one takes
            self._violated("M2", type(event).__name__, f"sums to {sums}")
        for owner, asset, amount in holds_of(event):
            self._held[owner, asset] = self._held.get((owner, asset), 0) + amount

    def _start_batch(self, event: BatchStarted) -> None:
        if event.number != self._batch + 1:
            self._violated("M13", "batch", f"{event.number} after {self._batch}")
        self._batch = event.number
        self._time = event.time_milliseconds
        # An order's key may come again once it is forgotten; a business key never.
        while self._forgettable and self._forgettable[0][0] <= event.keys_evicted_up_to:
            batch, key = self._forgettable.popleft()
            if self._effects.get(key) == batch:
                del self._effects[key]

    def _feed_placed(self, event: OrderPlaced) -> None:
        if event.order_id in self._orders:
            self._violated("M14", event.order_id, "placed twice")
        self._answered_for(event.order_id, event.actor)
        order = self._orders[event.order_id] = _OrderHistory(
            event, event.price, event.quantity, event.protection_price, event.order_number, hold=event.hold
        )
        self._sequence(event.user_id, event.user_sequence)
        if event.idempotency_key:
            self._effect("key", event.user_id, event.idempotency_key)
        if event.client_order_id:
            self._effect("client", event.user_id, event.client_order_id)
        if event.expires_milliseconds and event.expires_milliseconds <= self._time:
            self._violated("M11", event.order_id, "placed after its expiry")
        if event.stop_price:
            order.status = OrderStatus.NEW
        elif event.rests:
            self._rest(order)
        else:
            self._immediate.append(event.order_id)

    def _feed_triggered(self, event: OrderTriggered) -> None:
        order = self._orders[event.order_id]
        placed = order.placed
        self._step(event.order_id, order, OrderStep.TRIGGER, OrderStatus.OPEN)
        distance = event.reference_price - placed.stop_price
        if (distance if waits_for_a_rise(placed.order_type, placed.side) else -distance) < 0:
            self._violated("M11", event.order_id, f"triggered at {event.reference_price}, stop {placed.stop_price}")
        order.protection_price = event.protection_price
        self._go_to_the_book(event, order)

    def _feed_amended(self, event: OrderAmended) -> None:
        order = self._orders[event.order_id]
        self._step(event.order_id, order, OrderStep.AMEND, order.status)
        if (order.price, order.quantity) != (event.price_before, event.quantity_before):
            self._violated("M8", event.order_id, f"was {order.quantity} at {order.price}")
        if event.quantity <= order.filled and event.quantity:
            self._violated("M8", event.order_id, f"amended to {event.quantity} with {order.filled} filled")
        gains = event.price != order.price or event.quantity > order.quantity
        if gains and not event.priority and order.status is not OrderStatus.NEW:
            self._violated("M10", event.order_id, "kept its place with better terms")
        order.price, order.quantity, order.protection_price = event.price, event.quantity, event.protection_price
        order.hold += event.hold_change
        if event.priority:
            self._resting[event.market, order.placed.side].pop(event.order_id, None)
            self._go_to_the_book(event, order)
        else:
            self._sequence(event.user_id, event.user_sequence)

    def _go_to_the_book(self, event: OrderTriggered | OrderAmended, order: _OrderHistory) -> None:
        order.priority = event.priority
        if event.rests:
            self._rest(order)
        else:
            self._immediate.append(event.order_id)
        self._sequence(event.user_id, event.user_sequence)

    def _feed_closed(self, event: OrderClosed) -> None:
        order = self._orders[event.order_id]
        step = _CLOSING.get(event.status, OrderStep.CANCEL)
        self._step(event.order_id, order, step, event.status)
        if order.hold != event.hold_reduction:
            self._violated("M5", event.order_id, f"closed with {order.hold - event.hold_reduction} held")
        order.hold = 0
        self._sequence(event.user_id, event.user_sequence)

    def _feed_trade(self, event: Traded) -> None:
        market = self._markets[event.market]
        if event.trade_number != self._trade_number + 1 or event.tape_sequence != self._tapes.get(event.market, 0) + 1:
            self._violated("M13", event.market, f"trade {event.trade_number}, tape {event.tape_sequence}")
        self._trade_number = event.trade_number
        self._tapes[event.market] = event.tape_sequence
        if event.notional * market.base_unit != event.price * event.quantity or event.quantity <= 0:
            self._violated("M8", event.market, f"trade {event.trade_number} has an inexact notional")
        if event.buyer.owner == event.seller.owner:
            self._violated("M11", event.buyer.owner, f"traded with itself in trade {event.trade_number}")
        maker = event.seller if event.taker_side is Side.BUY else event.buyer
        if maker.liquidity is not Liquidity.MAKER:
            self._violated("M11", event.market, f"trade {event.trade_number} has no maker")
        self._check_priority(event, maker)
        for side, tracked in ((event.buyer, Side.BUY), (event.seller, Side.SELL)):
            if side.owner != HOUSE:
                expires = self._orders[side.order_id].placed.expires_milliseconds
                if expires and expires <= self._time:
                    self._violated("M11", side.order_id, "traded after its expiry")
                self._feed_fill(event, side, tracked)

    def _check_priority(self, event: Traded, maker: TradeSide) -> None:
        """M10: no other resting order on the maker's side was better, or as good and older."""
        maker_side = Side.SELL if event.taker_side is Side.BUY else Side.BUY
        sign = 1 if maker_side is Side.BUY else -1
        priority = self._orders[maker.order_id].priority if maker.order_id else None
        for order_id, order in self._resting.get((event.market, maker_side), {}).items():
            if order_id == maker.order_id:
                continue
            ahead = (order.price - event.price) * sign
            if ahead > 0 or (ahead == 0 and (priority is None or order.priority < priority)):
                self._violated("M10", order_id, f"was passed over by trade {event.trade_number}")

    def _feed_fill(self, event: Traded, side: TradeSide, tracked: Side) -> None:
        order = self._orders[side.order_id]
        placed = order.placed
        if placed.side is not tracked:
            self._violated("M7", side.order_id, "filled on the wrong side")
        step = OrderStep.FILL_REST if side.status is OrderStatus.FILLED else OrderStep.FILL_PART
        self._step(side.order_id, order, step, side.status)
        days = self._traded.setdefault((placed.user_id, event.quote_asset), {})
        days[self._time // DAY_MILLISECONDS] = days.get(self._time // DAY_MILLISECONDS, 0) + event.notional
        order.filled += event.quantity
        order.notional += event.notional
        order.fee_numerator += side.fee_basis_points * event.notional
        order.fees += side.fee
        order.hold -= side.hold_reduction
        self._sequence(placed.user_id, side.user_sequence)
        if order.quantity and (order.filled > order.quantity or (side.status is OrderStatus.FILLED) != (
            order.filled == order.quantity
        )):  # fmt: skip
            self._violated("M8", side.order_id, f"filled {order.filled} of {order.quantity}, {side.status}")
        if placed.quote_quantity:
            spent = order.notional + (order.fees if tracked is Side.BUY else 0)
            if spent > placed.quote_quantity:
                self._violated("M11", side.order_id, f"spent {spent} of {placed.quote_quantity}")
        if order.hold < 0 or (side.status is OrderStatus.FILLED and order.hold):
            self._violated("M5", side.order_id, f"holds {order.hold}, {side.status}")
        if (event.price - order.protection_price) * (1 if tracked is Side.BUY else -1) > 0:
            self._violated("M11", side.order_id, f"traded at {event.price}, limit {order.protection_price}")
        if placed.post_only and side.liquidity is Liquidity.TAKER:
            self._violated("M11", side.order_id, "post-only took")
        if side.liquidity is Liquidity.MAKER and event.price != order.price:
            self._violated("M11", side.order_id, f"rested at {order.price}, traded at {event.price}")
        if not 0 <= order.fees * BASIS_POINTS - order.fee_numerator < BASIS_POINTS:
            self._violated("M15", side.order_id, f"paid {order.fees} for {order.fee_numerator}/{BASIS_POINTS}")

    def _step(self, order_id: str, order: _OrderHistory, step: OrderStep, status: OrderStatus) -> None:
        if LIFE.get((order.status, step)) is not status:
            self._violated("M9", order_id, f"{order.status} became {status}")
        order.status = status
        if status in TERMINAL:
            self._resting.get((order.placed.market, order.placed.side), {}).pop(order_id, None)

    def _volume(self, user_id: str, asset: str) -> int:
        today = self._time // DAY_MILLISECONDS
        return sum(
            amount
            for day, amount in self._traded.get((user_id, asset), {}).items()
            if today - VOLUME_DAYS < day <= today
        )

    def _rest(self, order: _OrderHistory) -> None:
        placed = order.placed
        self._resting.setdefault((placed.market, placed.side), {})[placed.order_id] = order
        if placed.order_id in self._immediate:
            self._immediate.remove(placed.order_id)

    def _sequence(self, user_id: str, sequence: int) -> None:
        if sequence != self._sequences.get(user_id, 0) + 1:
            self._violated("M13", user_id, f"event {sequence} after {self._sequences.get(user_id, 0)}")
        self._sequences[user_id] = sequence

    def _effect(self, kind: str, principal: str, key: str) -> None:
        if (kind, principal, key) in self._effects:
            self._violated("M14", principal, f"{kind} {key} had a second effect")
        self._effects[kind, principal, key] = self._batch
        if kind != "business":
            self._forgettable.append((self._batch, (kind, principal, key)))

    def _violated(self, invariant: str, subject: str, message: str) -> None:
        self.violations.append(Violation(invariant, subject, message))
