"""The stream's own part: what is told when."""

import asyncio
from collections.abc import AsyncIterator

from chassis.testing import eventually
from cryptovault.trading.v1 import trading_pb2
from shell_factory import UNIT, MemoryJournal, running_shell
from trading.api.order_entry import OrderEntry
from trading.journal.batch import SealedBatch


def bid(number: int, price: str) -> trading_pb2.EnterOrdersRequest:
    return trading_pb2.EnterOrdersRequest(
        correlation_id=number,
        principal=trading_pb2.Principal(user_id="ann", session_id="s", request_id="r"),
        place_order=trading_pb2.PlaceOrder(
            market="BTC-USD", side="buy", type="limit", quantity="0.001", price=price, client_order_id="mine"
        ),
    )


async def test_nothing_is_taught_beside_a_refusal_before_it_is_durable() -> None:
    """Mended, the second is the first, whose batch is still on its way: it may yet turn out never to have been."""
    journal, gate = MemoryJournal(), asyncio.Event()
    answers: list[trading_pb2.EnterOrdersResponse] = []
    told_before: list[trading_pb2.EnterOrdersResponse] = []

    async def slow(batch: SealedBatch) -> None:
        await gate.wait()
        journal.store(batch)

    async with running_shell(journal) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        entry = OrderEntry(shell.sequencer, shell.time)
        journal.faults.append(slow)

        async def requests() -> AsyncIterator[trading_pb2.EnterOrdersRequest]:
            yield bid(1, "59000")
            await eventually(lambda: shell.state.order_number == 1)
            yield bid(2, "59000.0000000001")
            for _ in range(20):
                await asyncio.sleep(0)
            told_before.extend(answers)
            gate.set()

        async for answer in entry.serve(requests()):
            answers += [answer, *answer.further]
    assert told_before == []
    placed, refused = sorted(answers, key=lambda answer: answer.correlation_id)
    assert placed.result.order.id in refused.failure.details["no_suggestion"]
