"""The exchange as the shell sees it: `decide` checks and computes, `evolve` alone changes state."""

from trading.domain.commands import Command
from trading.domain.decide import DECIDERS
from trading.domain.events import Event
from trading.domain.evolve import EVOLVERS, evolve
from trading.domain.outcomes import Decision, Repeat
from trading.domain.state import ExchangeState, Limits


class Exchange:
    """Holds the state. Single-threaded: commands one at a time, each batch opened by `StartBatch`."""

    def __init__(self, state: ExchangeState | None = None, limits: Limits | None = None) -> None:
        self.state = state if state is not None else ExchangeState()
        if limits is not None:
            self.state.limits = limits

    def execute(self, command: Command) -> Decision:
        """Decides and applies: the events, or what the command repeats. Raises `ServiceError` for a refusal, with the
        state untouched.

        Any other exception is a bug: the state must then be thrown away and folded again.
        """
        state = self.state
        # Looked up here: through `decide` and `evolve`, each of them would be one call more.
        decision = DECIDERS[type(command)](state, command)
        if not isinstance(decision, Repeat):
            for event in decision:
                EVOLVERS[type(event)](state, event)
        return decision

    def apply(self, event: Event) -> None:
        """Folds one event from the journal."""
        evolve(self.state, event)
