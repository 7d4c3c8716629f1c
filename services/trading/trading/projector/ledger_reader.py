"""One user's ledger: balances at any past moment, and the postings that explain them.

Read from the journal through its index of users, on from the nearest balance point. Nothing is copied per posting.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from chassis.errors import ErrorKind, InvalidArgument, ServiceError

from trading.domain.moments import time_of
from trading.domain.queries import user_cursor
from trading.domain.state import ExchangeState
from trading.journal.codec import decode_events
from trading.journal.postings import AccountStep, OwnPosting, account_steps
from trading.journal.store import HistoryArchived, Journal
from trading.projector.projector import Projector
from trading.storage.balance_points import EVENTS_PER_POINT, BalancePoint, BalancePoints
from trading.storage.order_queries import page_size

EVENTS_PER_READ = 2 * EVENTS_PER_POINT  # a page of 50 postings is rarely more events than that
# A page may come back short, with a cursor: a filter that finds nothing must not read a whole history in one call.
EVENTS_PER_PAGE_MAX = 512
_CURSOR = re.compile(r"([1-9][0-9]{0,15})\.(0|[1-9][0-9]{0,2})", re.ASCII)


class SequenceAhead(ServiceError):
    kind = ErrorKind.NOT_FOUND
    reason = "no_such_event"

    def __init__(self, *, newest: int) -> None:
        super().__init__("There is no such event yet.", newest=str(newest))


class BalancesAsOf(NamedTuple):
    """`sequence`, `batch` and `time_milliseconds` are of the last event in them; 0 where nothing had happened yet."""

    sequence: int
    batch: int
    time_milliseconds: int
    balances: Mapping[str, tuple[int, int]]  # (available, held) by asset


class ExplainedPosting(NamedTuple):
    step: AccountStep
    posting: OwnPosting
    place: int  # among the postings of its step
    total: int  # available and held together, after it


class PostingPage(NamedTuple):
    postings: list[ExplainedPosting]  # newest first
    next_cursor: str  # empty at the end


@dataclass(frozen=True, slots=True, kw_only=True)
class PostingFilter:
    """Empty or None: any. Times in milliseconds, `from_milliseconds` included, `to_milliseconds` excluded."""

    asset: str = ""
    kind: str = ""
    from_milliseconds: int | None = None
    to_milliseconds: int | None = None

    def takes(self, step: AccountStep, posting: OwnPosting) -> bool:
        return self.asset in {"", posting.asset} and self.kind in {"", step.kind}


class LedgerReader:
    """Everything raises `JournalUnreachable`, or `HistoryArchived` where the journal no longer has what is needed."""

    def __init__(self, *, journal: Journal, projector: Projector, points: BalancePoints) -> None:
        self._journal = journal
        self._projector = projector
        self._points = points

    @property
    def _state(self) -> ExchangeState:
        return self._projector.fold.state

    async def at_sequence(self, user_id: str, sequence: int) -> BalancesAsOf:
        """Right after that event; 0 is before the first. Raises `SequenceAhead`."""
        newest = user_cursor(self._state, user_id).sequence
        if sequence > newest:
            raise SequenceAhead(newest=newest)
        point = await self._points.before_sequence(user_id, sequence, self._state.assets)
        return await self._walk(user_id, point, sequence, None)

    async def at_time(self, user_id: str, milliseconds: int) -> BalancesAsOf:
        """After the last event up to and at that time."""
        newest = user_cursor(self._state, user_id).sequence
        point = await self._points.before_time(user_id, time_of(milliseconds), self._state.assets, newest=newest)
        return await self._walk(user_id, point, user_cursor(self._state, user_id).sequence, milliseconds)

    async def postings(
        self, user_id: str, wanted: PostingFilter, *, limit: int, cursor: str, newest: int | None = None
    ) -> PostingPage:
        """Newest first, those of events after `newest` left out. May be short though there is more: then it has a
        cursor.
        """
        size = page_size(limit)
        before, place = await self._start(user_id, wanted, cursor)
        if newest is not None and newest < before:
            before, place = newest, _ALL
        found: list[ExplainedPosting] = []
        oldest = max(0, before - EVENTS_PER_PAGE_MAX)
        high = before
        while high > oldest:
            # Down to a point, so that the totals are known from there.
            low = max(0, (high - EVENTS_PER_POINT) // EVENTS_PER_POINT * EVENTS_PER_POINT)
            explained = await self._explained(user_id, low, high)
            for one in reversed(explained):
                if one.step.sequence == before and one.place >= place:
                    continue
                if wanted.from_milliseconds is not None and one.step.time_milliseconds < wanted.from_milliseconds:
                    return PostingPage(found, "")
                if wanted.takes(one.step, one.posting):
                    if len(found) == size:
                        return PostingPage(found, f"{found[-1].step.sequence}.{found[-1].place}")
                    found.append(one)
            high = low
        return PostingPage(found, f"{high}.{_ALL}" if high > 0 else "")

    async def _start(self, user_id: str, wanted: PostingFilter, cursor: str) -> tuple[int, int]:
        """The newest event to look at, and the index below which its postings count."""
        if cursor:
            match = _CURSOR.fullmatch(cursor)
            if match is None:
                raise InvalidArgument("The cursor is not one of ours.", field="cursor", rule="cursor")
            return min(int(match.group(1)), user_cursor(self._state, user_id).sequence), int(match.group(2))
        if wanted.to_milliseconds is None:
            return user_cursor(self._state, user_id).sequence, _ALL
        return (await self.at_time(user_id, wanted.to_milliseconds - 1)).sequence, _ALL

    async def _explained(self, user_id: str, after: int, last: int) -> list[ExplainedPosting]:
        """The postings of the events in (after, last], oldest first, each with its account's total."""
        point = await self._points.before_sequence(user_id, after, self._state.assets)
        totals = {asset: available + held for asset, (available, held) in point.balances.items()}
        explained = []
        for step in await self._steps(user_id, point.sequence, last):
            for index, posting in enumerate(step.postings):
                total = totals[posting.asset] = totals.get(posting.asset, 0) + posting.amount
                if step.sequence > after:
                    explained.append(ExplainedPosting(step, posting, index, total))
        return explained

    async def _walk(self, user_id: str, point: BalancePoint, last: int, milliseconds: int | None) -> BalancesAsOf:
        """From the point on to `last`, or to the last event up to that time."""
        balances = dict(point.balances)
        # The point's own event once more, for its batch and time.
        reached = max(0, point.sequence - 1)
        sequence = batch = time = 0
        while reached < last:
            steps = await self._steps(user_id, reached, min(last, reached + EVENTS_PER_READ))
            for step in steps:
                if milliseconds is not None and step.time_milliseconds > milliseconds:
                    return BalancesAsOf(sequence, batch, time, balances)
                if step.sequence > point.sequence:
                    _apply(balances, step)
                sequence, batch, time = step.sequence, step.batch, step.time_milliseconds
            reached = steps[-1].sequence
        return BalancesAsOf(sequence, batch, time, balances)

    async def _steps(self, user_id: str, after: int, last: int) -> list[AccountStep]:
        """The user's events in (after, last], all of them."""
        if after >= last:
            return []
        batches = await self._journal.of_user(user_id, range(after + 1, last + 1))
        steps = [
            step
            for batch in batches
            for step in account_steps(
                decode_events(batch.body), user_id, batch=batch.number, time_milliseconds=batch.time_milliseconds
            )
            if after < step.sequence <= last
        ]
        if len(steps) != last - after:
            raise HistoryArchived
        return steps


_ALL = 999  # above any index: a transfer has at most 100 postings


def _apply(balances: dict[str, tuple[int, int]], step: AccountStep) -> None:
    for posting in step.postings:
        available, held = balances.get(posting.asset, (0, 0))
        balances[posting.asset] = (available + posting.amount, held)
    for _, asset, amount in step.holds:
        available, held = balances.get(asset, (0, 0))
        balances[asset] = (available - amount, held + amount)
