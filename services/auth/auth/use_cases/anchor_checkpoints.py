from chassis.logs import get_logger

from auth.use_cases.audit_ports import AuditAnchors, AuditCheckpoints

ANCHORS_PER_ROUND = 500  # after a long absence; the next round does the rest

log = get_logger(__name__)


class AnchorCheckpoints:
    """Copies checkpoints to where no editor of the database reaches, and tells where the database has others now."""

    def __init__(self, *, checkpoints: AuditCheckpoints, anchors: AuditAnchors) -> None:
        self._checkpoints = checkpoints
        self._anchors = anchors

    async def __call__(self) -> bool:
        """False where the database contradicts what was anchored: then nothing is added to it. Raises BrokenRecord."""
        anchored = await self._anchors.newest()
        found = await self._checkpoints.since(anchored.number if anchored else 1, ANCHORS_PER_ROUND)
        if anchored is not None:
            if not found or found[0].hash != anchored.hash:
                return self._contradicted(anchored.number)
            found = found[1:]
        expected = anchored.hash if anchored else None
        for checkpoint in found:
            if expected is not None and checkpoint.previous_hash != expected:
                return self._contradicted(checkpoint.number)
            expected = checkpoint.hash
        if found:
            await self._anchors.append(found)
        return True

    def _contradicted(self, number: int) -> bool:
        log.error("The audit trail was changed", event="audit_trail_broken", checkpoint_number=number)
        return False
