"""Reads for the shell. Amounts in minor units; what is returned is a copy, except orders (live records)."""

from typing import NamedTuple

from trading.domain.orders import Order
from trading.domain.state import ExchangeState


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
    raise NotImplementedError


def balance(state: ExchangeState, user_id: str, asset: str) -> Balance:
    raise NotImplementedError


def depth(state: ExchangeState, market: str, levels: int, *, time_milliseconds: int) -> Depth:
    """Users' orders and (while the reference is fresh at that time) the house's ladder. Raises `UnknownMarket`."""
    raise NotImplementedError


def order(state: ExchangeState, order_id: str) -> Order | None:
    """An open order, or one that ended in the current batch."""
    raise NotImplementedError


def user_cursor(state: ExchangeState, user_id: str) -> UserCursor:
    raise NotImplementedError


def markets_to_continue(state: ExchangeState) -> list[str]:
    """Markets with postponed work: enter `Continue` for them before their next orders."""
    raise NotImplementedError


def touches_house(state: ExchangeState, market: str, price: int) -> bool:
    """Would a reference at this price make a resting order trade? Then the tick must enter the journal."""
    raise NotImplementedError
