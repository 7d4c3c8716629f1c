"""The newest batch of each user, so that a private read sees everything its user has done (read your own writes)."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable

_USERS_MAX = 100_000


class NewestBatches:
    """Trusted while the event stream is whole: then every batch passes here. `ask` answers from the leader's memory."""

    def __init__(self, ask: Callable[[], Awaitable[int]]) -> None:
        self._ask = ask
        self._batches: OrderedDict[str, int] = OrderedDict()
        self._watching = False
        # Counts the stream's beginnings and ends: an answer asked for in another life may be old in this one.
        self._life = 0

    def note(self, user_id: str, batch: int) -> None:
        if batch > self._batches.get(user_id, 0):
            self._batches[user_id] = batch
            self._batches.move_to_end(user_id)
            if len(self._batches) > _USERS_MAX:
                self._batches.popitem(last=False)

    def doubt(self, user_id: str) -> None:
        """A command of this user may be on its way into a batch that nobody has told of: the next read asks."""
        self._batches.pop(user_id, None)

    def begin(self) -> None:
        """The stream delivers: from here on nothing is missed, but what was learnt before may be old."""
        if not self._watching:
            self._forget()
            self._watching = True

    def lose(self) -> None:
        """The stream broke."""
        self._forget()
        self._watching = False

    def _forget(self) -> None:
        self._batches.clear()
        self._life += 1

    async def newest(self, user_id: str) -> int:
        """The batch a read of this user must have reached, asked in the user's name. Errors as of a call to trading."""
        known = self._batches.get(user_id)
        if known is not None and self._watching:
            return known
        life = self._life
        batch = await self._ask()
        if life == self._life:
            self.note(user_id, batch)
        return max(batch, self._batches.get(user_id, 0))
