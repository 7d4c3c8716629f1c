"""Checkpoints of the audit trail, taken and anchored in time, for as long as the service runs."""

import asyncio

from chassis.errors import ServiceError
from chassis.logs import get_logger
from prometheus_client import Gauge
from pymongo.errors import PyMongoError

from auth.use_cases.anchor_checkpoints import AnchorCheckpoints
from auth.use_cases.audit_ports import BrokenRecord
from auth.use_cases.take_checkpoint import TakeCheckpoint

LOOK_SECONDS = 1.0  # three small reads; at 1,000 entries a second one checkpoint a look is enough
PAUSE_SECONDS_MAX = 30.0  # between tries while something is away or wrong

BROKEN = Gauge("cryptovault_audit_trail_broken", "1 when what is stored is not what was signed: verify it now")

log = get_logger(__name__)


class CheckpointSchedule:
    def __init__(self, *, take: TakeCheckpoint, anchor: AnchorCheckpoints | None) -> None:
        """Without `anchor` the log alone keeps them."""
        self._take = take
        self._anchor = anchor

    async def run(self) -> None:
        """Until cancelled. Whatever goes wrong is logged and tried again: nobody's sign-in waits for a checkpoint."""
        pause = LOOK_SECONDS
        while True:
            try:
                await self._take()
                whole = self._anchor is None or await self._anchor()
            except BrokenRecord:
                whole = False
                log.exception("The audit trail was changed", event="audit_trail_broken")
            except (ServiceError, PyMongoError, OSError) as error:
                log.warning("Audit checkpoint waits", event="audit_checkpoint_waits", problem=repr(error))
                pause = min(pause * 2, PAUSE_SECONDS_MAX)
                await asyncio.sleep(pause)
                continue
            BROKEN.set(not whole)
            pause = LOOK_SECONDS if whole else PAUSE_SECONDS_MAX
            await asyncio.sleep(pause)
