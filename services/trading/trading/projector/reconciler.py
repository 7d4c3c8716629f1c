"""Checks the money invariants on the projector's own fold: what moved every minute, everything every hour.

Repairs nothing. What it finds it counts, logs, and tells the leader, who stops withdrawals of the asset and trading in
it by command; only a person lets them go on.
"""

import asyncio
from collections import Counter as Tally
from collections.abc import Sequence
from typing import Protocol

from chassis.clock import Clock
from chassis.errors import RemoteBugError, ServiceError
from chassis.logs import get_logger
from prometheus_client import Counter, Gauge, Histogram

from trading.domain.bookkeeping import assets_in_question
from trading.domain.invariants import Violation
from trading.projector.projector import Projector

RETRY_SECONDS = 2.0  # a leader that is changing hands is back within a few
LOGGED_MAX = 20  # of one run; the metric counts them all
REASON_LENGTH_MAX = 400

VIOLATIONS = Counter("cryptovault_invariant_violations", "Money invariants found broken", ["id"])
CHECKED_BATCH = Gauge("cryptovault_invariants_checked_batch", "The batch of the newest check")
CHECK_SECONDS = Histogram("cryptovault_invariants_check_seconds", "Time of one check", ["scope"])
FROZEN = Gauge("cryptovault_asset_frozen", "1 where withdrawals of the asset and trading in it have stopped", ["asset"])

log = get_logger(__name__)


class Leader(Protocol):
    async def freeze(self, asset: str, reason: str) -> None:
        """Returns when the asset is frozen for certain. Raises `ServiceError` or `RemoteBugError` otherwise."""
        ...


class Reconciler:
    """`run` for good. The fold stands at a committed batch whenever the event loop is free, so a check sees one cut."""

    def __init__(
        self,
        projector: Projector,
        leader: Leader,
        clock: Clock,
        *,
        interval_seconds: float,
        full_interval_seconds: float,
    ) -> None:
        self._projector = projector
        self._leader = leader
        self._clock = clock
        self._interval_seconds = interval_seconds
        self._full_interval_seconds = full_interval_seconds

    async def run(self) -> None:
        full_check_due = self._clock.monotonic()
        while True:
            full = self._clock.monotonic() >= full_check_due
            if full:
                full_check_due = self._clock.monotonic() + self._full_interval_seconds
            await self._freeze_all(self.check(full=full))
            await asyncio.sleep(self._interval_seconds)

    def check(self, *, full: bool) -> dict[str, str]:
        """Why each asset must be frozen; empty when all is well. `full` looks at everything, else at what moved."""
        fold = self._projector.fold
        with CHECK_SECONDS.labels("full" if full else "moved").time():
            found = [*fold.discrepancies, *fold.books.check_touched(fold.state)]
            fold.discrepancies.clear()
            if full:
                found += fold.violations()
        found = list(dict.fromkeys(found))
        self._tell(found)
        for asset in fold.state.assets:
            FROZEN.labels(asset).set(asset in fold.state.frozen_assets)
        CHECKED_BATCH.set(fold.cursor.batch)
        reasons: dict[str, str] = {}
        for violation in found:
            reason = f"{violation.invariant} {violation.subject}: {violation.message}"[:REASON_LENGTH_MAX]
            for asset in assets_in_question(fold.state, violation):
                reasons.setdefault(asset, reason)
        return reasons

    def _tell(self, violations: Sequence[Violation]) -> None:
        for invariant, count in Tally(violation.invariant for violation in violations).items():
            VIOLATIONS.labels(invariant).inc(count)
        for violation in violations[:LOGGED_MAX]:
            log.error(
                "Invariant broken",
                event="invariant_violation",
                invariant=violation.invariant,
                subject=violation.subject,
                problem=violation.message,
                batch=self._projector.fold.cursor.batch,
            )

    async def _freeze_all(self, reasons: dict[str, str]) -> None:
        waiting = dict(reasons)
        while waiting:
            for asset, reason in list(waiting.items()):
                try:
                    await self._leader.freeze(asset, reason)
                except (ServiceError, RemoteBugError) as error:
                    log.error("Asset could not be frozen", event="freeze_failed", asset=asset, problem=repr(error))  # noqa: TRY400 - expected while leaders change
                else:
                    log.error("Asset frozen", event="asset_frozen", asset=asset, reason=reason)
                    del waiting[asset]
            if waiting:
                await asyncio.sleep(RETRY_SECONDS)
