import asyncio
from collections import deque

from chassis.logs import get_logger
from pymongo.errors import PyMongoError

from auth.storage.documents import LoginAttemptDocument
from auth.use_cases.ports import LoginAttempt

INTERVAL_SECONDS = 0.5
WAITING_MAX = 10_000  # a minute of the fastest flood the hashing threads let through; then the oldest go

log = get_logger(__name__)


class MongoLoginAttempts:
    """One insert for many: a row of its own for each sign-in would slow everybody else's refresh."""

    def __init__(self) -> None:
        self._waiting: deque[LoginAttempt] = deque(maxlen=WAITING_MAX)

    async def record(self, attempt: LoginAttempt) -> None:
        await _document(attempt).insert()

    def note(self, attempt: LoginAttempt) -> None:
        self._waiting.append(attempt)

    async def run(self) -> None:
        """Background, until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Write what waits. Where the database is away it keeps waiting."""
        if not self._waiting:
            return
        batch = list(self._waiting)
        self._waiting.clear()
        try:
            await LoginAttemptDocument.insert_many([_document(attempt) for attempt in batch])
        except PyMongoError as error:
            self._waiting.extendleft(reversed(batch))
            log.warning("Sign-in records wait", event="login_attempts_wait", count=len(batch), problem=repr(error))


def _document(attempt: LoginAttempt) -> LoginAttemptDocument:
    return LoginAttemptDocument(
        user_id=attempt.user_id,
        email_digest=attempt.email_digest,
        ip_address=attempt.address,
        succeeded=attempt.succeeded,
        reason=attempt.reason,
        timestamp=attempt.timestamp,
    )
