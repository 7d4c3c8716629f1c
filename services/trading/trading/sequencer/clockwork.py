"""Lets time pass for an exchange that nobody asks anything."""

import asyncio

from trading.sequencer.sequencer import Sequencer

INTERVAL_SECONDS = 0.5  # what waits for a time may be that late in an idle hour; a batch of any kind sees it at once


class Clockwork:
    """`run` for good."""

    def __init__(self, sequencer: Sequencer) -> None:
        self._sequencer = sequencer

    async def run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            self._sequencer.look_at_the_clock()
