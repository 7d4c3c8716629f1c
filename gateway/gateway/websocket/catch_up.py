"""Reading what a private channel missed, and where a new one begins."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chassis.errors import ErrorKind, RemoteError
from cryptovault.trading.v1 import trading_pb2 as pb

from gateway.schemas.fields import PAGE_SIZE_MAX
from gateway.views.trading import balance_view, order_view

if TYPE_CHECKING:
    from cryptovault.trading.v1.trading_pb2_grpc import (  # exist for type checkers only
        TradingQueryServiceAsyncStub,
        TradingServiceAsyncStub,
    )

_SNAPSHOT_PAGES_MAX = 10  # 2,000 open orders; nobody may have more


@dataclass(frozen=True, slots=True)
class Beginning:
    """A channel's state as of one of its user's events, which is in that batch."""

    sequence: int
    batch: int
    data: list[dict[str, Any]]


class CatchUp:
    """All calls are made in the name of the current caller."""

    def __init__(self, queries: "TradingQueryServiceAsyncStub", trading: "TradingServiceAsyncStub") -> None:
        self._queries = queries
        self._trading = trading

    async def newest(self) -> tuple[int, int]:
        """The sequence of the newest event there is, from the exchange's memory, and the batch that holds it."""
        balances = await self._trading.GetBalances(pb.GetBalancesRequest())
        return balances.sequence, balances.batch

    async def beginning(self, channel: str) -> Beginning:
        """The state to show first. It holds at least everything up to its sequence; an order may already be newer."""
        balances = await self._trading.GetBalances(pb.GetBalancesRequest())
        data: list[dict[str, Any]] = []
        if channel == "balances":
            data = [balance_view(balance) for balance in balances.balances]
        elif channel == "orders":
            data = await self._open_orders(balances.batch)
        return Beginning(balances.sequence, balances.batch, data)

    async def events(self, *, after: int, at_least_batch: int) -> tuple[list[pb.UserEvent], bool]:
        """The next page of events, and whether there are more."""
        answer = await self._queries.ListUserEvents(
            pb.ListUserEventsRequest(after_sequence=after, limit=PAGE_SIZE_MAX, at_least_batch=at_least_batch)
        )
        return list(answer.events), answer.more

    async def _open_orders(self, batch: int) -> list[dict[str, Any]]:
        orders: list[dict[str, Any]] = []
        cursor = ""
        for _ in range(_SNAPSHOT_PAGES_MAX):
            answer = await self._queries.ListOrders(
                pb.ListOrdersRequest(status="open", limit=PAGE_SIZE_MAX, cursor=cursor, at_least_batch=batch)
            )
            if answer.behind:
                # Orders of before the snapshot's number would be missing from it, and no event would bring them.
                raise RemoteError(
                    kind=ErrorKind.UNAVAILABLE,
                    reason="history_behind",
                    message="The open orders cannot be listed just now; subscribe again.",
                )
            orders += [order_view(order) for order in answer.orders]
            cursor = answer.next_cursor
            if not cursor:
                break
        return orders
