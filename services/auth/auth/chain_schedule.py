"""The chaining of entries that wait, for as long as the service runs."""

import asyncio

from chassis.errors import ServiceError
from chassis.logs import get_logger
from pymongo.errors import PyMongoError

from auth.use_cases.chain_deferred import ChainDeferred

PAUSE_SECONDS = 0.5  # so long may somebody who writes to the database change what was just done, unseen
PAUSE_SECONDS_MAX = 30.0  # between tries while the database is away

log = get_logger(__name__)


class ChainSchedule:
    def __init__(self, chain: ChainDeferred) -> None:
        self._chain = chain

    async def run(self) -> None:
        """Until cancelled. What cannot be chained now stays where it is."""
        pause = PAUSE_SECONDS
        while True:
            try:
                while await self._chain():
                    pass
                pause = PAUSE_SECONDS
            except (ServiceError, PyMongoError) as error:
                log.warning("Audit entries wait", event="audit_entries_wait", problem=repr(error))
                pause = min(pause * 2, PAUSE_SECONDS_MAX)
            await asyncio.sleep(pause)
