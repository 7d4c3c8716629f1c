"""Notes of the prices that were heard, so that a process that starts knows a jump from the price of a moment ago.

The journal holds only prices that mattered to somebody. Followers listen for themselves; where there are none, or all
died at once, what was heard would be gone with the process.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from chassis.logs import get_logger

from trading.domain.state import ExchangeState
from trading.sequencer.journal_time import JournalTime
from trading.sequencer.reference_prices import PriceWindow, ReferencePrices

# What is heard after the last note is lost with the process. A jump among it was journaled, if it was one.
INTERVAL_SECONDS = 1.0

log = get_logger(__name__)


class NotesUnreachable(Exception):
    """No answer: nothing is known of the notes."""


class NotesStore(Protocol):
    """The newest notes, by market, with when they were made in milliseconds of the journal's time. Both raise
    `NotesUnreachable`.
    """

    async def save(self, windows: Mapping[str, PriceWindow], noted_milliseconds: int) -> None: ...

    async def load(self) -> tuple[Mapping[str, PriceWindow], int]:
        """Nothing where none were made."""
        ...


class PriceNotes:
    """`recall` before the first price is heard; `keep` for good, while leading."""

    def __init__(
        self,
        store: NotesStore,
        *,
        prices: ReferencePrices,
        state: Callable[[], ExchangeState],
        time: JournalTime,
    ) -> None:
        self._store = store
        self._prices = prices
        self._state = state
        self._time = time

    async def recall(self) -> None:
        """Without an answer this process knows what it will hear, and what the journal holds."""
        try:
            self._prices.recall(*await self._store.load())
        except NotesUnreachable:
            log.warning("Prices of before are not known", event="price_notes_unreachable")

    async def note(self) -> None:
        """Nothing where nothing was heard: what was noted before still stands."""
        now = self._time.now()
        windows = self._prices.windows(self._state().markets, now)
        if not windows:
            return
        try:
            await self._store.save(windows, now)
        except NotesUnreachable:
            log.warning("Prices are not noted", event="price_notes_unreachable")

    async def keep(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            await self.note()
