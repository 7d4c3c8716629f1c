"""The exchange, deliberately broken: one wrong line of real code at a time."""

import inspect
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FunctionType

from trading.domain import amend_order, evolve, matching, place_order, snapshot
from trading.domain.settlement import Draft, TradingDraft
from trading.sequencer.sequencer import Sequencer
from trading.storage.projection import Projection


@dataclass(frozen=True)
class Variant:
    """`function` with each of the lines replaced. A line that is no longer there, or there twice, is an error."""

    name: str
    function: FunctionType
    lines: tuple[tuple[str, str], ...]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Whoever has imported the function meanwhile has the broken one too: its code is exchanged, not its name."""
        source = textwrap.dedent(inspect.getsource(self.function))
        for right, wrong in self.lines:
            assert source.count(right) == 1, f"{self.name}: {right!r} is there {source.count(right)} times"
            source = source.replace(right, wrong)
        made: dict[str, FunctionType] = {}
        exec(compile(source, f"<{self.name}>", "exec"), self.function.__globals__, made)  # noqa: S102 - our own source
        sound = self.function.__code__
        self.function.__code__ = made[self.function.__name__].__code__
        try:
            yield
        finally:
            self.function.__code__ = sound


def _variant(name: str, function: object, *lines: tuple[str, str]) -> Variant:
    assert isinstance(function, FunctionType)
    return Variant(name, function, lines)


BALANCE_CHECK_MISSING = _variant(
    "balance check missing", place_order.check_funds, ("if hold > available:", "if False:")
)
HOLD_RELEASED_TWICE = _variant(
    "hold released twice", evolve._close,
    ("hold_reduction, -hold_reduction)", "2 * hold_reduction, -2 * hold_reduction)"),
)  # fmt: skip
HOLD_NOT_RELEASED_ON_CANCEL = _variant("hold not released on cancel", Draft.close, ("order.hold,", "0,"))
TRADE_ID_REUSED = _variant("trade id reused", evolve._trade, ("state.trade_number = trade_number", "pass"))
TIME_PRIORITY_BROKEN = _variant(
    "time priority broken", matching.walk, ("for maker in makers:", "for maker in reversed([*makers]):"),
)  # fmt: skip
PRICE_PRIORITY_BROKEN = _variant(
    "price priority broken", matching.walk,
    (
        "keys = reversed(book.keys)",
        "keys = iter([known for known in book.keys if known >= worst_key])",
    ),
)  # fmt: skip
FEE_ROUNDED_DOWN = _variant(
    "fee rounded the wrong way", TradingDraft._order_side,
    ("fee = -(-numerator // BASIS_POINTS)", "fee = numerator // BASIS_POINTS"),
)  # fmt: skip
PARTIAL_FILL_COUNTED_TWICE = _variant(
    "partial fill counted twice", evolve._fill,
    ("filled_quantity += quantity", "filled_quantity += quantity * (1 + (status is not FILLED))"),
)  # fmt: skip
ANSWER_BEFORE_THE_APPEND = _variant(
    "answer before the append", Sequencer._append,
    ("    work.prepare()\n", "    work.prepare()\n    work.answer(self._repeats.answer)\n"),
    ('    crash_point("after_append_before_reply")\n    work.answer(self._repeats.answer)\n', ""),
)  # fmt: skip
CURSOR_BEFORE_THE_WRITES = _variant(
    "projection cursor moved before its writes", Projection.write,
    ("    await self._cursors.move(self._cursor_name, before=before, after=after)\n", ""),
    (
        "    await self._insert(self._orders, ",
        (
            "    await self._cursors.move(self._cursor_name, before=before, after=after)\n"
            "    before = after\n"
            "    await self._insert(self._orders, "
        ),
    ),
)  # fmt: skip
KEY_FORGOTTEN_ON_RESTART = _variant(
    "key forgotten on restart", snapshot.restore_snapshot,
    ("for batch, kind, owner, key, *remembered in keys:", "for batch, kind, owner, key, *remembered in ():"),
)  # fmt: skip
STALE_PRICE_ACCEPTED = _variant(
    "stale price accepted", place_order._plan, (" if now <= frame.fresh_until_milliseconds else None", "")
)
# Beyond the twelve: what only the naive engine's own reading of an amendment can tell.
PLACE_LOST_ON_A_SMALLER_QUANTITY = _variant(
    "place lost on a smaller quantity", amend_order.amend_order,
    ("amended.quantity > order.quantity", "amended.quantity != order.quantity"),
)  # fmt: skip
PLACE_KEPT_ON_A_LARGER_QUANTITY = _variant(
    "place kept on a larger quantity", amend_order.amend_order, (" or amended.quantity > order.quantity", "")
)
