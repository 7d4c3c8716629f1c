"""Tells other services that the journal grew. They read it themselves, so a lost ring costs them a little time."""

import asyncio

from chassis.bus import Bus, BusUnavailable
from chassis.clock import Clock
from chassis.ids import Ids
from chassis.logs import get_logger
from cryptovault.trading.v1 import events_pb2

from trading.projector.projector import Projector

PAUSE_SECONDS = 0.5  # many batches, one ring: each costs every consumer a transaction; who cannot wait asks by batch
RETRY_SECONDS = 1.0

log = get_logger(__name__)


class Bell:
    """`run` for good."""

    def __init__(self, *, projector: Projector, bus: Bus, clock: Clock, ids: Ids) -> None:
        self._projector = projector
        self._bus = bus
        self._clock = clock
        self._ids = ids

    async def run(self) -> None:
        rung = 0
        while True:
            batch = self._projector.batch
            if batch == rung:
                await self._projector.advanced()
                continue
            try:
                await self._bus.publish(
                    events_pb2.JournalAdvanced(batch=batch),
                    id=str(self._ids.new()),
                    subject="journal",
                    time=self._clock.now(),
                )
            except BusUnavailable:
                log.warning("The bell does not ring", event="bell_silent", batch=batch)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                rung = batch
                await asyncio.sleep(PAUSE_SECONDS)
