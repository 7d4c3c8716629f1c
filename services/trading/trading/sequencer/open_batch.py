"""The batch that is being made: runs commands against memory and collects what the journal needs of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trading.domain.accounts import owner_of_user
from trading.domain.commands import Command, StartBatch
from trading.domain.decide import decide
from trading.domain.events import BatchStarted, Event
from trading.domain.outcomes import Decision, Repeat
from trading.domain.queries import order as find_order
from trading.domain.start_batch import keys_to_evict
from trading.journal.batch import SealedBatch, seal, user_key
from trading.journal.codec import AccountAfter, Entry, encode_body, encode_entry
from trading.journal.history import OrderView, touched_accounts, touched_orders, user_sequences, view_of
from trading.sequencer.memory import Memory

# A document may have 16 MiB, but callers wait for the whole batch: 1 MiB is some 700 orders. One more command may add
# its 500 fills, 0.3 MiB, after the last look at the size.
BATCH_BYTES_MAX = 700_000


@dataclass(frozen=True, slots=True)
class FinishedBatch:
    """A batch as memory keeps it for a while: for watchers, and for repeats of its commands."""

    number: int
    time_milliseconds: int
    entries: Sequence[Entry]
    events: Sequence[Event]
    accounts: Sequence[AccountAfter]
    orders: dict[str, OrderView]  # every order the batch touched, as it is after it


class OpenBatch:
    """Opened on the memory that it is to change; a batch that comes to nothing may be opened again."""

    def __init__(self, memory: Memory, now_milliseconds: int) -> None:
        self._memory = memory
        self.number = memory.number + 1
        self.time_milliseconds = max(memory.state.batch_milliseconds, now_milliseconds)
        start = StartBatch(self.number, self.time_milliseconds)
        started = self._started(start)
        memory.evicted_keys.before_batch(memory.state, started.keys_evicted_up_to)
        memory.exchange.apply(started)
        self._encoded = [encode_entry(start, [started])]
        self.entries = [Entry(start, [started])]
        self.events: list[Event] = [started]
        self.size = len(self._encoded[0])
        self.continued: dict[str, int] = {}  # bytes of each market's postponed work

    @property
    def has_effects(self) -> bool:
        return len(self.entries) > 1

    @property
    def is_full(self) -> bool:
        return self.size >= BATCH_BYTES_MAX

    def run(self, command: Command) -> Decision:
        """Decides, applies, notes. Raises `ServiceError` for a refusal; anything else has broken the memory."""
        outcome = self._memory.exchange.execute(command)
        if outcome and not isinstance(outcome, Repeat):
            encoded = encode_entry(command, outcome)
            self._encoded.append(encoded)
            self.size += len(encoded)
            self.entries.append(Entry(command, outcome))
            self.events.extend(outcome)
        return outcome

    def finish(self) -> FinishedBatch:
        state = self._memory.state
        orders = {}
        for order_id in touched_orders(self.events):
            order = find_order(state, order_id)
            if order is None:
                raise AssertionError(f"order {order_id} is gone within its own batch")
            orders[order_id] = view_of(order, self.number)
        accounts = []
        for owner, asset in self._accounts_to_tell(orders.values()):
            account = state.owners[owner].accounts[asset]
            accounts.append(AccountAfter(owner, asset, account.available, account.held))
        return FinishedBatch(self.number, self.time_milliseconds, self.entries, self.events, accounts, orders)

    def _accounts_to_tell(self, orders: Iterable[OrderView]) -> Iterable[tuple[str, str]]:
        """Those that the events moved; and both accounts of each order's market, for the first reply to a repeat."""
        state = self._memory.state
        found = touched_accounts(self.events)
        for order in orders:
            market = state.markets[order.market].market
            owner = state.owners[owner_of_user(order.user_id)]
            for asset in (market.base, market.quote):
                if asset in owner.accounts:
                    found[owner.name, asset] = None
        return found

    def seal(self, finished: FinishedBatch, *, epoch: int, writer: str) -> SealedBatch:
        return seal(
            number=self.number,
            epoch=epoch,
            writer=writer,
            time_milliseconds=self.time_milliseconds,
            users=tuple(user_key(user_id, sequence) for user_id, sequence in user_sequences(self.events)),
            body=encode_body(self._encoded, finished.accounts),
            previous=self._memory.digest,
        )

    def _started(self, start: StartBatch) -> BatchStarted:
        memory = self._memory
        if memory.state.batch_number == self.number:
            # Opened before, and nothing came of it: the journal has no such batch. The same event with a later time
            # takes the place of the first; it names what has left memory by then, so that every fold forgets the same.
            evicted = keys_to_evict(memory.state, self.number, self.time_milliseconds)
            return BatchStarted(self.number, self.time_milliseconds, max(memory.evicted_keys.up_to, evicted))
        outcome = decide(memory.state, start)
        if isinstance(outcome, Repeat) or not isinstance(outcome[0], BatchStarted):
            raise AssertionError("a batch starts with BatchStarted")  # noqa: TRY004 - no caller's type is at fault
        return outcome[0]
