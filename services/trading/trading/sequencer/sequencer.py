"""The one writer: takes what waits, decides, applies, appends one batch, and only then answers.

One append is in flight at a time and nothing is computed ahead of it. Whatever depends on the state (repeats, refusals
and reads too) leaves only when the newest batch applied at that moment is durable.
"""

import asyncio
import gc
from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeVar

from chassis.crash_points import crash_point
from chassis.errors import ServiceError
from chassis.logs import get_logger

from trading.domain.commands import Actor
from trading.domain.queries import (
    reference_matters,
)
from trading.domain.state import ExchangeState, Limits
from trading.journal.batch import SealedBatch
from trading.journal.cancellation import end_if_cancelled
from trading.journal.store import Journal
from trading.sequencer.announcements import Announcements
from trading.sequencer.appending import append_until_known
from trading.sequencer.batch_work import BatchWork
from trading.sequencer.breakdown import CoreBroken, Deposed, stop_market
from trading.sequencer.crossings import Crossings
from trading.sequencer.errors import DeadlinePassed, NotLeading
from trading.sequencer.filling import Filling
from trading.sequencer.journal_time import JournalTime
from trading.sequencer.memory import Memory
from trading.sequencer.metrics import (
    APPEND_SECONDS,
    BATCH_COMMANDS,
    BREAKDOWNS,
    WAITING,
)
from trading.sequencer.next_batch import as_next_batch
from trading.sequencer.open_batch import FinishedBatch, OpenBatch
from trading.sequencer.ports import BatchListener, History
from trading.sequencer.recovery import catch_up, recover
from trading.sequencer.reference_prices import ReferencePrices
from trading.sequencer.repeats import Repeats
from trading.sequencer.snapshots import SnapshotStore
from trading.sequencer.taking_over import take_next_number
from trading.sequencer.tickets import Ticket
from trading.sequencer.waiting_line import WaitingLine

RECENT_BATCHES = 256  # in memory for repeats; older ones are read from the journal
BREAKDOWNS_IN_A_ROW_MAX = 5  # stopping the market did not help: a restart with an alarm is better than a loop

T = TypeVar("T")
log = get_logger(__name__)


