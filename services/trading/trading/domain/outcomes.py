"""What a command came to, when it was not refused."""

from typing import NamedTuple

from trading.domain.events import Event


class Repeat(NamedTuple):
    """An earlier command with the same key and contents had the effect, in batch `batch`. Nothing happens now.

    `order_ids`: the placed order, or the orders a cancel closed. `transfer_id` for a transfer.
    """

    batch: int
    order_ids: tuple[str, ...] = ()
    transfer_id: str = ""


Decision = list[Event] | Repeat
