"""The newest batch with a trade in each market, so that the tape is read no older than what the stream has told."""

from collections.abc import Sequence

from cryptovault.trading.v1 import trading_pb2 as pb


class NewestTrades:
    """Bounded by the markets there are. What was missed while the stream was broken is told by its next trade."""

    def __init__(self) -> None:
        self._batches: dict[str, int] = {}

    def take(self, batch: int, trades: Sequence[pb.PublicTrade]) -> None:
        for trade in trades:
            self._batches[trade.market] = batch

    def look_again(self) -> None:
        """Batches only grow: what was true stays a lower bound."""

    def batch(self, market: str) -> int:
        """0 where no trade has been seen."""
        return self._batches.get(market, 0)
