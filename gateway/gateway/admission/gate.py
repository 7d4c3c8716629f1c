"""One Redis round trip decides a request: revoked or not, within its limits or not. Requests of one moment share it."""

import asyncio
import importlib.resources
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from chassis.clock import Clock
from chassis.logs import get_logger
from redis.exceptions import InvalidResponse, RedisError

from gateway.admission.limits import Verdict, interval_microseconds, verdict
from gateway.admission.redis_line import RedisLine, RedisScript
from gateway.admission.revocations import ALL_HERE_KEY

_BATCH_REQUESTS_MAX = 64  # in one script call: about 0.3 ms of Redis, which serves everybody
_ANSWER_NUMBERS = 4  # of each request, before one for each of its limits
_REVOKED, _UNSURE = 1, 2
_SEEN, _OUTDATED = 1, 2
_WAITING_MAX = 4_096  # above the requests in flight
_TIMEOUT_SECONDS = 0.5  # Redis answers in 0.1 ms; after this long it is gone
_PAUSE_SECONDS = 1.0  # how long a Redis that failed is left alone, so that not every request waits for it

log = get_logger(__name__)


class GateClosed(Exception):
    """Redis does not answer."""


@dataclass(frozen=True, slots=True)
class LimitKey:
    key: str
    limit: int
    count: int = 1


@dataclass(frozen=True, slots=True)
class Nonce:
    """Good once, and only for as long as it is remembered: both by the clock of Redis, whatever ours says."""

    key: str
    # Unix milliseconds.
    until: int


@dataclass(frozen=True, slots=True)
class GateAnswer:
    revoked: bool
    # It may be: Redis was emptied, and auth has not written again what it must know.
    unsure: bool
    # The nonce was taken before.
    replayed: bool
    # It may have been, or may come again: it is not remembered for so long.
    outdated: bool
    # In the order asked.
    verdicts: tuple[Verdict, ...]


@dataclass(slots=True)
class _Question:
    revocation_keys: Sequence[str]
    limits: Sequence[LimitKey]
    nonce: Nonce | None
    answer: asyncio.Future[GateAnswer]


class RedisGate:
    """While one batch is away the next gathers: alone a request waits for nobody, in a crowd 64 share one call."""

    def __init__(self, redis: RedisLine, clock: Clock) -> None:
        script = importlib.resources.files("gateway.admission").joinpath("gate.lua").read_text(encoding="utf-8")
        self._redis = redis
        self._script = RedisScript(redis, script)
        self._clock = clock
        self._waiting: deque[_Question] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._closed_until = 0.0

    async def ask(
        self, revocation_keys: Sequence[str], limits: Sequence[LimitKey], nonce: Nonce | None = None
    ) -> GateAnswer:
        """Raises GateClosed where Redis does not answer in time."""
        if self._clock.monotonic() < self._closed_until or len(self._waiting) >= _WAITING_MAX:
            raise GateClosed
        question = _Question(revocation_keys, limits, nonce, asyncio.get_running_loop().create_future())
        self._waiting.append(question)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work(), name="gate")
        return await question.answer

    async def close(self) -> None:
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        await self._redis.aclose()

    async def _work(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _BATCH_REQUESTS_MAX))]
            try:
                async with asyncio.timeout(_TIMEOUT_SECONDS):
                    _deliver(batch, await self._call(batch))
            except (RedisError, OSError, TimeoutError) as error:
                self._closed_until = self._clock.monotonic() + _PAUSE_SECONDS
                log.warning("Redis does not answer", event="gate_closed", problem=type(error).__name__)
                self._refuse([*batch, *self._waiting])
                self._waiting.clear()
                return
            except BaseException:
                # Nobody must wait for an answer that will not come.
                self._refuse([*batch, *self._waiting])
                self._waiting.clear()
                raise

    async def _call(self, batch: list[_Question]) -> list[int]:
        keys: list[str] = [ALL_HERE_KEY]
        arguments: list[int] = [len(batch)]
        for question in batch:
            keys += question.revocation_keys
            keys += [limit.key for limit in question.limits]
            if question.nonce is not None:
                keys.append(question.nonce.key)
            until = question.nonce.until if question.nonce is not None else 0
            arguments += (len(question.revocation_keys), len(question.limits), until)
            for limit in question.limits:
                arguments += (interval_microseconds(limit.limit), limit.count)
        numbers = await self._script.call(keys, arguments)
        expected = sum(_ANSWER_NUMBERS + len(question.limits) for question in batch)
        if not isinstance(numbers, list) or len(numbers) != expected or not all(type(one) is int for one in numbers):
            raise InvalidResponse("This is no answer of the gate's script.")
        return numbers

    def _refuse(self, questions: list[_Question]) -> None:
        for question in questions:
            if not question.answer.done():
                question.answer.set_exception(GateClosed())


def _deliver(batch: list[_Question], numbers: list[int]) -> None:
    at = 0
    for question in batch:
        revoked, refused, wait, seen = numbers[at : at + _ANSWER_NUMBERS]
        at += _ANSWER_NUMBERS
        verdicts = tuple(
            verdict(
                allowed=refused != number,
                limit=limit.limit,
                spent_microseconds=numbers[at + number - 1],
                retry_microseconds=wait,
            )
            for number, limit in enumerate(question.limits, start=1)
        )
        at += len(question.limits)
        if not question.answer.done():
            question.answer.set_result(
                GateAnswer(
                    revoked=revoked == _REVOKED,
                    unsure=revoked == _UNSURE,
                    replayed=seen == _SEEN,
                    outdated=seen == _OUTDATED,
                    verdicts=verdicts,
                )
            )
