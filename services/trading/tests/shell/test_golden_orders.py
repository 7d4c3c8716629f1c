"""A journal with every event of orders that wait, expire and are amended, as first written, still means the same."""

from pathlib import Path

from trading.domain.exchange import Exchange
from trading.domain.history import History
from trading.domain.invariants import check_all
from trading.domain.orders import CloseReason, OrderStatus, OrderType
from trading.journal.codec import decode_body

GOLDEN = Path(__file__).parent / "golden" / "orders_v1.jsonl"
UNIT = 10**8


def test_the_first_orders_that_waited_still_fold_to_the_same_orders_and_balances() -> None:
    exchange, history = Exchange(), History()
    names, reasons = set(), set()
    for line in GOLDEN.read_bytes().splitlines():
        for event in decode_body(line).events:
            exchange.apply(event)
            history.feed(event)
            names.add(type(event).__name__)
            reasons.add(getattr(event, "reason", None))
    state = exchange.state
    assert {"OrderPlaced", "OrderTriggered", "OrderAmended", "OrderClosed", "KeyUsed", "WorkFinished"} <= names
    assert {CloseReason.EXPIRED, CloseReason.FILL_OR_KILL_UNFILLED} <= reasons
    assert check_all(state) == []
    assert history.compare(state) == []
    open_orders = [
        (order.order_type, order.status, order.price // UNIT, order.quantity, order.priority, order.amendments)
        for order in state.orders.values()
    ]
    assert open_orders == [
        (OrderType.STOP_LIMIT, OrderStatus.OPEN, 60_200, 1_000_000, 10, 0),
        (OrderType.TAKE_PROFIT, OrderStatus.NEW, 0, 500_000, 5, 0),
        (OrderType.LIMIT, OrderStatus.OPEN, 59_700, 500_000, 8, 2),
    ]
    dollars, coins = (state.owners["user:ann"].accounts[asset] for asset in ("USD", "BTC"))
    assert (dollars.available, dollars.held, coins.available, coins.held) == (788868279400, 90230100000, 2000000, 0)
    assert state.owners["user:ann"].sequence == 14
