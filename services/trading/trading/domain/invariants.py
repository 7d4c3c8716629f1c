"""The money invariants that a state shows by itself. Those that need the past are in `history.py`."""

from typing import NamedTuple

from trading.domain.accounts import MAY_BE_NEGATIVE, SYSTEM_OWNERS
from trading.domain.amounts import AMOUNT_MAX
from trading.domain.house import fresh_quotation, quotes
from trading.domain.issue import owed
from trading.domain.ledger import holds_for
from trading.domain.markets import BASIS_POINTS
from trading.domain.orders import Order, OrderStatus, Side
from trading.domain.settlement import required_hold
from trading.domain.state import ExchangeState, MarketState


class Violation(NamedTuple):
    invariant: str  # M1, M3, ... as in the invariants' table
    subject: str
    message: str


def check_all(state: ExchangeState) -> list[Violation]:
    """Empty when all is well. True at every committed state, that is, after every command."""
    found: list[Violation] = []
    _check_conservation(state, found)
    _check_accounts(state, found)
    _check_holds(state, found)
    for order in state.orders.values():
        check_order(state, order, found)
    for symbol, market_state in state.markets.items():
        _check_book(state, symbol, market_state, found)
    _check_expiries(state, found)
    _check_counters(state, found)
    return found


def _check_conservation(state: ExchangeState, found: list[Violation]) -> None:
    sums: dict[str, int] = {}
    for owner in state.owners.values():
        for asset, account in owner.accounts.items():
            sums[asset] = sums.get(asset, 0) + account.available + account.held
    found.extend(Violation("M1", asset, f"sums to {total}") for asset, total in sums.items() if total != 0)
    found.extend(
        Violation("M3", asset, f"{issued} are owed")
        for asset in sums
        if (issued := owed(state.owners, asset)) > AMOUNT_MAX
    )


def _check_accounts(state: ExchangeState, found: list[Violation]) -> None:
    for owner in state.owners.values():
        for asset, account in owner.accounts.items():
            subject = f"{owner.name}/{asset}"
            for name, amount in (("available", account.available), ("held", account.held)):
                if type(amount) is not int or abs(amount) > AMOUNT_MAX:
                    found.append(Violation("M3", subject, f"{name} is {amount!r}"))
                elif amount < 0 and (name == "held" or owner.name not in MAY_BE_NEGATIVE):
                    found.append(Violation("M3", subject, f"{name} is {amount}"))
            if asset not in state.assets:
                found.append(Violation("M3", subject, "no such asset"))


def _check_holds(state: ExchangeState, found: list[Violation]) -> None:
    expected: dict[tuple[str, str], int] = {}
    for order in state.orders.values():
        market = state.markets[order.market].market
        key = (order.owner, market.quote if order.side is Side.BUY else market.base)
        expected[key] = expected.get(key, 0) + order.hold
    for pending in state.pending_transfers.values():
        for owner_name, asset, amount in holds_for(pending.postings):
            expected[owner_name, asset] = expected.get((owner_name, asset), 0) + amount
    for owner in state.owners.values():
        for asset, account in owner.accounts.items():
            holds = expected.pop((owner.name, asset), 0)
            if account.held != holds:
                found.append(Violation("M4", f"{owner.name}/{asset}", f"held {account.held} instead of {holds}"))
    found.extend(
        Violation("M4", f"{owner}/{asset}", f"held nothing instead of {holds}")
        for (owner, asset), holds in expected.items()
        if holds != 0
    )
    found.extend(
        Violation("M5", order.order_id, f"{order.status} and holds {order.hold}")
        for order in state.closed_in_batch.values()
        if order.hold != 0
    )


