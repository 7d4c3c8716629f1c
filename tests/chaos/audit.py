"""The exchange's journal, folded again from nothing and held against every money invariant."""

from dataclasses import dataclass

from chassis.mongo import connect
from trading.domain.amounts import format_amount
from trading.domain.events import OrderPlaced
from trading.domain.history import History
from trading.domain.invariants import Violation, check_all
from trading.domain.queries import balances
from trading.domain.state import ExchangeState, Limits
from trading.journal.codec import decode_events
from trading.sequencer.memory import Memory
from trading.storage.journal import MongoJournal

TRADING_DATABASE = "trading"
BATCHES_PER_READ = 256


@dataclass(frozen=True, slots=True)
class Audit:
    """What the journal says. `placed` has every order that was ever placed, as (user id, order id), in order."""

    state: ExchangeState
    placed: list[tuple[str, str]]
    violations: list[Violation]
    batches: int

    def balances_of(self, user_id: str) -> dict[str, tuple[str, str]]:
        """(available, held) by asset, as decimal strings."""
        return {
            balance.asset: tuple(
                format_amount(units, self.state.assets[balance.asset].scale)
                for units in (balance.available, balance.held)
            )
            for balance in balances(self.state, user_id)
        }


async def audit(journal_url: str) -> Audit:
    """Reads the whole journal. Raises `BrokenChain` where it does not follow from itself."""
    connection = connect(journal_url, TRADING_DATABASE)
    try:
        journal = MongoJournal(connection)
        memory, history = Memory(Limits()), History()
        placed: list[tuple[str, str]] = []
        while batches := await journal.read_after(memory.number, BATCHES_PER_READ):
            for batch in batches:
                for event in decode_events(batch.body):
                    history.feed(event)
                    if isinstance(event, OrderPlaced):
                        placed.append((event.user_id, event.order_id))
                memory.fold(batch)
        violations = [*check_all(memory.state), *history.compare(memory.state)]
        return Audit(state=memory.state, placed=placed, violations=violations, batches=memory.number)
    finally:
        await connection.close()
