"""Repeats of commands whose first run, or whose keys, may have left memory."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, NamedTuple

from chassis.errors import ServiceError
from chassis.logs import get_logger

from trading.domain.accounts import owner_of_user
from trading.domain.commands import (
    AmendOrder,
    CancelAll,
    CancelOrder,
    KeyedChange,
    PlaceOrder,
    PostTransfer,
    VoidTransfer,
)
from trading.domain.held_transfers import refuse_ended
from trading.domain.keys import TransferCommand, fingerprint_of, repeat_of_key, repeat_of_order, repeat_of_transfer
from trading.domain.outcomes import Repeat
from trading.domain.state import RememberedKeys
from trading.journal.batch import SealedBatch
from trading.journal.codec import AccountAfter, Entry, decode_body
from trading.journal.history import OrderView, view_within
from trading.journal.store import Journal, JournalUnreachable
from trading.sequencer.errors import HistoryBehind, NotLeading
from trading.sequencer.memory import Memory
from trading.sequencer.open_batch import FinishedBatch
from trading.sequencer.outcomes import (
    balances_then,
    changing_entry,
    committed_before,
    keyed_entry,
    placed_view,
    placing_entry,
)
from trading.sequencer.ports import History, KeyedCommand
from trading.sequencer.tickets import Ticket, user_of
from trading.sequencer.waiting_line import WaitingLine

LOOKUPS_MAX = 1_024  # in flight; each holds a database connection for a moment
HISTORY_TRIES = 20
HISTORY_RETRY_SECONDS = 0.05  # the rows are some 200 ms behind as a rule

log = get_logger(__name__)


class Repeats:
    """Answers what the sequencer found to be a repeat, and finds the repeats that memory does not know."""

    def __init__(
        self,
        *,
        journal: Journal,
        history: History,
        recent: Sequence[FinishedBatch],
        memory: Callable[[], Memory],
        settled: Callable[[], Awaitable[None]],
    ) -> None:
        self._journal = journal
        self._history = history
        self._recent = recent
        self._memory = memory
        self._settled = settled
        self._tasks: set[asyncio.Task[None]] = set()
        # By user: what came after a command that is being looked up.
        self._behind: dict[str, list[Ticket]] = {}

    def must_be_looked_up(self, ticket: Ticket) -> bool:
        """True where a key of the command may be older than memory, and the projection was not asked late enough.

        The projection, asked at its batch c, knows every key up to c; memory knows all of later batches than e, the
        newest whose keys left it. So nothing falls between them while c >= e.
        """
        memory = self._memory()
        if not memory.evicted_keys.may_hold_a_key_of(memory.state, ticket.command):
            return False
        return ticket.cleared_batch < memory.evicted_keys.up_to

    def look_up(self, ticket: Ticket, line: WaitingLine) -> None:
        """Out of the line until its keys are known; what its user sends meanwhile stays behind it."""
        user = user_of(ticket.command)
        if self._begin(ticket, self._look_up(ticket, user, line)) and user:
            self._behind[user] = []

    def wait_behind(self, ticket: Ticket) -> bool:
        """True where an earlier command of its user is being looked up: it comes back to the line after that one."""
        behind = self._behind.get(user_of(ticket.command)) if self._behind else None
        if behind is None:
            return False
        behind.append(ticket)
        return True

    def answer(self, ticket: Ticket, repeat: Repeat) -> None:
        """The first reply again; at once where memory holds what it needs, else after reading it."""
        command = ticket.command
        if not isinstance(command, PlaceOrder | CancelOrder | CancelAll | AmendOrder | KeyedChange):
            self._reply(ticket, repeat, None, None)
            return
        finished = next((batch for batch in reversed(self._recent) if batch.number == repeat.batch), None)
        if finished is None:
            self._begin(ticket, self._answer_from_history(ticket, repeat))
        elif isinstance(command, KeyedChange | CancelAll):
            self._reply(ticket, repeat, None, _entry_of(finished.entries, command))
        else:
            then = _Then(finished.entries, finished.accounts, finished.time_milliseconds)
            self._reply_about_an_order(ticket, repeat, finished.orders[repeat.order_ids[0]], then)

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        while self._behind:
            for ticket in self._behind.popitem()[1]:
                ticket.refuse(NotLeading())

    async def _look_up(self, ticket: Ticket, user: str, line: WaitingLine) -> None:
        back: list[Ticket] = []
        try:
            cursor = await self._history.cursor()
            # Only those with keys get here.
            known = await self._history.keys_of(ticket.command, up_to=cursor)  # type: ignore[arg-type]
            repeat = _repeat_of(known, ticket.command)  # type: ignore[arg-type]
            if repeat is None:
                if cursor <= ticket.cleared_batch:
                    # The projection has not moved: asking again at once would tell nothing new.
                    await asyncio.sleep(HISTORY_RETRY_SECONDS)
                ticket.cleared_batch = cursor
                back.append(ticket)
            else:
                await self._settled()
                self.answer(ticket, repeat)
        finally:
            line.put_back(back + self._behind.pop(user, []))

    async def _answer_from_history(self, ticket: Ticket, repeat: Repeat) -> None:
        batch = await self._journal.read(repeat.batch)
        if batch is None:
            raise HistoryBehind
        body = decode_body(batch.body)
        if isinstance(ticket.command, KeyedChange | CancelAll):
            await self._settled()
            self._reply(ticket, repeat, None, _entry_of(body.entries, ticket.command))
            return
        view = None if isinstance(ticket.command, PlaceOrder) else await self._order_after(repeat, batch)
        await self._settled()
        self._reply_about_an_order(ticket, repeat, view, _Then(body.entries, body.accounts, batch.time_milliseconds))

    async def _order_after(self, repeat: Repeat, batch: SealedBatch) -> OrderView:
        """The order as it was after that batch."""
        return await self._order(
            lambda: self._history.order_as_of(
                repeat.order_ids[0], batch=batch.number, time_milliseconds=batch.time_milliseconds
            )
        )

    async def _order(self, read: Callable[[], Awaitable[OrderView | None]]) -> OrderView:
        for _ in range(HISTORY_TRIES):
            view = await read()
            if view is not None:
                return view
            await asyncio.sleep(HISTORY_RETRY_SECONDS)
        raise HistoryBehind

    def _reply_about_an_order(self, ticket: Ticket, repeat: Repeat, view: OrderView | None, then: "_Then") -> None:
        """`view` is the order after its batch; a placed one is seen from its own entry."""
        command = ticket.command
        if isinstance(command, PlaceOrder):
            entry, later = placing_entry(then.entries, repeat.order_ids[0])
            view = placed_view(entry, batch=repeat.batch, time_milliseconds=then.time_milliseconds)
        else:
            entry, later = keyed_entry(then.entries, command)  # type: ignore[arg-type]  # amendments and cancels
            if view is not None:
                view = view_within(view, entry.events, later)
        if view is None:
            raise AssertionError(f"order {repeat.order_ids[0]} is gone within its own batch")
        state = self._memory().state
        balances = balances_then(state, view.user_id, view.market, then.accounts, later)
        ticket.prepare(committed_before(state, command, repeat, view, entry, balances=balances))
        ticket.answer()

    def _reply(self, ticket: Ticket, repeat: Repeat, view: OrderView | None, entry: Entry | None) -> None:
        ticket.prepare(committed_before(self._memory().state, ticket.command, repeat, view, entry))
        ticket.answer()

    def _begin(self, ticket: Ticket, work: Coroutine[Any, Any, None]) -> bool:
        """False where it was refused."""
        if len(self._tasks) >= LOOKUPS_MAX:
            work.close()
            ticket.refuse(HistoryBehind())
            return False
        task = asyncio.get_running_loop().create_task(self._refusing(ticket, work), name="repeat")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _refusing(self, ticket: Ticket, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except ServiceError as error:
            ticket.refuse(error)
        except JournalUnreachable:
            ticket.refuse(HistoryBehind())
        except Exception as error:
            log.exception("Repeat could not be answered", event="repeat_failed")
            ticket.refuse(error)


class _Then(NamedTuple):
    """The batch in which the command was carried out."""

    entries: Sequence[Entry]
    accounts: Sequence[AccountAfter]
    time_milliseconds: int


def _entry_of(entries: Sequence[Entry], command: KeyedChange | CancelAll) -> Entry | None:
    return keyed_entry(entries, command)[0] if isinstance(command, CancelAll) else changing_entry(entries, command)


def _repeat_of(known: RememberedKeys, command: KeyedCommand) -> Repeat | None:
    """As the core would have found it in memory. Raises where a key belongs to other contents."""
    fingerprint = fingerprint_of(command)
    if isinstance(command, TransferCommand):
        repeat = repeat_of_transfer(known, command, fingerprint)
        if repeat is None and isinstance(command, PostTransfer | VoidTransfer):
            refuse_ended(known, command.hold_key)
        return repeat
    owner = owner_of_user(command.actor.user_id)
    if isinstance(command, PlaceOrder):
        return repeat_of_order(known, command, owner, fingerprint)
    return repeat_of_key(known, owner, command.idempotency_key, fingerprint)
