"""The sequencer with stand-ins around it: a journal in memory that fails on request, and a small exchange behind."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from chassis.testing import FixedClock
from trading.domain.accounts import Posting
from trading.domain.commands import Actor, CancelAll, CancelOrder, Command, PlaceOrder, Transfer
from trading.domain.default_markets import default_assets, default_markets
from trading.domain.orders import OrderType, Side, TimeInForce
from trading.domain.queries import balance
from trading.domain.snapshot import state_hash
from trading.domain.state import ExchangeState, Limits, RememberedKeys
from trading.journal.batch import SealedBatch, user_key
from trading.journal.history import OrderView
from trading.journal.store import AppendOutcomeUnknown, BatchNumberTaken, Journal
from trading.sequencer.future_ticket import FutureTicket
from trading.sequencer.journal_time import JournalTime
from trading.sequencer.open_markets import OpenMarkets
from trading.sequencer.ports import History, KeyedCommand
from trading.sequencer.recovery import recover
from trading.sequencer.reference_prices import ReferencePrices, Tick
from trading.sequencer.sequencer import Sequencer
from trading.sequencer.tickets import Committed

UNIT = 10**8
MARKET = "BTC-USD"
PRICE = 60_000 * UNIT

AppendFault = Callable[[SealedBatch], Awaitable[None]]


class MemoryJournal:
    """`Journal` in a dict. Each entry of `faults` takes the place of one append."""

    def __init__(self) -> None:
        self.batches: dict[int, SealedBatch] = {}
        self.faults: list[AppendFault] = []
        self.appends = 0

    async def append(self, batch: SealedBatch) -> None:
        self.appends += 1
        await asyncio.sleep(0)
        if self.faults:
            await self.faults.pop(0)(batch)
            return
        self.store(batch)

    def store(self, batch: SealedBatch) -> None:
        if batch.number in self.batches:
            raise BatchNumberTaken
        self.batches[batch.number] = batch

    async def read(self, number: int) -> SealedBatch | None:
        return self.batches.get(number)

    async def read_after(self, number: int, limit: int) -> list[SealedBatch]:
        found: list[SealedBatch] = []
        while len(found) < limit and number + 1 in self.batches:
            number += 1
            found.append(self.batches[number])
        return found

    async def of_user(self, user_id: str, sequences: Sequence[int]) -> list[SealedBatch]:
        wanted = {user_key(user_id, sequence) for sequence in sequences}
        return [batch for _, batch in sorted(self.batches.items()) if wanted & set(batch.users)]

    async def fail_before(self, batch: SealedBatch) -> None:
        """A fault: the append never reached the database."""
        raise AppendOutcomeUnknown

    async def fail_after(self, batch: SealedBatch) -> None:
        """A fault: it did, and the answer was lost."""
        self.store(batch)
        raise AppendOutcomeUnknown


class NoHistory:
    """`History` that knows nothing, at once."""

    def __init__(self, cursor: int = 10**9) -> None:
        self.known = RememberedKeys()
        self.at = cursor
        self.questions = 0

    async def cursor(self) -> int:
        return self.at

    async def keys_of(self, command: KeyedCommand, *, up_to: int) -> RememberedKeys:
        self.questions += 1
        return self.known

    async def order_as_of(self, order_id: str, *, batch: int, time_milliseconds: int) -> OrderView | None:
        return None


@dataclass
class Shell:
    sequencer: Sequencer
    prices: ReferencePrices
    clock: FixedClock
    running: asyncio.Task[None]
    time: JournalTime
    counter: int = 0
    actors: dict[str, Actor] = field(default_factory=dict)

    @property
    def state(self) -> ExchangeState:
        return self.sequencer.state

    @property
    def now(self) -> int:
        return int(self.clock.now().timestamp() * 1000)

    def tick(self, price: int = PRICE, market: str = MARKET) -> None:
        now = self.time.now()
        self.prices.update({market: Tick(price, "simulator", now)}, received_milliseconds=now)

    def send(self, command: Command, deadline_milliseconds: int = 0) -> asyncio.Future[Committed]:
        ticket = FutureTicket(command, deadline_milliseconds)
        self.sequencer.enter(ticket)
        return ticket.outcome

    async def deposit(self, user: str, asset: str, amount: int) -> Committed:
        self.counter += 1
        postings = (Posting("external", asset, -amount), Posting(f"user:{user}", asset, amount))
        return await self.send(Transfer(actor(""), f"deposit:{self.counter}:{user}", "deposit", postings))

    def balance(self, user: str, asset: str) -> tuple[int, int]:
        _, available, held = balance(self.state, user, asset)
        return available, held


def actor(user: str) -> Actor:
    return Actor(user, f"session-of-{user}", "request-1", "203.0.113.7")


def buy_for(user: str, quote_quantity: int, key: str = "", client_order_id: str = "") -> PlaceOrder:
    """A market order by quote amount."""
    return PlaceOrder(
        actor(user), MARKET, Side.BUY, OrderType.MARKET, TimeInForce.IOC, quote_quantity=quote_quantity,
        idempotency_key=key, client_order_id=client_order_id,
    )  # fmt: skip


def limit(user: str, side: Side, quantity: int, price: int, key: str = "") -> PlaceOrder:
    return PlaceOrder(
        actor(user), MARKET, side, OrderType.LIMIT, TimeInForce.GTC, quantity=quantity, price=price,
        idempotency_key=key,
    )  # fmt: skip


def cancel(user: str, order_id: str, key: str = "") -> CancelOrder:
    return CancelOrder(actor(user), order_id, key)


def cancel_all(user: str, key: str = "") -> CancelAll:
    return CancelAll(actor(user), MARKET, key)


def clock_of_today() -> FixedClock:
    """The day has just begun. Not any day: the database removes keys that are older than they may be kept."""
    return FixedClock(datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0))


@contextlib.asynccontextmanager
async def running_shell(
    journal: Journal,
    *,
    history: History | None = None,
    limits: Limits | None = None,
    writer: str = "writer-a",
    may_lead: Callable[[], bool] | None = None,
    clock: FixedClock | None = None,
    price: int | None = PRICE,
) -> AsyncIterator[Shell]:
    """A leading sequencer with the default markets and, unless it is None, one fresh price."""
    clock = clock or clock_of_today()
    time = JournalTime(clock)
    prices = ReferencePrices()
    sequencer = Sequencer(
        journal=journal, history=history or NoHistory(), prices=prices, time=time,
        may_lead=may_lead or (lambda: True), writer=writer, limits=limits or Limits(),
    )  # fmt: skip
    await sequencer.recover()
    await sequencer.lead()
    running = asyncio.create_task(sequencer.run())
    shell = Shell(sequencer, prices, clock, running, time)
    try:
        await OpenMarkets(sequencer, default_assets(), default_markets())()
        if price is not None:
            shell.tick(price)
        yield shell
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def replayed_hash(journal: MemoryJournal) -> str:
    return state_hash((await recover(journal, Limits())).state)
