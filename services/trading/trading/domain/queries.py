"""Reads for the shell. Amounts in minor units; what is returned is a copy, except orders (live records)."""

from itertools import islice
from typing import NamedTuple

from trading.domain.accounts import owner_of_user
from trading.domain.commands import SetReferencePrice
from trading.domain.errors import UnknownMarket
from trading.domain.events import ReferencePriceSet
from trading.domain.house import crossed_orders, fresh_quotation, quotes
from trading.domain.orders import Order, Side
from trading.domain.set_reference_price import jump
from trading.domain.state import ExchangeState, MarketState, Quotation
from trading.domain.triggers import first_reached


class Balance(NamedTuple):
    asset: str
    available: int
    held: int


class Level(NamedTuple):
    price: int
    quantity: int


class Depth(NamedTuple):
    bids: list[Level]  # best first
    asks: list[Level]


class UserCursor(NamedTuple):
    batch: int  # the newest batch that concerned the user; 0 for none
    sequence: int  # the user's newest event; 0 for none


def balances(state: ExchangeState, user_id: str) -> list[Balance]:
    """Every asset the user ever had, in the order of their codes."""
    owner = state.owners.get(owner_of_user(user_id))
    if owner is None:
        return []
    return [Balance(asset, account.available, account.held) for asset, account in sorted(owner.accounts.items())]


def balance(state: ExchangeState, user_id: str, asset: str) -> Balance:
    owner = state.owners.get(owner_of_user(user_id))
    account = owner.accounts.get(asset) if owner is not None else None
    return Balance(asset, account.available, account.held) if account is not None else Balance(asset, 0, 0)


def depth(state: ExchangeState, market: str, levels: int, *, time_milliseconds: int) -> Depth:
    """Users' orders and the house's ladder, while the market trades and the reference is fresh at that time.

    Raises `UnknownMarket`.
    """
    market_state = state.markets.get(market)
    if market_state is None:
        raise UnknownMarket(market=market)
    quotation = None
    if market_state.trades_at(time_milliseconds):
        quotation = fresh_quotation(market_state.market, market_state.reference, time_milliseconds)
    return Depth(
        _merged(market_state, quotation, Side.BUY, levels, time_milliseconds),
        _merged(market_state, quotation, Side.SELL, levels, time_milliseconds),
    )


def order(state: ExchangeState, order_id: str) -> Order | None:
    """An open order, or one that ended in the current batch."""
    return state.orders.get(order_id) or state.closed_in_batch.get(order_id)


def user_cursor(state: ExchangeState, user_id: str) -> UserCursor:
    owner = state.owners.get(owner_of_user(user_id))
    return UserCursor(owner.last_batch, owner.sequence) if owner is not None else UserCursor(0, 0)


def markets_to_continue(state: ExchangeState) -> list[str]:
    """Markets with postponed work: enter `Continue` for them before their next orders."""
    return [symbol for symbol in state.markets if symbol in state.at_work] if state.at_work else []


def orders_are_due(state: ExchangeState, time_milliseconds: int) -> bool:
    """Has an order's last moment come? Then enter `ExpireOrders` in its market before anything that may trade there."""
    due = state.expiries.first_key
    return due is not None and due <= time_milliseconds


def reference_matters(state: ExchangeState, tick: SetReferencePrice, *, time_milliseconds: int) -> bool:
    """Would this tick make a resting order trade, trigger a waiting one, or pause the market? Then it must enter the
    journal now.
    """
    market_state = state.markets.get(tick.market)
    if market_state is None or not market_state.trades_at(time_milliseconds):
        return False
    if jump(market_state, tick, time_milliseconds) is not None:
        return True
    reference = ReferencePriceSet(
        tick.market, tick.price, tick.source, tick.source_milliseconds, tick.received_milliseconds
    )
    return first_reached(market_state, reference, time_milliseconds) is not None or _crosses(
        market_state, reference, time_milliseconds
    )


def transfers_are_due(state: ExchangeState, time_milliseconds: int) -> bool:
    """Has a held transfer expired by that time? Then `ExpireTransfers` is to be entered."""
    return bool(state.expiring_transfers) and state.expiring_transfers[0][0] <= time_milliseconds


def _crosses(market_state: MarketState, reference: ReferencePriceSet, time_milliseconds: int) -> bool:
    """Would it make a resting order trade? A stale one does not: it would enter again with every beat of the stream."""
    if not (market_state.bids.keys or market_state.asks.keys):
        return False
    quotation = fresh_quotation(market_state.market, reference, time_milliseconds)
    return quotation is not None and next(crossed_orders(market_state, quotation, time_milliseconds), None) is not None


def _merged(
    market_state: MarketState, quotation: Quotation | None, side: Side, levels: int, time_milliseconds: int
) -> list[Level]:
    book = market_state.bids if side is Side.BUY else market_state.asks
    by_price = dict(book.depth(levels))
    if quotation is not None:
        for price, quantity in islice(quotes(market_state, quotation, side, time_milliseconds, clipped=True), levels):
            by_price[price] = by_price.get(price, 0) + quantity
    best_first = sorted(by_price.items(), reverse=side is Side.BUY)
    return [Level(price, quantity) for price, quantity in best_first[:levels]]
