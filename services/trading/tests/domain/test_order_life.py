"""Every order's life, as the events tell it, is a walk through the one table."""

from collections.abc import Iterator

from command_generator import CommandGenerator
from test_reference_agreement import Pair
from trading.domain.events import Event, OrderAmended, OrderClosed, OrderPlaced, OrderTriggered, Traded
from trading.domain.orders import LIFE, TERMINAL, OrderStatus, OrderStep

COMMANDS = 6_000
_CLOSING = {
    OrderStatus.CANCELLED: OrderStep.CANCEL,
    OrderStatus.EXPIRED: OrderStep.EXPIRE,
    OrderStatus.REJECTED: OrderStep.REFUSE,
}


def steps_of(event: Event) -> Iterator[tuple[str, OrderStep, OrderStatus]]:
    """(order, what happened to it, its status then)."""
    if isinstance(event, OrderTriggered):
        yield event.order_id, OrderStep.TRIGGER, OrderStatus.OPEN
    elif isinstance(event, OrderAmended):
        yield event.order_id, OrderStep.AMEND, event.status
    elif isinstance(event, OrderClosed):
        yield event.order_id, _CLOSING[event.status], event.status
    elif isinstance(event, Traded):
        for side in (event.buyer, event.seller):
            if side.order_id:
                filled = side.status is OrderStatus.FILLED
                yield side.order_id, OrderStep.FILL_REST if filled else OrderStep.FILL_PART, side.status


def test_every_life_follows_the_table_and_every_row_of_the_table_is_lived() -> None:
    pair, generator = Pair(), CommandGenerator(21)
    for _ in range(COMMANDS):
        pair.run(generator.step(pair.naive.orders_placed))
    statuses: dict[str, OrderStatus] = {}
    lived: set[tuple[OrderStatus, OrderStep]] = set()
    for event in pair.bench.events:
        if isinstance(event, OrderPlaced):
            statuses[event.order_id] = OrderStatus.NEW if event.stop_price else OrderStatus.OPEN
        for order_id, step, status in steps_of(event):
            before = statuses[order_id]
            assert LIFE.get((before, step)) is status, (order_id, before, step, status)
            statuses[order_id] = status
            lived.add((before, step))
    assert set(LIFE) - lived == set()
    alive = {order_id for order_id, status in statuses.items() if status not in TERMINAL}
    assert alive == set(pair.bench.exchange.state.orders)


def test_nothing_follows_a_terminal_state_and_every_other_can_end() -> None:
    assert not [status for status, _ in LIFE if status in TERMINAL]
    alive = {OrderStatus.NEW, OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED}
    assert alive | set(TERMINAL) == set(OrderStatus)
    for status in alive:
        ends = {after for (before, _), after in LIFE.items() if before is status and after in TERMINAL}
        assert {OrderStatus.CANCELLED, OrderStatus.EXPIRED} <= ends
