"""The channel `trades`: one market's tape as it grows, at one shared cadence."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

from chassis.clock import Clock
from chassis.errors import RemoteBugError, RemoteError
from chassis.logs import get_logger
from cryptovault.trading.v1 import trading_pb2 as pb

from gateway.views.markets import trade_view
from gateway.views.times import datetime_text
from gateway.websocket.messages import TRADES, market_message
from gateway.websocket.outbox import Outbox

SNAPSHOT_TRADES = 50
_BEYOND_MAX = 200  # live trades that wait for the ones before them: as many as a page of the tape
_RETRY_SECONDS = 0.2

# Market, the last sequence known (0 for none), the batch that should be in the answer. Up to a page, newest first.
ReadTape = Callable[[str, int, int], Awaitable[Sequence[pb.PublicTrade]]]

log = get_logger(__name__)


class TradeChannel:
    """Trades come live from the exchange's stream. Where one is missing, by its sequence, the tape is read. Only
    markets with readers are kept.
    """

    def __init__(self, read_tape: ReadTape, clock: Clock, *, cadence_seconds: float) -> None:
        self._read_tape = read_tape
        self._clock = clock
        self._cadence_seconds = cadence_seconds
        self._tapes: dict[str, _MarketTape] = {}
        self._changed = asyncio.Event()

    def subscribe(self, market: str, outbox: Outbox) -> None:
        """The last trades as soon as they are known, then every further one. The market must exist."""
        tape = self._tapes.get(market)
        if tape is None:
            tape = self._tapes[market] = _MarketTape(market, self._now)
            self._fill(tape)
        tape.subscribers.add(outbox)
        if tape.seq:
            outbox.put_snapshot(tape.topic, tape.snapshot)

    def unsubscribe(self, market: str, outbox: Outbox) -> None:
        tape = self._tapes.get(market)
        if tape is None or outbox not in tape.subscribers:
            return
        tape.subscribers.discard(outbox)
        outbox.drop(tape.topic)
        if not tape.subscribers:
            del self._tapes[market]
            if tape.filling is not None:
                tape.filling.cancel()

    def take(self, batch: int, trades: Sequence[pb.PublicTrade]) -> None:
        """Live trades of one batch."""
        for trade in trades:
            tape = self._tapes.get(trade.market)
            if tape is None:
                continue
            if not tape.take(trade, batch):
                self._fill(tape)
            self._changed.set()

    def look_again(self) -> None:
        """The live stream broke or began."""
        for tape in self._tapes.values():
            self._fill(tape)

    async def run(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            for tape in tuple(self._tapes.values()):
                tape.flush()
            await asyncio.sleep(self._cadence_seconds)

    def stop(self) -> None:
        """Read nothing any more."""
        for tape in self._tapes.values():
            if tape.filling is not None:
                tape.filling.cancel()

    def _fill(self, tape: "_MarketTape") -> None:
        tape.suspect = True
        if tape.filling is None or tape.filling.done():
            tape.filling = asyncio.create_task(self._read(tape), name=f"tape-{tape.market}")

    async def _read(self, tape: "_MarketTape") -> None:
        while tape.suspect:
            tape.suspect = False
            try:
                found = await self._read_tape(tape.market, tape.newest if tape.seq else 0, tape.newest_batch)
            except (RemoteError, RemoteBugError) as error:
                log.warning("Tape cannot be read", event="tape_unreadable", market=tape.market, problem=str(error))
                tape.suspect = True
            else:
                tape.fill(found)
                self._changed.set()
            if tape.suspect:
                # The records lag behind the stream, or do not answer.
                await asyncio.sleep(_RETRY_SECONDS)

    def _now(self) -> str:
        return datetime_text(self._clock.now())


class _MarketTape:
    """Everything up to the sequence `newest` is known. Live trades beyond a gap wait until it is filled."""

    def __init__(self, market: str, now: Callable[[], str]) -> None:
        self.market = market
        self.topic = f"{TRADES}:{market}"
        self.seq = 0  # 0 until the first snapshot
        self.newest = 0
        self.newest_batch = 0
        self.suspect = False  # there may be trades that no live message will bring
        self.subscribers: set[Outbox] = set()
        self.filling: asyncio.Task[None] | None = None
        self._now = now
        self._recent: deque[dict[str, Any]] = deque(maxlen=SNAPSHOT_TRADES)
        self._pending: list[dict[str, Any]] = []
        self._beyond: deque[pb.PublicTrade] = deque(maxlen=_BEYOND_MAX)

    def take(self, trade: pb.PublicTrade, batch: int) -> bool:
        """False where trades before it are missing."""
        self.newest_batch = max(self.newest_batch, batch)
        if self.seq and trade.sequence <= self.newest:
            return True
        if self.seq and trade.sequence == self.newest + 1:
            self._append(trade)
            return True
        self._beyond.append(trade)
        return False

    def fill(self, found: Sequence[pb.PublicTrade]) -> None:
        """Takes a page of the tape, newest first. Suspect again where it does not reach the live trades."""
        older = list(reversed(found))
        # What readers have does not lead to the first page, nor to one that leaves some out: they begin anew.
        begins = not self.seq or (bool(older) and older[0].sequence > self.newest + 1)
        if begins:
            self._recent.clear()
            self.newest = older[0].sequence - 1 if older else 0
        for trade in (*older, *self._beyond):
            if trade.sequence == self.newest + 1:
                self._append(trade)
        if begins:
            self._pending.clear()
            self.seq += 1
            for outbox in self.subscribers:
                outbox.put_snapshot(self.topic, self.snapshot)
        while self._beyond and self._beyond[0].sequence <= self.newest:
            self._beyond.popleft()
        self.suspect = self.suspect or bool(self._beyond)

    def flush(self) -> None:
        if not self._pending:
            return
        self.seq += 1
        text = self._message("update", self._pending)
        self._pending = []
        for outbox in self.subscribers:
            outbox.put_update(self.topic, text, self.snapshot)

    def snapshot(self) -> str:
        """Oldest first. What waits for the next update is told by it, not here as well."""
        known = len(self._recent) - len(self._pending)
        return self._message("snapshot", list(self._recent)[: max(0, known)])

    def _append(self, trade: pb.PublicTrade) -> None:
        view = trade_view(trade)
        self.newest = trade.sequence
        self._recent.append(view)
        self._pending.append(view)

    def _message(self, kind: Literal["snapshot", "update"], trades: list[dict[str, Any]]) -> str:
        return market_message(TRADES, self.market, seq=self.seq, kind=kind, time=self._now(), data=trades)
