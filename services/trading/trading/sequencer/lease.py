"""The lease: which of several processes should try to lead. Who may is decided by the journal alone.

Nobody compares clocks of two machines. The holder counts its lease from before it asked for it; the others count from
when they saw the lease change, which is later, and wait a little longer. So all clocks only need to run at about the
same speed.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from chassis.clock import Clock
from chassis.errors import MustEnd
from chassis.logs import get_logger
from prometheus_client import Gauge

LEASE_SECONDS = 3.0  # the exchange stands still for as long when its leader dies without a word
_RENEWALS_PER_LEASE = 6
_LOOKS_PER_LEASE = 30  # also how far a follower's memory may be behind, in parts of a lease
_MARGIN = 1.1  # two clocks' speeds differ by far less

LEADING = Gauge("cryptovault_trading_leading", "1 while this process holds the lease")

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LeaseSeen:
    """`beat` grows with every renewal. An empty holder: it was given back, or there never was one."""

    holder: str = ""
    beat: int = 0


class LeaseUnreachable(Exception):
    """No answer: the lease may or may not have been taken, renewed or given back."""


class LeaseLost(MustEnd):
    """Another process took the lease: this one must end."""

    def __init__(self) -> None:
        super().__init__("another process has the lease")


class LeaseStore(Protocol):
    """One lease, kept by a majority. All raise `LeaseUnreachable`."""

    async def read(self) -> LeaseSeen: ...

    async def take(self, holder: str, *, seen: LeaseSeen) -> bool:
        """True where the lease was still as seen; it is the holder's now."""
        ...

    async def renew(self, holder: str) -> bool:
        """False where it is no longer the holder's."""
        ...

    async def release(self, holder: str) -> None:
        """Nobody need wait for its end. Nothing where it is another's."""
        ...


class Lease:
    """One process's view of the lease. `holder` is unique per process start."""

    def __init__(self, store: LeaseStore, *, holder: str, clock: Clock, seconds: float = LEASE_SECONDS) -> None:
        self._store = store
        self._holder = holder
        self._clock = clock
        self._seconds = seconds
        self._until = clock.monotonic()
        self._seen = LeaseSeen()
        self._seen_at = clock.monotonic()
        self._leader_beats = False

    @property
    def is_live(self) -> bool:
        """True while nobody else can have taken it."""
        return self._clock.monotonic() < self._until

    @property
    def has_living_holder(self) -> bool:
        """True while another process holds it and renews it."""
        return self._leader_beats and self._clock.monotonic() - self._seen_at < self._seconds

    async def stand_by(self, meanwhile: Callable[[], Awaitable[None]]) -> None:
        """Returns with the lease. `meanwhile` runs again and again: what the leader does is to be followed."""
        while not await self._try():
            await meanwhile()
            await self._pause(_LOOKS_PER_LEASE)
        LEADING.set(1)
        log.info("Lease taken", event="lease_taken", holder=self._holder)

    async def keep(self, guard: Callable[[], None]) -> None:
        """Renews for good. Raises `LeaseLost`, and what `guard` raises where this process should not lead."""
        while True:
            await self._pause(_RENEWALS_PER_LEASE)
            guard()
            asked = self._clock.monotonic()
            try:
                renewed = await self._store.renew(self._holder)
            except LeaseUnreachable:
                log.warning("Lease not renewed", event="lease_unreachable", live=self.is_live)
                continue
            if not renewed:
                self._until = asked
                LEADING.set(0)
                raise LeaseLost
            self._until = asked + self._seconds

    async def release(self) -> None:
        """At an orderly end. One that is not heard only makes the others wait."""
        self._until = self._clock.monotonic()
        LEADING.set(0)
        try:
            await self._store.release(self._holder)
        except LeaseUnreachable:
            log.warning("Lease not given back", event="lease_unreachable", live=False)

    async def _try(self) -> bool:
        asked = self._clock.monotonic()
        try:
            seen = await self._store.read()
            if seen != self._seen:
                # The first look proves no heartbeat: it may be of a holder that is long dead.
                self._leader_beats = self._seen.holder == seen.holder != ""
                self._seen, self._seen_at = seen, self._clock.monotonic()
            others = seen.holder not in {"", self._holder}  # ours: taken, and the answer was lost
            if others and self._clock.monotonic() - self._seen_at < self._seconds * _MARGIN:
                return False
            if not await self._store.take(self._holder, seen=seen):
                return False
        except LeaseUnreachable:
            log.warning("Lease cannot be read", event="lease_unreachable", live=False)
            return False
        self._until = asked + self._seconds
        return self.is_live

    async def _pause(self, per_lease: int) -> None:
        await asyncio.sleep(self._seconds / per_lease * random.uniform(0.8, 1.0))  # noqa: S311 - jitter
