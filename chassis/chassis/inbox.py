"""Each event's effect once, however often the bus delivers it."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from pymongo.errors import DuplicateKeyError

from chassis.clock import Clock, SystemClock
from chassis.mongo import MongoDatabase, Transactions

COLLECTION = "inbox"
# The broker has long given up on a message by then; what is parked was never applied and so has no row.
REMEMBERED = timedelta(days=90)


class _Repeat(Exception):
    """Another delivery of this event was applied first."""


class Inbox:
    """Remembers which events were applied, in the transaction that applies them."""

    def __init__(self, database: MongoDatabase, transactions: Transactions, *, clock: Clock | None = None) -> None:
        self._rows = database[COLLECTION]
        self._transactions = transactions
        self._clock: Clock = clock or SystemClock()

    async def create_indexes(self) -> None:
        await self._rows.create_index("applied_at", expireAfterSeconds=int(REMEMBERED.total_seconds()))

    async def once(self, subscription: str, event_id: str, work: Callable[[], Awaitable[None]]) -> bool:
        """Runs `work` in a transaction together with the event's row; False, and no effect, for a repeat.

        `work` holds database calls only. If it raises, nothing is remembered and the event may come again.
        """
        key = f"{subscription}:{event_id}"

        async def apply() -> None:
            # Read first: a repeat is then no error in the server's eyes, which would abort and log.
            if await self._rows.find_one({"_id": key}, {"_id": 1}) is not None:
                raise _Repeat
            try:
                await self._rows.insert_one({"_id": key, "applied_at": self._clock.now()})
            except DuplicateKeyError as error:
                # Two deliveries at once; the other one has committed. Leave: this transaction is already aborted.
                raise _Repeat from error
            await work()

        try:
            await self._transactions.run(apply)
        except _Repeat:
            return False
        return True
