"""A second set of books: what the lists of postings and holds add up to, kept beside a state and compared with it.

`evolve` moves money without these lists, so the two agree only where both are right (M6, M2).
"""

from trading.domain.accounts import user_of_owner
from trading.domain.events import Event
from trading.domain.invariants import Violation, check_order
from trading.domain.ledger import holds_for, holds_of, postings_of
from trading.domain.orders import Side
from trading.domain.state import ExchangeState, Owner

_Key = tuple[str, str]  # owner, asset


class Bookkeeping:
    """Begins with a state's balances; then feed it every event that the state folds."""

    def __init__(self, state: ExchangeState) -> None:
        # [sum of postings, sum of holds]: what there is, and what of it is held.
        self._books: dict[_Key, list[int]] = {
            (owner.name, asset): [account.available + account.held, account.held]
            for owner in state.owners.values()
            for asset, account in owner.accounts.items()
        }
        self._touched: dict[_Key, None] = {}
        self._unbalanced: list[Violation] = []

    def feed(self, event: Event) -> None:
        postings, holds = postings_of(event), holds_of(event)
        if postings:
            sums: dict[str, int] = {}
            for owner, asset, amount in postings:
                sums[asset] = sums.get(asset, 0) + amount
                self._book(owner, asset)[0] += amount
            for asset, total in sums.items():
                if total:
                    self._unbalanced.append(Violation("M2", asset, f"a {type(event).__name__} sums to {total}"))
        for owner, asset, amount in holds:
            self._book(owner, asset)[1] += amount

    def check_touched(self, state: ExchangeState) -> list[Violation]:
        """M2, M3, M4, M5, M6 for all that moved since this was last asked."""
        found, self._unbalanced = self._unbalanced, []
        touched, self._touched = self._touched, {}
        for owner, asset in touched:
            self._compare(state, owner, asset, found)
        for name in dict.fromkeys(owner for owner, _ in touched):
            known = state.owners.get(name)
            if known is not None:
                _check_owner(state, known, found)
        return found

    def check_everything(self, state: ExchangeState) -> list[Violation]:
        """M6 for every account there is, or should be."""
        found: list[Violation] = []
        accounts = {(owner.name, asset): None for owner in state.owners.values() for asset in owner.accounts}
        for owner, asset in accounts | dict.fromkeys(self._books):
            self._compare(state, owner, asset, found)
        return found

    def _book(self, owner: str, asset: str) -> list[int]:
        key = (owner, asset)
        self._touched[key] = None
        book = self._books.get(key)
        if book is None:
            book = self._books[key] = [0, 0]
        return book

    def _compare(self, state: ExchangeState, owner: str, asset: str, found: list[Violation]) -> None:
        posted, held = self._books.get((owner, asset), (0, 0))
        known = state.owners.get(owner)
        account = known.accounts.get(asset) if known is not None else None
        has = (0, 0) if account is None else (account.available + account.held, account.held)
        if has != (posted, held):
            message = f"has {has[0]}, of that {has[1]} held; its postings say {posted} and {held}"
            found.append(Violation("M6", f"{owner}/{asset}", message))


def _check_owner(state: ExchangeState, owner: Owner, found: list[Violation]) -> None:
    expected: dict[str, int] = {}
    for order in owner.orders.values():
        market = state.markets[order.market].market
        asset = market.quote if order.side is Side.BUY else market.base
        expected[asset] = expected.get(asset, 0) + order.hold
        check_order(state, order, found)
    for pending in owner.pending.values():
        for name, asset, amount in holds_for(pending.postings):
            if name == owner.name:
                expected[asset] = expected.get(asset, 0) + amount
    for asset, account in owner.accounts.items():
        if account.held != expected.get(asset, 0):
            message = f"held {account.held} instead of {expected.get(asset, 0)}"
            found.append(Violation("M4", f"{owner.name}/{asset}", message))
        if account.held < 0 or (account.available < 0 and user_of_owner(owner.name)):
            found.append(Violation("M3", f"{owner.name}/{asset}", f"{account.available}, {account.held} held"))


def assets_in_question(state: ExchangeState, violation: Violation) -> tuple[str, ...]:
    """The assets that a violation puts in doubt: that of an account; of an order what it holds; of a market its base,
    since a fault in one market says nothing of all that the quote asset is used for. All of them where nothing tells.
    """
    subject = violation.subject
    asset = subject.rpartition("/")[2]
    if asset in state.assets:
        return (asset,)
    if subject in state.markets:
        return (state.markets[subject].market.base,)
    order = state.orders.get(subject) or state.closed_in_batch.get(subject)
    if order is not None:
        market = state.markets[order.market].market
        return (market.quote if order.side is Side.BUY else market.base,)
    return tuple(sorted(state.assets))
