import asyncio
from collections import deque

from beanie import PydanticObjectId
from chassis.logs import get_logger
from pymongo.errors import BulkWriteError, PyMongoError

from auth.storage.documents import LoginAttemptDocument
from auth.use_cases.ports import LoginAttempt

INTERVAL_SECONDS = 0.5
WAITING_MAX = 10_000  # a minute of the fastest flood the hashing threads let through; then the oldest go
_DUPLICATE_KEY = 11000

log = get_logger(__name__)


class MongoLoginAttempts:
    """One insert for many: a row of its own for each sign-in would slow everybody else's refresh."""

    def __init__(self) -> None:
        self._waiting: deque[LoginAttemptDocument] = deque(maxlen=WAITING_MAX)

    async def record(self, attempt: LoginAttempt) -> None:
        await _document(attempt).insert()

    def note(self, attempt: LoginAttempt) -> None:
        self._waiting.append(_document(attempt))

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
            await LoginAttemptDocument.insert_many(batch, ordered=False)
        except PyMongoError as error:
            if _are_there(error):
                return  # written before; only the answer was lost
            self._put_back(batch)
            log.warning("Sign-in records wait", event="login_attempts_wait", count=len(batch), problem=repr(error))
        except asyncio.CancelledError:
            # The service stops. What is there already the last flush will find.
            self._put_back(batch)
            raise

    def _put_back(self, batch: list[LoginAttemptDocument]) -> None:
        # Before those that came meanwhile, which at the other end a full queue would drop.
        room = WAITING_MAX - len(self._waiting)
        self._waiting.extendleft(reversed(batch[max(0, len(batch) - room) :]))


def _are_there(error: PyMongoError) -> bool:
    """Where all that were not inserted are known already."""
    if not isinstance(error, BulkWriteError):
        return False
    problems = (error.details or {}).get("writeErrors", [])
    return bool(problems) and all(problem["code"] == _DUPLICATE_KEY for problem in problems)


def _document(attempt: LoginAttempt) -> LoginAttemptDocument:
    return LoginAttemptDocument(
        # Its own from the beginning, so that a repeated insert finds it.
        id=PydanticObjectId(),
        user_id=attempt.user_id,
        email_digest=attempt.email_digest,
        ip_address=attempt.address,
        succeeded=attempt.succeeded,
        reason=attempt.reason,
        timestamp=attempt.timestamp,
    )
