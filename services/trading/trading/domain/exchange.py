"""The exchange as the shell sees it: `decide` checks and computes, `evolve` alone changes state."""

from typing import NamedTuple

from trading.domain.commands import Command
from trading.domain.decide import decide
from trading.domain.events import Event
from trading.domain.evolve import evolve
from trading.domain.outcomes import Repeat
from trading.domain.state import ExchangeState, Limits


class Applied(NamedTuple):
    events: list[Event]


class Exchange:
    """Holds the state. Single-threaded: commands one at a time, each batch opened by `StartBatch`."""

    def __init__(self, state: ExchangeState | None = None, limits: Limits | None = None) -> None:
        self.state = state if state is not None else ExchangeState()
        if limits is not None:
            self.state.limits = limits

    def execute(self, command: Command) -> Applied | Repeat:
        """Decides and applies. Raises `ServiceError` for a refusal, with the state untouched.

        Any other exception is a bug: the state must then be thrown away and folded again.
        """
        decision = decide(self.state, command)
        if isinstance(decision, Repeat):
            return decision
        for event in decision:
            evolve(self.state, event)
        return Applied(decision)

    def apply(self, event: Event) -> None:
        """Folds one event from the journal."""
        evolve(self.state, event)
