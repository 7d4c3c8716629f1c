"""The exchange's journal, in our words."""

from datetime import UTC

import grpc
from chassis.journal_consumer import Entry
from cryptovault.trading.v1 import events_pb2, trading_pb2, trading_pb2_grpc

from notifications.domain.order_fills import HOUSE, BatchFills, OrderFilled
from notifications.use_cases.ports import JournalPart

JOURNAL_DEADLINE_SECONDS = 5.0  # up to 4 MiB of batches, in no hurry
FILLED = "filled"


class TradingJournal:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = trading_pb2_grpc.TradingQueryServiceStub(channel)

    async def read(self, after: int, limit: int) -> JournalPart:
        response = await self._stub.ReadJournal(
            trading_pb2.ReadJournalRequest(after_batch=after, limit=limit), timeout=JOURNAL_DEADLINE_SECONDS
        )
        entries = [Entry(batch.number, batch.digest, fills_of(batch)) for batch in response.batches]
        return JournalPart(entries, at_end=not entries or entries[-1].number >= response.head)


def fills_of(batch: events_pb2.JournalBatch) -> BatchFills:
    """The orders that a batch filled to the end. Kinds of events that we do not know tell us nothing to mail about."""
    closed = [event.order_closed for event in batch.events if event.WhichOneof("event") == "order_closed"]
    return BatchFills(
        batch.time.ToDatetime(tzinfo=UTC),
        tuple(
            OrderFilled(
                order_id=order.order_id,
                user_id=order.user_id,
                market=order.market,
                side=order.side,
                quantity=order.filled_quantity,
                notional=order.filled_quote_quantity,
                average_price=order.average_price,
                fees=order.fees,
            )
            for order in closed
            if order.status == FILLED and order.user_id != HOUSE
        ),
    )
