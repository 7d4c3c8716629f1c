"""Orders whose last moment has come are closed, before anything else happens at that time."""

from itertools import islice

from trading.domain.commands import ExpireOrders
from trading.domain.errors import ExpiriesDue, UnknownMarket
from trading.domain.orders import CloseReason, OrderStep
from trading.domain.outcomes import Decision
from trading.domain.settlement import Draft
from trading.domain.state import ExchangeState, MarketState

EXPIRIES_PER_COMMAND = 500  # as many as a command may fill: keeps a batch below 1 MiB


def expire_orders(state: ExchangeState, command: ExpireOrders) -> Decision:
    """The oldest expiries first, also in a halted market: time goes on. No events where none is due."""
    expiries = state.expiries
    if command.market:
        market_state = state.markets.get(command.market)
        if market_state is None:
            raise UnknownMarket(market=command.market)
        expiries = market_state.expiries
    draft = Draft(state)
    for order in islice(expiries.up_to(state.batch_milliseconds), EXPIRIES_PER_COMMAND):
        draft.close(order, CloseReason.EXPIRED, None, OrderStep.EXPIRE)
    return draft.events


def check_no_expiry_due(market_state: MarketState, time_milliseconds: int) -> None:
    """Raises `ExpiriesDue`: whatever may trade comes after its market's expiries, or orders trade after theirs."""
    if market_state.has_expiry_due(time_milliseconds):
        raise ExpiriesDue
