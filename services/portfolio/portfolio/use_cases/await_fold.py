"""Make the fold reach a batch that a reader is waiting for."""

from chassis.clock import Clock
from chassis.errors import ErrorKind, RemoteError

from portfolio.use_cases.ports import FoldProgress, Journal


class AwaitFold:
    """Asks the journal's reader for the batch instead of waiting for the bell.

    The projector looks at once when somebody wants a batch, and so does the fold; by themselves they take their time.
    """

    def __init__(self, *, journal: Journal, progress: FoldProgress, clock: Clock) -> None:
        self._journal = journal
        self._progress = progress
        self._clock = clock

    async def __call__(self, batch: int, *, timeout_seconds: float) -> bool:
        """True when the batch is folded in; False when that takes longer, or the fold has stopped."""
        if self._progress.position >= batch:
            return True
        if self._progress.stale:
            return False
        deadline = self._clock.monotonic() + timeout_seconds
        try:
            await self._journal.wait_for(batch, timeout_seconds)
        except RemoteError as error:
            if error.kind is not ErrorKind.UNAVAILABLE:
                raise
            # The fold may know the batch all the same, from before the projector went away.
        return await self._progress.reached(batch, max(0.0, deadline - self._clock.monotonic()))
