"""Sessions that ended before their tokens did. Auth writes them to Redis; what was seen there is remembered here."""

import asyncio
import contextvars
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Sequence

from chassis.clock import Clock

_REMEMBERED_MAX = 100_000
_REMEMBERED_SECONDS = 31 * 60  # an access token lives 30 minutes, and may be made while its session ends
_BELIEVED_SECONDS = 1.0  # so soon an ended session is over, with Redis or without
_BELIEVED_MAX = 10_000
_IDS_MAX = 256  # as auth takes them
_GATHER_SECONDS = 0.02  # so that a thousand busy sessions are at most fifty calls a second, not a thousand
_KEY_PREFIX = "cryptovault:blacklist:"
# Auth writes it last. Where it is not there Redis was emptied, and that a session is not there says nothing.
ALL_HERE_KEY = "cryptovault:blacklist-loaded"


def revocation_keys(session_id: str) -> tuple[str, ...]:
    """Where auth says in Redis that a session is over."""
    return (f"{_KEY_PREFIX}{session_id}",)


class SeenRevocations:
    """So that a lost or emptied Redis does not make a token valid again that this gateway has already refused."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: OrderedDict[str, float] = OrderedDict()

    def add(self, session_id: str) -> None:
        self._until[session_id] = self._clock.monotonic() + _REMEMBERED_SECONDS
        self._until.move_to_end(session_id)
        while len(self._until) > _REMEMBERED_MAX:
            self._until.popitem(last=False)

    def __contains__(self, session_id: object) -> bool:
        until = self._until.get(session_id) if isinstance(session_id, str) else None
        return until is not None and until > self._clock.monotonic()


class AuthsRevocations:
    """For while Redis does not answer, or has lost what it knew: what auth's database says. That one is not over is
    believed for a second.

    Who asks within one moment asks together: a call costs auth as much for one session as for two hundred.
    """

    def __init__(self, fetch: Callable[[Sequence[str]], Awaitable[Collection[str]]], clock: Clock) -> None:
        """`fetch` asks auth which of these are over."""
        self._fetch = fetch
        self._clock = clock
        self._believed_until: OrderedDict[str, float] = OrderedDict()
        self._gathering: list[str] = []
        self._gatherer: asyncio.Task[set[str]] | None = None
        # By id, the question that will tell, gathering or asked.
        self._questions: dict[str, asyncio.Task[set[str]]] = {}

    async def among(self, ids: Sequence[str]) -> set[str]:
        """Those that are over. Errors as of a call to auth."""
        now = self._clock.monotonic()
        unsure = {one for one in ids if self._believed_until.get(one, now) <= now}
        ended: set[str] = set()
        for question in {self._question(one) for one in unsure}:
            await asyncio.wait({question})  # whoever stops waiting stops it for nobody else
            ended |= question.result()
        return ended & unsure

    def _question(self, one: str) -> asyncio.Task[set[str]]:
        known = self._questions.get(one)
        if known is not None:
            return known
        if self._gatherer is None or len(self._gathering) >= _IDS_MAX:
            self._gathering = []
            # In nobody's name: it asks for many.
            self._gatherer = asyncio.create_task(
                self._ask(self._gathering), name="revocations", context=contextvars.Context()
            )
            self._gatherer.add_done_callback(_note_error)
        self._gathering.append(one)
        self._questions[one] = self._gatherer
        return self._gatherer

    async def _ask(self, ids: list[str]) -> set[str]:
        await asyncio.sleep(_GATHER_SECONDS)
        if self._gathering is ids:
            self._gatherer = None
        # From when it was asked: of what ends while the answer is on its way it says nothing.
        until = self._clock.monotonic() + _BELIEVED_SECONDS
        try:
            ended = set(await self._fetch(ids))
        finally:
            for one in ids:
                del self._questions[one]
        for one in ids:
            if one not in ended:
                self._believed_until[one] = until
                self._believed_until.move_to_end(one)
        while len(self._believed_until) > _BELIEVED_MAX:
            self._believed_until.popitem(last=False)
        return ended


def _note_error(question: asyncio.Task[set[str]]) -> None:
    """So that it counts as heard where all who asked have gone."""
    if not question.cancelled():
        question.exception()
