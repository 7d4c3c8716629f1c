"""Checkpoints of the audit trail, taken and anchored in time, for as long as the service runs."""

import asyncio

from chassis.errors import ServiceError
from chassis.logs import get_logger
from pymongo.errors import PyMongoError

from auth.use_cases.anchor_checkpoints import AnchorCheckpoints
from auth.use_cases.audit_ports import BrokenRecord
from auth.use_cases.take_checkpoint import TakeCheckpoint

LOOK_SECONDS = 1.0  # three small reads; at 1,000 entries a second one checkpoint a look is enough

log = get_logger(__name__)


class CheckpointSchedule:
    def __init__(self, *, take: TakeCheckpoint, anchor: AnchorCheckpoints | None) -> None:
        """Without `anchor` the log alone keeps them."""
        self._take = take
        self._anchor = anchor

    async def run(self) -> None:
        """Until cancelled. Whatever goes wrong is logged and tried again: nobody's sign-in waits for a checkpoint."""
        while True:
            try:
                await self._take()
                if self._anchor is not None:
                    await self._anchor()
            except BrokenRecord:
                log.exception("The audit trail was changed", event="audit_trail_broken")
            except (ServiceError, PyMongoError, OSError) as error:
                log.warning("Audit checkpoint waits", event="audit_checkpoint_waits", problem=repr(error))
            await asyncio.sleep(LOOK_SECONDS)
