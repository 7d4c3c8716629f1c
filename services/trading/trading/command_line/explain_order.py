"""`cryptovault exchange explain ORDER_ID`: the life of one order, as the journal tells it."""

from collections.abc import AsyncIterator, Mapping
from enum import Enum
from typing import Any

from trading.command_line.open_exchange import OpenExchange
from trading.command_line.report import Report
from trading.domain.amounts import format_amount
from trading.domain.commands import Continue
from trading.domain.events import Event, OrderPlaced, Traded, WorkFinished, WorkPostponed
from trading.domain.markets import Market
from trading.domain.moments import moment_text
from trading.domain.state import Limits
from trading.journal.batch import SealedBatch
from trading.journal.codec import Entry, decode_body
from trading.sequencer.recovery import recover
from trading.storage.cursors import ORDERS, Cursors
from trading.storage.documents import OrderDocument

# In quote minor units, in base minor units, in those of what the order holds; all else is told as it is.
_IN_QUOTE = {
    "price", "stop_price", "protection_price", "price_before", "reference_price", "notional", "quote_quantity", "fee",
}  # fmt: skip
_IN_BASE = {"quantity", "quantity_before", "house_consumed"}
_HELD = {"hold", "hold_change", "hold_reduction"}
# Told once, or of no meaning to people.
_LEFT_OUT = {"order_id", "market", "fingerprint", "actor", "user_id", "buyer", "seller", "base_asset", "quote_asset"}


async def explain_order(exchange: OpenExchange, report: Report, order_id: str) -> None:
    """Raises `BrokenChain`, `UnknownEventType`, `JournalUnreachable`, `UsageError` where there is no journal at all."""
    life: list[dict[str, str]] = []
    # For how many places its market's figures have.
    markets = (await recover(exchange.journal, Limits(), exchange.snapshots)).state.markets
    scales: dict[str, int] = {}
    async for batch in _batches_of(exchange, report, order_id):
        for entry in decode_body(batch.body).entries:
            for event in entry.events:
                if not _concerns(event, order_id):
                    continue
                if isinstance(event, OrderPlaced):
                    scales = _scales(event, markets[event.market].market)
                life.append(_step(batch, entry, event, order_id, scales))
    if not life:
        report.wrong(f"no order {order_id} in the journal")
    report.fact("order_id", order_id)
    report.fact("life", life)
    for step in life:
        facts = " ".join(f"{name}={value}" for name, value in step.items() if name not in {"time", "batch", "event"})
        report.line(f"{step['time']}  batch {step['batch']:>8}  {step['event']:<15} {facts}")


async def _batches_of(exchange: OpenExchange, report: Report, order_id: str) -> AsyncIterator[SealedBatch]:
    """Those that the order's row leads to, and all that its projection has not reached; the whole journal where there
    is no row.
    """
    # Before the row, which may be ahead of it then, but not behind: the projector goes on meanwhile.
    cursor = await Cursors(exchange.mongo.database).read(ORDERS)
    reached = 0
    row = await OrderDocument.get(order_id)
    if row is not None:
        reached = max(reached, cursor.batch)
        async for batch in _batches_named_by(row, exchange, reached):
            yield batch
    head = await exchange.head()
    with report.progress("searching the journal", max(0, head - reached)) as progress:
        async for batch in exchange.batches(reached, head):
            progress.update(1)
            yield batch


async def _batches_named_by(row: OrderDocument, exchange: OpenExchange, reached: int) -> AsyncIterator[SealedBatch]:
    """And what follows each, for as long as its market has postponed work: there the order may come to rest in a batch
    that has nothing else of it.
    """
    named = {row.placed_batch, row.batch, *(fill.batch for fill in row.fills)}
    named |= {amendment.batch for amendment in row.amendments} | {row.triggered_batch or row.placed_batch}
    number, postponed = 0, False
    for name in sorted(name for name in named if name <= reached):
        while number < name or (postponed and number < reached):
            number = number + 1 if postponed else name
            async for batch in exchange.batches(number - 1, number):
                postponed = _leaves_work(batch, row.trading_pair, postponed=postponed)
                yield batch


def _leaves_work(batch: SealedBatch, market: str, *, postponed: bool) -> bool:
    """`postponed`: whether the batch before did. Of a batch before which nobody looked the commands tell."""
    for command, events in decode_body(batch.body).entries:
        postponed = postponed or (isinstance(command, Continue) and command.market == market)
        for event in events:
            if isinstance(event, WorkPostponed | WorkFinished) and event.market == market:
                postponed = isinstance(event, WorkPostponed)
    return postponed


def _concerns(event: Event, order_id: str) -> bool:
    if isinstance(event, Traded):
        return order_id in {event.buyer.order_id, event.seller.order_id}
    return getattr(event, "order_id", None) == order_id


def _scales(placed: OrderPlaced, market: Market) -> dict[str, int]:
    """Of each figure of the order's events that is an amount."""
    held = market.quote_scale if placed.hold_asset == market.quote else market.base_scale
    return (
        dict.fromkeys(_IN_QUOTE, market.quote_scale)
        | dict.fromkeys(_IN_BASE, market.base_scale)
        | dict.fromkeys(_HELD, held)
    )


def _step(batch: SealedBatch, entry: Entry, event: Event, order_id: str, scales: Mapping[str, int]) -> dict[str, str]:
    step = {"time": moment_text(batch.time_milliseconds), "batch": str(batch.number), "event": type(event).__name__}
    step["by"] = type(entry.command).__name__
    actor = getattr(entry.command, "actor", None)
    if actor is not None:
        # Of a trade it is whoever took; a service that acts on its own has no user.
        step |= {"user": actor.user_id, "credential": actor.credential_id, "request": actor.request_id}
    if isinstance(event, OrderPlaced):
        step["market"] = event.market
    fields = event._asdict()
    if isinstance(event, Traded):
        side = event.buyer if event.buyer.order_id == order_id else event.seller
        fields |= side._asdict()
    for name, value in fields.items():
        if name not in _LEFT_OUT and value not in {None, ""}:
            step[name] = _text(value, scales.get(name))
    return step


def _text(value: Any, scale: int | None) -> str:
    if scale is not None:
        return format_amount(value, scale)
    return str(value.value) if isinstance(value, Enum) else str(value)
