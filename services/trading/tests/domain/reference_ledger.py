"""What the naive engine does with money that moves outside trading, at once or in two phases."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ledger_commands import Move
from reference_orders import ReferenceExchange
from reference_records import ZERO, RefusedError

SYSTEM = ("external", "fees", "house", "rounding")
# kind: whom it may take from, whom it may give to, at once, held first, with an end
KINDS: dict[str, tuple[str, str, bool, bool, bool]] = {
    "deposit": ("external", "user fees", True, True, True),
    "withdrawal": ("user", "external fees", False, True, False),
    "user_transfer": ("user", "user fees", True, True, True),
    "fee": ("user", "fees", True, True, True),
    "adjustment": ("user external fees house rounding", "user external fees house rounding", True, True, True),
}
HOW_IT_ENDED = {
    "posted": "transfer_already_posted", "voided": "transfer_already_voided", "expired": "transfer_expired",
}  # fmt: skip


@dataclass
class Held:
    moves: tuple[Move, ...]
    expires: int | None
    end: str = ""  # empty while it is pending


class ReferenceLedger(ReferenceExchange):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.holds: dict[str, Held] = {}
        self.used: dict[str, object] = {}
        self.frozen: set[str] = set()
        self.ends: dict[str, int] = {}

    def held(self, user: str, asset: str) -> Decimal:
        pending = [move for hold in self.holds.values() if not hold.end for move in hold.moves]
        mine = [-amount for owner, code, amount in pending if (owner, code) == (user, asset) and amount < 0]
        return super().held(user, asset) + sum(mine, ZERO)

    def expire(self) -> None:
        super().expire()
        for hold in self.holds.values():
            if not hold.end and hold.expires is not None and hold.expires <= self.now:
                self._end_hold(hold, "expired")

    def transfer(self, key: str, kind: str, moves: tuple[Move, ...]) -> str:
        if self._is_repeat(key, ("transfer", kind, moves)):
            return "repeat"
        self._check_moves(kind, moves, first_of_two=False)
        self._check_funds_of(moves)
        self.used[key] = ("transfer", kind, moves)
        self._make(moves)
        return ""

    def hold(self, key: str, kind: str, moves: tuple[Move, ...], expires: int | None) -> str:
        contents = ("hold", kind, moves, expires)
        if self._is_repeat(key, contents):
            return "repeat"
        self._check_moves(kind, moves, first_of_two=True)
        if expires is not None and (not KINDS[kind][4] or expires <= self.now):
            raise RefusedError("invalid_transfer")
        self._check_funds_of(moves)
        self.used[key] = contents
        self.holds[key] = Held(moves, expires)
        return ""

    def post(self, key: str, hold_key: str, moves: tuple[Move, ...]) -> str:
        if self._is_repeat(key, ("post", hold_key, moves)):
            return "repeat"
        hold = self._pending_hold(hold_key)
        limits = {(owner, asset): amount for owner, asset, amount in hold.moves}
        for owner, asset, amount in moves:
            limit = limits.get((owner, asset), ZERO)
            if not (0 < amount <= limit or limit <= amount < 0):
                raise RefusedError("invalid_transfer")
        self.used[key] = ("post", hold_key, moves)
        self._end_hold(hold, "posted")
        self._make(moves or hold.moves)
        return ""

    def void(self, key: str, hold_key: str) -> str:
        if self._is_repeat(key, ("void", hold_key)):
            return "repeat"
        hold = self._pending_hold(hold_key)
        self.used[key] = ("void", hold_key)
        self._end_hold(hold, "voided")
        return ""

    def freeze(self, asset: str) -> str:
        self.frozen.add(asset)
        for book in self.books.values():
            if asset in {book.rules.base, book.rules.quote} and book.status == "trading":
                self.set_status(book.rules.symbol, "cancel_only")
        return ""

    def unfreeze(self, asset: str) -> str:
        self.frozen.discard(asset)
        return ""

    def set_status(self, market: str, status: str) -> None:
        rules = self.books[market].rules
        if status == "trading" and self.frozen & {rules.base, rules.quote}:
            raise RefusedError("asset_frozen")
        super().set_status(market, status)

    def _is_repeat(self, key: str, contents: object) -> bool:
        if key not in self.used:
            return False
        if self.used[key] != contents:
            raise RefusedError("business_key_reused")
        return True

    def _check_moves(self, kind: str, moves: tuple[Move, ...], *, first_of_two: bool) -> None:
        takes, gives, at_once, held_first, _ = KINDS[kind]
        if sum(amount for _, _, amount in moves) != 0 or not (held_first if first_of_two else at_once):
            raise RefusedError("invalid_transfer")
        for owner, asset, amount in moves:
            party = owner if owner in SYSTEM else "user"
            if party not in (takes if amount < 0 else gives).split():
                raise RefusedError("invalid_transfer")
            if kind == "withdrawal" and asset in self.frozen:
                raise RefusedError("asset_frozen")

    def _check_funds_of(self, moves: tuple[Move, ...]) -> None:
        for owner, asset, amount in moves:
            if amount < 0 and owner not in {"external", "house"} and self.available(owner, asset) < -amount:
                raise RefusedError("insufficient_funds")

    def _pending_hold(self, hold_key: str) -> Held:
        hold = self.holds.get(hold_key)
        if hold is None:
            raise RefusedError("transfer_not_found")
        if hold.end:
            raise RefusedError(HOW_IT_ENDED[hold.end])
        return hold

    def _end_hold(self, hold: Held, end: str) -> None:
        hold.end = end
        self.ends[end] = self.ends.get(end, 0) + 1

    def _make(self, moves: tuple[Move, ...]) -> None:
        for owner, asset, amount in moves:
            self._move(owner, asset, amount)
