"""What the fold did and the database does not have yet. Queries look here first, so nobody waits for a write."""

from collections.abc import Iterator

from trading.storage.projection import Changes
from trading.storage.rows import Row

# Some 40 MB. The fold waits where there are more, and reads with it: then the database is too slow for what is traded.
ROWS_MAX = 8_192


class Unwritten:
    """Rows are live: they are as they were after the newest batch. Whoever joins them with stored ones asks here first,
    then the database: a row that was written in between is then found twice, never missed.
    """

    def __init__(self) -> None:
        self.pending = Changes()
        self._writing = Changes()

    @property
    def row_count(self) -> int:
        return self.pending.row_count + self._writing.row_count

    @property
    def is_full(self) -> bool:
        return self.row_count >= ROWS_MAX

    def take(self) -> Changes:
        """For writing; they stay here until `written`."""
        self._writing, self.pending = self.pending, Changes()
        return self._writing

    def written(self) -> None:
        self._writing = Changes()

    def order(self, order_id: str) -> Row | None:
        for changes in (self.pending, self._writing):
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
        rows = [*self._writing.tape, *self.pending.tape]
        return {row["_id"]: row for row in rows if row["_id"].startswith(of_market)}

    def _orders(self) -> Iterator[Row]:
        for changes in (self._writing, self.pending):
            yield from changes.new_orders.values()
            for order_id, row in changes.changed_orders.items():
                if order_id not in changes.incomplete:
                    yield row
