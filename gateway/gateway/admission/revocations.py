"""Sessions that ended before their tokens did. Auth writes them to Redis; what was seen there is remembered here."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Sequence

from chassis.clock import Clock

_REMEMBERED_MAX = 100_000
_REMEMBERED_SECONDS = 31 * 60  # an access token lives 30 minutes, and may be made while its session ends
_BELIEVED_SECONDS = 1.0  # so soon an ended session is over, with Redis or without
_BELIEVED_MAX = 10_000
_KEY_PREFIX = "cryptovault:blacklist:"


def revocation_keys(session_id: str) -> tuple[str, ...]:
    """Where auth says in Redis that a session is over. After a loss of Redis it writes them again within a second."""
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
    """For while Redis does not answer: what auth's database says. That one is not over is believed for a second."""

    def __init__(self, fetch: Callable[[Sequence[str]], Awaitable[Collection[str]]], clock: Clock) -> None:
        """`fetch` asks auth which of these are over."""
        self._fetch = fetch
        self._clock = clock
        self._believed_until: OrderedDict[str, float] = OrderedDict()

    async def among(self, ids: Sequence[str]) -> set[str]:
        """Those that are over. Errors as of a call to auth."""
        now = self._clock.monotonic()
        unsure = [one for one in ids if self._believed_until.get(one, now) <= now]
        if not unsure:
            return set()
        ended = set(await self._fetch(unsure))
        for one in unsure:
            if one not in ended:
                self._believed_until[one] = now + _BELIEVED_SECONDS
                self._believed_until.move_to_end(one)
        while len(self._believed_until) > _BELIEVED_MAX:
            self._believed_until.popitem(last=False)
        return ended