class Sequencer:
    """`recover`, `follow` until this process should lead, `lead`, then `run` for good. Everything else may be called
    from the same event loop at any time.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        history: History,
        prices: ReferencePrices,
        time: JournalTime,
        may_lead: Callable[[], bool],
        writer: str,
        limits: Limits,
        snapshots: SnapshotStore | None = None,
    ) -> None:
        """`may_lead` says whether this process holds a live lease."""
        self._journal = journal
        self._prices = prices
        self._time = time
        self._may_lead = may_lead
        self._writer = writer
        self._limits = limits
        self._snapshots = snapshots
        self._memory = Memory(limits)
        self._epoch = 0
        self._leading = False
        self._line = WaitingLine()
        self._crossings = Crossings()
        self._recent: deque[FinishedBatch] = deque(maxlen=RECENT_BATCHES)
        self._in_flight: asyncio.Future[bool] | None = None
        # Cleared while memory holds what never happened and is folded anew.
        self._trusted = asyncio.Event()
        self._trusted.set()
        self._announcements = Announcements()
        self._breakdowns = 0
        self._repeats = Repeats(
            journal=journal, history=history, recent=self._recent, memory=lambda: self._memory, settled=self.settled
        )
        self._filling = Filling(
            line=self._line,
            crossings=self._crossings,
            repeats=self._repeats,
            prices=prices,
            time=time,
            memory=lambda: self._memory,
        )
        prices.on_change(self._note_ticks)

    @property
    def is_leading(self) -> bool:
        return self._leading

    @property
    def state(self) -> ExchangeState:
        """For looking only; may be a batch ahead of what is durable."""
        return self._memory.state

    def as_next_batch(self, market: str) -> ExchangeState:
        """As a command in that market would find it now; for looking only."""
        return as_next_batch(self.state, market, self._prices, self._time.now())

    def on_batch(self, listener: BatchListener) -> None:
        """`listener` is called with every batch of this process once it is durable and its answers have left."""
        self._announcements.on_batch(listener)

    def enter(self, ticket: Ticket) -> None:
        """Queue a command. A ticket that cannot wait is refused at once."""
        if not self._leading:
            ticket.refuse(NotLeading())
            return
        try:
            self._line.enter(ticket)
        except ServiceError as error:
            ticket.refuse(error)

    def must_lead(self) -> None:
        """Raises `NotLeading`. To be asked before anything is told from memory, a command's form included."""
        if not self._leading:
            raise NotLeading

    def look_at_the_clock(self) -> None:
        """To be called now and then: what is due by time alone needs a batch, though nobody asks for one."""
        if self._leading and self._filling.is_due(self._time.now()):
            self._line.wake()

    def leading_state(self) -> ExchangeState:
        """What a command is read by: a follower's may lack what the leader has already. Raises `NotLeading`."""
        self.must_lead()
        return self._memory.state

    async def read(self, question: Callable[[ExchangeState], T]) -> T:
        """The answer from memory, once everything it may rest on is durable. Raises `NotLeading`."""
        await self._trusted.wait()
        self.must_lead()
        answer = question(self._memory.state)
        await self.settled()
        return answer

    async def settled(self) -> None:
        """Returns when the newest batch applied by now is durable. Raises `NotLeading` where it never will be, or where
        another process may lead by now: a process that was stopped for a while does not know what it missed.
        """
        await self._trusted.wait()
        pending = self._in_flight
        if pending is not None and not await asyncio.shield(pending):
            raise NotLeading
        if not self._may_lead():
            raise NotLeading

    async def recover(self) -> None:
        """Memory from the journal. First of all."""
        self._memory = await recover(self._journal, self._limits, self._snapshots)

    async def follow(self) -> None:
        """Folds what another process has journaled; for as long as this one does not lead."""
        await catch_up(self._journal, self._memory)

    async def lead(self) -> None:
        """Fold the journal, then take its next number: from then on this writer decides, and any older one is fenced
        off. Raises `LeaseLost`.
        """
        await self.follow()
        self._time.start_after(self._memory.state.batch_milliseconds)
        self._epoch = await take_next_number(
            self._journal, self._memory, writer=self._writer, now=self._time.now, may_lead=self._may_lead
        )
        gc.freeze()  # what was folded while following stays; collecting among it would keep callers waiting
        self._leading = True
        log.info("Leading", event="leading", batch=self._memory.number, epoch=self._epoch)
        # Prices that crossed something while nobody led.
        self._note_ticks(list(self.state.markets))

    async def run(self) -> None:
        """Serves for good. Raises `Deposed` when another writer leads, `ClockTorn` when the time is not known: the
        process must then end.
        """
        try:
            while True:
                end_if_cancelled()
                await self._line.wait()
                WAITING.set(len(self._line))
                try:
                    await self._one_batch()
                    self._breakdowns = 0
                except CoreBroken as broken:
                    await self._start_over(broken)
        finally:
            self._leading = False
            self._repeats.stop()
            self._line.refuse_all(NotLeading())

    async def _one_batch(self) -> None:
        self._time.check()
        batch = OpenBatch(self._memory, self._time.now())
        work = BatchWork()
        crash_point("before_apply")
        try:
            self._filling(batch, work)
        except CoreBroken as broken:
            broken.bystanders = [ticket for ticket in work.taken if ticket is not broken.ticket]
            raise
        if self._filling.is_unfinished(batch.time_milliseconds):
            self._line.wake()
        if batch.has_effects:
            await self._append(batch, work)
        elif self._may_lead():
            work.prepare()
            work.answer(self._repeats.answer)
        else:
            # An append would have told who leads; what comes from memory alone is worth nothing without the lease.
            work.refuse(NotLeading())

    async def _append(self, batch: OpenBatch, work: BatchWork) -> None:
        finished = batch.finish()
        sealed = batch.seal(finished, epoch=self._epoch, writer=self._writer)
        loop = asyncio.get_running_loop()
        self._in_flight = loop.create_future()
        crash_point("after_apply_before_append")
        started = loop.time()
        append = loop.create_task(
            append_until_known(self._journal, sealed, lambda: self._tell_the_overdue(work)), name="append"
        )
        await asyncio.sleep(0)  # the bytes leave first, the rest is done while the disk works
        self._recent.append(finished)
        work.prepare()
        self._announcements.tell()
        foreign: SealedBatch | None = sealed
        try:
            foreign = await append
        finally:
            self._in_flight.set_result(foreign is None)
            self._in_flight = None
        if foreign is not None:
            await self._lose(foreign, work)
            return
        APPEND_SECONDS.observe(loop.time() - started)
        BATCH_COMMANDS.observe(len(work.taken))
        self._memory.stand_at(sealed)
        crash_point("after_append_before_reply")
        work.answer(self._repeats.answer)
        self._announcements.announce(finished)

    async def _lose(self, foreign: SealedBatch, work: BatchWork) -> None:
        """Our number is another's: our batch never was."""
        self._recent.clear()
        if foreign.epoch > self._epoch:
            self._leading = False
            work.refuse(NotLeading())
            raise Deposed(batch=foreign.number, epoch=foreign.epoch)
        # An older writer's append landed late. Nothing was answered, so everything is decided again after it.
        await self._fold_anew()
        self._line.put_back(work.taken)

    async def _start_over(self, broken: CoreBroken) -> None:
        """Memory cannot be trusted any more. The journal can: nothing of this batch was appended."""
        BREAKDOWNS.inc()
        self._breakdowns += 1
        log.error("The core broke", event="core_broken", markets=broken.markets, exc_info=broken)
        if self._breakdowns > BREAKDOWNS_IN_A_ROW_MAX:
            raise broken
        if broken.ticket is not None:
            broken.ticket.refuse(broken)
        await self._fold_anew()
        actor = Actor(user_id="", credential_id="trading", request_id=f"breakdown-{self._memory.number}")
        stops = [stop_market(self.state.markets[symbol].market, actor) for symbol in broken.markets]
        self._line.put_back([*stops, *broken.bystanders])

    async def _fold_anew(self) -> None:
        self._trusted.clear()
        try:
            self._memory = await recover(self._journal, self._limits, self._snapshots)
        finally:
            self._trusted.set()

    def _tell_the_overdue(self, work: BatchWork) -> None:
        now = self._time.wall()
        work.refuse_overdue(now)
        self._line.refuse_overdue(now, DeadlinePassed())

    def _note_ticks(self, symbols: Iterable[str]) -> None:
        if not self._leading:
            return
        now = self._time.now()
        for symbol in symbols:
            tick = self._prices.command(symbol, now)
            market = self.state.markets.get(symbol)
            if tick is None or market is None:
                continue
            tick = self._prices.with_window(tick, market, now)
            if reference_matters(self.state, tick, time_milliseconds=now):
                self._crossings.add(tick)
                self._line.wake()
