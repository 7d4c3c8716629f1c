from dataclasses import replace

from chassis.clock import Clock
from chassis.logs import get_logger

from auth.domain.audit_chain import milliseconds_of, moment_of
from auth.domain.audit_checkpoints import GENESIS_CHECKPOINT, Checkpoint, checkpoint_text, is_due
from auth.use_cases.audit_ports import AuditCheckpoints, AuditTrail, CheckpointSigner, CheckpointTaken
from auth.use_cases.ports import Transactions

log = get_logger(__name__)


class TakeCheckpoint:
    """Signs how far the streams of the audit trail have come, where that is due. Several processes may try."""

    def __init__(
        self,
        *,
        audit_trail: AuditTrail,
        checkpoints: AuditCheckpoints,
        signer: CheckpointSigner,
        transactions: Transactions,
        clock: Clock,
    ) -> None:
        self._audit_trail = audit_trail
        self._checkpoints = checkpoints
        self._signer = signer
        self._transactions = transactions
        self._clock = clock
        self._newest: Checkpoint | None = None

    async def __call__(self) -> Checkpoint | None:
        """The one that it took, if it took one. Raises BrokenRecord."""
        # A look outside of a transaction first: nearly always nothing is due.
        if not is_due(self._newest, await self._audit_trail.heads(), self._clock.now()):
            return None
        try:
            taken = await self._transactions.run(self._take)
        except CheckpointTaken:
            return None
        if taken is not None:
            self._newest = taken
            # The log is kept elsewhere than the database: this line is an anchor of its own.
            log.info(
                "Audit checkpoint", event="audit_checkpoint", number=taken.number, checkpoint=checkpoint_text(taken)
            )
        return taken

    async def _take(self) -> Checkpoint | None:
        # One snapshot: the heads are those of one moment, and every entry up to them is committed.
        newest, heads, now = await self._checkpoints.newest(), await self._audit_trail.heads(), self._clock.now()
        self._newest = newest
        if not is_due(newest, heads, now):
            return None
        unsigned = Checkpoint(
            number=newest.number + 1 if newest else 1,
            taken_at=moment_of(milliseconds_of(now)),  # to the millisecond, as it is stored
            heads=tuple(heads),
            previous_hash=newest.hash if newest else GENESIS_CHECKPOINT,
            public_key=self._signer.public_key,
        )
        checkpoint = replace(unsigned, signature=self._signer.sign(unsigned.signed_bytes))
        await self._checkpoints.add(checkpoint)
        return checkpoint
