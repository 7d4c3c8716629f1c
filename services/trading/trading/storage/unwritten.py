"""What the fold did and the database does not have yet. Queries look here first, so nobody waits for a write."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from trading.storage.cursors import Cursor
from trading.storage.projection import Changes
from trading.storage.rows import Row

# Some 40 MB. The fold waits where there are more, and reads with it: then the database is too slow for what is traded.
ROWS_MAX = 8_192
# With these a commit is a small part of a write. More at a time would give room back later, and readers wait for it.
PORTION_ROWS = 512


@dataclass(frozen=True, slots=True)
class Portion:
    """What happened up to that batch, after the portion before."""

    changes: Changes
    cursor: Cursor


class Unwritten:
    """Rows are live: they are as they were after the newest batch. Whoever joins them with stored ones asks here first,
    then the database: a row that is written in between is then found twice, never missed.
    """

    def __init__(self) -> None:
        self.pending = Changes()
        self._sealed: deque[Portion] = deque()
        self._writing: Portion | None = None

    @property
    def row_count(self) -> int:
        return sum(changes.row_count for changes in self._all())

    @property
    def is_full(self) -> bool:
        return self.row_count >= ROWS_MAX

    @property
    def has_portion(self) -> bool:
        """Enough for a write of its own, beside what is being written."""
        return bool(self._sealed)

    def folded(self, cursor: Cursor) -> None:
        """What is pending is all that happened up to there."""
        if self.pending.row_count >= PORTION_ROWS:
            self._seal(cursor)

    def take_oldest(self, cursor: Cursor) -> Portion:
        """For writing; queries find it here until it is `written`. `cursor` is how far the fold has come with what is
        pending.
        """
        if not self._sealed:
            self._seal(cursor)
        self._writing = self._sealed.popleft()
        return self._writing

    def written(self) -> None:
        self._writing = None

    def _seal(self, cursor: Cursor) -> None:
        self._sealed.append(Portion(self.pending, cursor))
        self.pending = Changes()

    def order(self, order_id: str) -> Row | None:
        for changes in reversed(self._all()):
            row = changes.new_orders.get(order_id) or changes.changed_orders.get(order_id)
            if row is not None and order_id not in changes.incomplete:
                return row
        return None

    def orders_of(self, user_id: str) -> dict[str, Row]:
        """By id."""
        return {row["_id"]: row for row in self._orders() if row["user_id"] == user_id}

    def tape(self, market: str) -> dict[str, Row]:
        """A market's trades by id, one row a batch."""
        of_market = f"{market}/"
        return {row["_id"]: row for changes in self._all() for row in changes.tape if row["_id"].startswith(of_market)}

    def _orders(self) -> Iterator[Row]:
        for changes in self._all():
            yield from changes.new_orders.values()
            for order_id, row in changes.changed_orders.items():
                if order_id not in changes.incomplete:
                    yield row

    def _all(self) -> list[Changes]:
        """Oldest first."""
        writing = [] if self._writing is None else [self._writing.changes]
        return [*writing, *(portion.changes for portion in self._sealed), self.pending]
