"""A seeded stream of transfers of both kinds, as services, operators and mistaken callers would send them."""

from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random

Move = tuple[str, str, Decimal]  # owner, asset, change

ASSETS = ("USD", "COIN", "DUST")
_RECENT = 5  # holds and keys that are used again: all within what memory holds


@dataclass(frozen=True)
class LedgerStep:
    """`kind`: transfer, hold, post, void, freeze, unfreeze."""

    kind: str
    key: str = ""
    transfer_kind: str = ""
    moves: tuple[Move, ...] = ()  # none in a post: all of what was held
    expires_in: int | None = None  # milliseconds from now
    hold_key: str = ""
    asset: str = ""


class LedgerGenerator:
    def __init__(self, random: Random, users: tuple[str, ...]) -> None:
        self._random = random
        self._users = users
        self._sent: list[LedgerStep] = []
        self._holds: list[LedgerStep] = []
        self._frozen = ""

    def step(self) -> LedgerStep:
        random = self._random
        choice = random.random()
        if choice < 0.06 and self._sent:
            return self._again()
        # A doubt does not last: while it does, nobody trades.
        if choice < (0.4 if self._frozen else 0.075):
            return self._doubt()
        if choice < 0.35:
            step = replace(self._first(("deposit", "user_transfer", "fee", "adjustment")), kind="transfer")
        elif choice < 0.65 or not self._holds:
            step = self._hold()
            self._holds.append(step)
        else:
            step = self._end()
        self._sent.append(step)
        return step

    def _key(self) -> str:
        return f"key-{len(self._sent)}-{self._random.randrange(10**6)}"

    def _first(self, kinds: tuple[str, ...]) -> LedgerStep:
        random = self._random
        kind = random.choice(kinds)
        payer, payee = random.sample(self._users, 2)
        debit = "external" if kind in {"deposit", "adjustment"} else payer
        credit = {"withdrawal": "external", "fee": "fees"}.get(kind, payee)
        asset = random.choice(ASSETS)
        amount = Decimal(random.choice((1, 33, 500, 123_456_789, 20_000_000_000))) / 10**8 * random.randint(1, 9)
        moves: list[Move] = [(debit, asset, -amount), (credit, asset, amount)]
        if kind in {"withdrawal", "user_transfer"} and random.random() < 0.5:
            charge = Decimal(random.choice((1, 7, 100_000))) / 10**8
            moves[0] = (debit, asset, -amount - charge)
            moves.append(("fees", asset, charge))
        mistake = random.random()
        if mistake < 0.02:
            moves[1] = (moves[1][0], asset, moves[1][2] + Decimal("0.00000001"))
        elif mistake < 0.04:
            moves[0] = ("house", asset, moves[0][2])
        return LedgerStep("", self._key(), kind, tuple(moves))

    def _hold(self) -> LedgerStep:
        step = self._first(("deposit", "withdrawal", "withdrawal", "user_transfer", "fee"))
        expires = self._random.choice((None, None, -1, 0, 400, 3_000))
        return replace(step, kind="hold", expires_in=expires)

    def _end(self) -> LedgerStep:
        random = self._random
        hold = random.choice(self._holds[-_RECENT:])
        if random.random() < 0.4:
            return LedgerStep("void", self._key(), hold_key=hold.key)
        moves: tuple[Move, ...] = ()
        if random.random() < 0.4:
            # A part of the first two moves; now and then more than was held.
            share = random.choice((Decimal("0.5"), Decimal("0.25"), Decimal(2)))
            part = hold.moves[1][2] * share
            part -= part % Decimal("0.00000001")
            owner, asset, _ = hold.moves[0]
            moves = ((owner, asset, -part), (hold.moves[1][0], asset, part)) if part else ()
        return LedgerStep("post", self._key(), moves=moves, hold_key=hold.key)

    def _again(self) -> LedgerStep:
        """A retry, or another movement under a key that was used."""
        random = self._random
        step = random.choice(self._sent[-_RECENT:])
        if random.random() < 0.7 or not step.moves:
            return step
        owner, asset, amount = step.moves[0]
        return replace(step, moves=((owner, asset, amount * 2), *step.moves[1:]))

    def _doubt(self) -> LedgerStep:
        if self._frozen:
            asset, self._frozen = self._frozen, ""
            return LedgerStep("unfreeze", asset=asset)
        self._frozen = "DUST"
        return LedgerStep("freeze", asset=self._frozen)
