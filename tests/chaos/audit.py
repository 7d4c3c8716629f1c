"""The exchange's journal, folded again from nothing and held against every money invariant."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from chassis.mongo import connect
from trading.domain.amounts import format_amount
from trading.domain.commands import AmendOrder, CancelOrder, PlaceOrder
from trading.domain.events import OrderPlaced
from trading.domain.history import History
from trading.domain.invariants import Violation, check_all
from trading.domain.queries import balance, balances
from trading.domain.queries import order as find_order
from trading.domain.state import ExchangeState, Limits
from trading.journal.codec import Entry, decode_body
from trading.sequencer.memory import Memory
from trading.storage.journal import MongoJournal

TRADING_DATABASE = "trading"
BATCHES_PER_READ = 256


class Effect(NamedTuple):
    """One command's: its order right after it, and what its user then had in the market's two assets, by asset."""

    order_id: str
    status: str
    price: Decimal
    quantity: Decimal
    filled_quantity: Decimal
    balances: Mapping[str, tuple[Decimal, Decimal]]  # (available, held)


@dataclass(frozen=True, slots=True)
class Audit:
    """What the journal says. `placed` has every order that was ever placed, as (user id, order id), in order; `effects`
    what was done under each key, by (user id, key).
    """

    state: ExchangeState
    placed: list[tuple[str, str]]
    effects: Mapping[tuple[str, str], list[Effect]]
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
        effects: dict[tuple[str, str], list[Effect]] = defaultdict(list)
        while batches := await journal.read_after(memory.number, BATCHES_PER_READ):
            for batch in batches:
                body = decode_body(batch.body)
                steps = memory.steps(batch, body.events)
                for entry in body.entries:
                    for event in entry.events:
                        history.feed(next(steps))
                        if isinstance(event, OrderPlaced):
                            placed.append((event.user_id, event.order_id))
                    if isinstance(entry.command, PlaceOrder | AmendOrder | CancelOrder):
                        name = (entry.command.actor.user_id, entry.command.idempotency_key)
                        effects[name].append(_effect(memory.state, entry))
                assert next(steps, None) is None  # which ends the batch
        violations = [*check_all(memory.state), *history.compare(memory.state)]
        return Audit(memory.state, placed, effects, violations, memory.number)
    finally:
        await connection.close()


def _effect(state: ExchangeState, entry: Entry) -> Effect:
    if isinstance(entry.command, AmendOrder | CancelOrder):
        order_id = entry.command.order_id
    else:
        (order_id,) = (event.order_id for event in entry.events if isinstance(event, OrderPlaced))
    order = find_order(state, order_id)
    assert order is not None
    market = state.markets[order.market].market

    def had(asset: str) -> tuple[Decimal, Decimal]:
        found, scale = balance(state, order.user_id, asset), state.assets[asset].scale
        return Decimal(format_amount(found.available, scale)), Decimal(format_amount(found.held, scale))

    return Effect(
        order_id,
        order.status.value,
        Decimal(format_amount(order.price, market.quote_scale)),
        Decimal(format_amount(order.quantity, market.base_scale)),
        Decimal(format_amount(order.filled_quantity, market.base_scale)),
        {asset: had(asset) for asset in (market.base, market.quote)},
    )
