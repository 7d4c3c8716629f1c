"""The rate limit of price reads: counted in the process, settled with Redis ten times a second."""

import asyncio

from chassis.clock import Clock

from gateway.admission.gate import GateClosed, LimitKey, RedisGate
from gateway.admission.limits import PERIOD_MICROSECONDS, LocalLimits, Verdict
from gateway.edge.addresses import limited_address

SETTLE_SECONDS = 0.1
_ADDRESSES_MAX = 10_000  # between two settlements; more are counted locally only
_KEY_PREFIX = "cryptovault:limit:market_data:address:"


class PriceLimiter:
    """Asking Redis for each read would cost more than the read. So gateways together may give up to 100 ms too much."""

    def __init__(self, gate: RedisGate, clock: Clock, *, limit: int) -> None:
        self._gate = gate
        self._clock = clock
        self._limit = limit
        self._local = LocalLimits()
        self._spent: dict[str, int] = {}

    def take(self, address: str) -> Verdict:
        key = limited_address(address)
        verdict = self._local.take(key, limit=self._limit, now_microseconds=self._now())
        if verdict.allowed and (key in self._spent or len(self._spent) < _ADDRESSES_MAX):
            self._spent[key] = self._spent.get(key, 0) + 1
        return verdict

    async def run(self) -> None:
        while True:
            await asyncio.sleep(SETTLE_SECONDS)
            if self._spent:
                await self.settle()

    async def settle(self) -> None:
        """Tell Redis what was spent here, learn what was spent elsewhere."""
        spent, self._spent = self._spent, {}
        keys = [LimitKey(_KEY_PREFIX + address, self._limit, count) for address, count in spent.items()]
        try:
            # One question each: they are refused or granted apart, and the gate sends them together.
            answers = await asyncio.gather(*(self._gate.ask((), (key,)) for key in keys))
        except GateClosed:
            return  # the local count goes on
        now = self._now()
        for address, answer in zip(spent, answers, strict=True):
            verdict = answer.verdicts[0]
            used = (
                PERIOD_MICROSECONDS
                if not verdict.allowed
                else PERIOD_MICROSECONDS * (verdict.limit - verdict.remaining) // verdict.limit
            )
            self._local.raise_to(address, now + used)

    def _now(self) -> int:
        return int(self._clock.monotonic() * 1_000_000)
