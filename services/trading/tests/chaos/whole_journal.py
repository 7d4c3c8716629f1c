"""The journal, folded from nothing and judged; beside it what each order command did, as its order stood then."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from chassis.mongo import MongoConnection
from trading.domain.amounts import format_amount
from trading.domain.commands import AmendOrder, CancelOrder, PlaceOrder
from trading.domain.events import Event, OrderPlaced
from trading.domain.exchange import Exchange
from trading.domain.history import History
from trading.domain.invariants import check_all
from trading.domain.queries import balance
from trading.domain.queries import order as find_order
from trading.domain.state import ExchangeState
from trading.journal.batch import GENESIS_DIGEST, check_follows
from trading.journal.codec import Entry, decode_body
from trading.storage.journal import MongoJournal


class Effect(NamedTuple):
    """One command's: its order right after it, and what its user then had, as (available, held) by asset."""

    order_id: str
    status: str
    close_reason: str
    price: Decimal
    quantity: Decimal
    filled_quantity: Decimal
    balances: Mapping[str, tuple[Decimal, Decimal]]


@dataclass(frozen=True, slots=True)
class WholeJournal:
    exchange: Exchange
    events: list[Event]
    effects: Mapping[tuple[str, str], list[Effect]]  # by (user id, key)


async def read_whole_journal(mongo: MongoConnection) -> WholeJournal:
    """Folds and checks every batch: chain, invariants, history."""
    exchange, history = Exchange(), History()
    events: list[Event] = []
    effects: dict[tuple[str, str], list[Effect]] = defaultdict(list)
    number, digest = 0, GENESIS_DIGEST
    journal = MongoJournal(mongo)
    while batches := await journal.read_after(number, 64):
        for batch in batches:
            check_follows(batch, number=number, digest=digest)
            number, digest = batch.number, batch.digest
            for entry in decode_body(batch.body).entries:
                for event in entry.events:
                    exchange.apply(event)
                    history.feed(event)
                    events.append(event)
                history.end_command(postponed=any(m.postponed for m in exchange.state.markets.values()))
                if isinstance(entry.command, PlaceOrder | AmendOrder | CancelOrder):
                    name = (entry.command.actor.user_id, entry.command.idempotency_key)
                    effects[name].append(_effect(exchange.state, entry))
    violations = [*check_all(exchange.state), *history.compare(exchange.state)]
    assert violations == [], violations
    return WholeJournal(exchange, events, effects)


def _effect(state: ExchangeState, entry: Entry) -> Effect:
    if isinstance(entry.command, AmendOrder | CancelOrder):
        order_id = entry.command.order_id
    else:
        (order_id,) = (event.order_id for event in entry.events if isinstance(event, OrderPlaced))
    order = find_order(state, order_id)
    assert order is not None
    market = state.markets[order.market].market
    return Effect(
        order_id,
        order.status.value,
        order.close_reason.value if order.close_reason is not None else "",
        Decimal(format_amount(order.price, market.quote_scale)),
        Decimal(format_amount(order.quantity, market.base_scale)),
        Decimal(format_amount(order.filled_quantity, market.base_scale)),
        {asset: balance_of(state, order.user_id, asset) for asset in (market.base, market.quote)},
    )


def balance_of(state: ExchangeState, user_id: str, asset: str) -> tuple[Decimal, Decimal]:
    """(available, held)."""
    found, scale = balance(state, user_id, asset), state.assets[asset].scale
    return Decimal(format_amount(found.available, scale)), Decimal(format_amount(found.held, scale))
