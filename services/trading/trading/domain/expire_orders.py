"""Orders whose last moment has come are closed, before anything else happens at that time."""

from itertools import islice

from trading.domain.commands import ExpireOrders
from trading.domain.errors import ExpiriesDue
from trading.domain.orders import CloseReason, OrderStep
from trading.domain.outcomes import Decision
from trading.domain.settlement import Draft
from trading.domain.state import ExchangeState

EXPIRIES_PER_COMMAND = 500  # as many as a command may fill: keeps a batch below 1 MiB


def expire_orders(state: ExchangeState, _: ExpireOrders) -> Decision:
    """The oldest expiries first, in any market, also a halted one: time goes on. No events where none is due."""
    draft = Draft(state)
    for order in islice(state.expiries.up_to(state.batch_milliseconds), EXPIRIES_PER_COMMAND):
        draft.close(order, CloseReason.EXPIRED, None, OrderStep.EXPIRE)
    return draft.events


def check_no_expiry_due(state: ExchangeState) -> None:
    """Raises `ExpiriesDue`: whatever may trade comes after the expiries, or an order could trade after its own."""
    due = state.expiries.first_key
    if due is not None and due <= state.batch_milliseconds:
        raise ExpiriesDue