def check_order(state: ExchangeState, order: Order, found: list[Violation]) -> None:
    """M5, M8, M9, M15 of one open order."""

    def violated(invariant: str, message: str) -> None:
        found.append(Violation(invariant, order.order_id, message))

    market = state.markets[order.market].market
    by_quantity = order.quantity > 0
    waits = order.status is OrderStatus.NEW
    if waits or (by_quantity and (order.price or order.side is Side.SELL)):
        required = required_hold(order, market)
        if order.hold != required:
            violated("M5", f"holds {order.hold} instead of {required}")
    elif order.hold <= 0:
        violated("M5", "holds nothing")
    if by_quantity and not 0 <= order.filled_quantity < order.quantity:
        violated("M8", f"filled {order.filled_quantity} of {order.quantity} and still open")
    if order.fees != -(-order.fee_numerator // BASIS_POINTS):
        violated("M15", f"paid {order.fees} for an exact fee of {order.fee_numerator}/{BASIS_POINTS}")
    expected = OrderStatus.PARTIALLY_FILLED if order.filled_quantity else OrderStatus.OPEN
    if order.status is not expected and not (waits and order.stop_price and not order.filled_quantity):
        violated("M9", f"is {order.status} with {order.filled_quantity} filled")
    owner = state.owners.get(order.owner)
    if owner is None or owner.orders.get(order.order_id) is not order:
        violated("M9", "is not among its owner's orders")
    market_state = state.markets[order.market]
    if [order.resting, waits, market_state.taking is order].count(True) != 1:
        violated("M9", "is not exactly one of in the book, waiting, taking")


def _check_book(state: ExchangeState, symbol: str, market_state: MarketState, found: list[Violation]) -> None:
    resting = 0
    for side, book in ((Side.BUY, market_state.bids), (Side.SELL, market_state.asks)):
        if book.keys != sorted(price * book.sign for price in book.levels):
            found.append(Violation("M10", symbol, f"the {side} prices are out of order"))
        for price, level in book.levels.items():
            resting += len(level)
            priorities = [order.priority for order in level.values()]
            if not priorities or priorities != sorted(set(priorities)):
                found.append(Violation("M10", symbol, f"level {price} is empty or out of order"))
            found.extend(
                Violation("M10", symbol, f"order {order.order_id} is at the wrong place")
                for order in level.values()
                if order.price != price or order.side is not side or order.order_id not in state.orders
            )
    if resting != sum(1 for order in state.orders.values() if order.resting and order.market == symbol):
        found.append(Violation("M10", symbol, "the book and the open orders differ"))
    _check_waiting(state, symbol, market_state, found)
    _check_uncrossed(state, symbol, market_state, found)
    house = market_state.market.house
    if house.levels and abs(market_state.house_position) > house.inventory_limit:
        found.append(Violation("M18", symbol, f"the house's position is {market_state.house_position}"))


def _check_waiting(state: ExchangeState, symbol: str, market_state: MarketState, found: list[Violation]) -> None:
    waiting = [
        *((order, 1) for order in market_state.waiting_for_a_rise.orders()),
        *((order, -1) for order in market_state.waiting_for_a_fall.orders()),
    ]
    expected = [order for order in state.orders.values() if order.status is OrderStatus.NEW and order.market == symbol]
    if len(waiting) != len(expected) or any(
        market_state.queue_of(order)[1] != order.stop_price * sign or state.orders.get(order.order_id) is not order
        for order, sign in waiting
    ):
        found.append(Violation("M10", symbol, "the waiting orders and their queues differ"))


def _check_expiries(state: ExchangeState, found: list[Violation]) -> None:
    expiring = list(state.expiries.orders())
    moments = [order.expires_milliseconds for order in expiring]
    expected = sum(1 for order in state.orders.values() if order.expires_milliseconds)
    if moments != sorted(moments) or len(expiring) != expected:
        found.append(Violation("M9", "expiries", "the expiring orders and their queue differ"))
    by_market: dict[str, list[Order]] = {symbol: [] for symbol in state.markets}
    for order in expiring:
        by_market[order.market].append(order)
    for symbol, mine in by_market.items():
        if list(state.markets[symbol].expiries.orders()) != mine:
            found.append(Violation("M9", symbol, "the expiring orders and their market's queue differ"))


def _check_uncrossed(state: ExchangeState, symbol: str, market_state: MarketState, found: list[Violation]) -> None:
    now = state.batch_milliseconds
    bids = [price for price in (market_state.bids.best_price,) if price is not None]
    asks = [price for price in (market_state.asks.best_price,) if price is not None]
    quotation = fresh_quotation(market_state.market, market_state.reference, now)
    if quotation is not None:
        bids += [price for price, _ in quotes(market_state, quotation, Side.BUY, now, clipped=True)]
        asks += [price for price, _ in quotes(market_state, quotation, Side.SELL, now, clipped=True)]
    if bids and asks and max(bids) >= min(asks):
        found.append(Violation("M12", symbol, f"best bid {max(bids)}, best ask {min(asks)}"))


def _check_counters(state: ExchangeState, found: list[Violation]) -> None:
    trades = sum(market.tape_sequence for market in state.markets.values())
    if trades != state.trade_number:
        found.append(Violation("M13", "tape", f"{trades} on the tapes, {state.trade_number} trades"))
    for name in SYSTEM_OWNERS:
        owner = state.owners.get(name)
        if owner is not None and (owner.sequence or owner.orders):
            found.append(Violation("M13", name, "a system account has orders or events"))
    found.extend(
        Violation("M13", owner.name, f"touched by batch {owner.last_batch} to come")
        for owner in state.owners.values()
        if owner.last_batch > state.batch_number
    )
