"""Applies events. Holds no rules: it does what the event says, whatever today's rules would have said."""

from trading.domain.events import Event
from trading.domain.state import ExchangeState


def evolve(state: ExchangeState, event: Event) -> None:
    raise NotImplementedError
