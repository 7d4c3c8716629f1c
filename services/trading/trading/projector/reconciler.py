"""Checks the money invariants on the projector's own fold, every minute. Repairs nothing: it alarms."""

import asyncio
from collections import Counter as Tally

from chassis.logs import get_logger
from prometheus_client import Counter, Gauge

from trading.domain.invariants import check_all
from trading.projector.projector import Projector

INTERVAL_SECONDS = 60.0
LOGGED_MAX = 20  # of one run; the metric counts them all

VIOLATIONS = Counter("cryptovault_invariant_violations", "Money invariants found broken", ["id"])
CHECKED_BATCH = Gauge("cryptovault_invariants_checked_batch", "The batch of the newest check")

log = get_logger(__name__)


class Reconciler:
    """`run` for good. The fold stands at a committed batch whenever the event loop is free, so a check sees one cut."""

    def __init__(self, projector: Projector) -> None:
        self._projector = projector
        self._checked = -1

    async def run(self) -> None:
        while True:
            self.check()
            await asyncio.sleep(INTERVAL_SECONDS)

    def check(self) -> int:
        """How many violations there are now; nothing is checked twice at the same batch."""
        fold = self._projector.fold
        if fold.cursor.batch == self._checked:
            return 0
        self._checked = fold.cursor.batch
        violations = check_all(fold.state)
        for invariant, count in Tally(violation.invariant for violation in violations).items():
            VIOLATIONS.labels(invariant).inc(count)
        for violation in violations[:LOGGED_MAX]:
            log.error(
                "Invariant broken",
                event="invariant_violation",
                invariant=violation.invariant,
                subject=violation.subject,
                problem=violation.message,
                batch=self._checked,
            )
        CHECKED_BATCH.set(self._checked)
        return len(violations)
