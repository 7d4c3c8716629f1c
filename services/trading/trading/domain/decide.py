"""Checks a command against the state and computes what happens. Changes nothing."""

from trading.domain.commands import Command
from trading.domain.outcomes import Decision
from trading.domain.state import ExchangeState


def decide(state: ExchangeState, command: Command) -> Decision:
    """Raises `ServiceError` for a refusal; nothing is written then."""
    raise NotImplementedError
