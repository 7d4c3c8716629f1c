"""Work done right after a reply, in this process: what takes long, or what the reply's time must not tell."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from chassis.errors import ServiceError
from chassis.identity import Caller, current_caller, use_caller
from chassis.logs import get_logger
from prometheus_client import Counter
from pymongo.errors import ConnectionFailure

from auth.domain.errors import TooBusy

WAITING_MAX = 500  # each waits for a code's mail; more than that and the codes would expire before they leave
WORKERS = 8
OUTAGE_TRIES = 10  # of one errand while the database is away, 20 s and more; then people ask for another code
OUTAGE_PAUSE_SECONDS = 2.0

FAILED = Counter("cryptovault_auth_errands_failed", "Work after a reply that failed", ["name"])

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Errand:
    name: str
    work: Callable[[], Awaitable[None]]
    caller: Caller


class BackgroundErrands:
    """A bounded queue in memory. What it holds dies with the process, and people then ask for another code:
    the price of keeping no code in the clear anywhere.
    """

    def __init__(self, *, outage_pause_seconds: float = OUTAGE_PAUSE_SECONDS) -> None:
        self._queue: asyncio.Queue[_Errand] = asyncio.Queue(maxsize=WAITING_MAX)
        self._outage_pause_seconds = outage_pause_seconds

    def hand_over(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            self._queue.put_nowait(_Errand(name, work, current_caller()))
        except asyncio.QueueFull:
            raise TooBusy from None

    async def run(self) -> None:
        """Background, until cancelled."""
        async with asyncio.TaskGroup() as workers:
            for _ in range(WORKERS):
                workers.create_task(self._work())

    async def drained(self) -> None:
        """Returns when nothing waits or runs."""
        await self._queue.join()

    async def _work(self) -> None:
        while True:
            errand = await self._queue.get()
            try:
                with use_caller(errand.caller):
                    await self._run(errand)
            except ServiceError as error:
                FAILED.labels(errand.name).inc()
                log.warning("Errand failed", event="errand_failed", errand=errand.name, reason=error.reason)
            except Exception:
                # Nobody waits for the answer; one person's mail must not end everybody's sign-in.
                FAILED.labels(errand.name).inc()
                log.exception("Errand failed", event="errand_failed", errand=errand.name)
            finally:
                self._queue.task_done()

    async def _run(self, errand: _Errand) -> None:
        # Somebody was told that a code is on its way: a database that restarts only delays it.
        for _ in range(OUTAGE_TRIES - 1):
            try:
                await errand.work()
            except ConnectionFailure as error:
                log.warning("Errand waits", event="errand_waits", errand=errand.name, problem=repr(error))
                await asyncio.sleep(self._outage_pause_seconds)
            else:
                return
        await errand.work()
