"""What the sequencer needs of the projection and of whoever watches."""

from collections.abc import Callable
from typing import Protocol

from trading.domain.commands import AmendOrder, CancelAll, CancelOrder, KeyedChange, PlaceOrder
from trading.domain.keys import TransferCommand
from trading.domain.state import RememberedKeys
from trading.journal.history import OrderView
from trading.sequencer.open_batch import FinishedBatch

KeyedCommand = PlaceOrder | AmendOrder | CancelOrder | CancelAll | KeyedChange | TransferCommand


class History(Protocol):
    """The projection, asked for what left memory."""

    async def cursor(self) -> int:
        """The newest batch folded in."""
        ...

    async def keys_of(self, command: KeyedCommand, *, up_to: int) -> RememberedKeys:
        """Those of the command's keys that batches up to that one used, as memory would hold them.

        None of later ones: rows come one by one, and half of what a batch did would look like somebody else's.
        `up_to` is what `cursor` gave. Order keys (and those of operators' changes) are good for 24 h, business keys and
        what became of held transfers for ever. Raises `HistoryBehind` where it cannot be asked.
        """
        ...

    async def order_as_of(self, order_id: str, *, batch: int, time_milliseconds: int) -> OrderView | None:
        """The order as that batch, which touched it, left it; None while its row is not there or older."""
        ...


BatchListener = Callable[[FinishedBatch], None]
