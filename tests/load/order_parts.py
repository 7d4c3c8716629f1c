"""Where trading's CPU goes: each step that an order takes through the process, run by itself on batches of 64 orders.

What the process spends above the sum of these is gRPC, the event loop and the database driver.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any, TypeVar

from cryptovault.trading.v1 import trading_pb2
from trading.api import parsing
from trading.api.order_entry import fill_order_result
from trading.api.watch import watch_message
from trading.domain.accounts import Posting
from trading.domain.commands import Actor, SetAsset, SetMarket, SetReferencePrice, Transfer
from trading.domain.default_markets import default_assets
from trading.domain.outcomes import Repeat
from trading.domain.state import ExchangeState, Limits
from trading.journal.codec import encode_entry
from trading.sequencer.memory import Memory
from trading.sequencer.open_batch import FinishedBatch, OpenBatch
from trading.sequencer.outcomes import committed_now
from trading.sequencer.tickets import Committed

from tests.load.mixed_stream import listed_markets
from tests.load.order_stream import PEOPLE, order_request, person_id
from tests.load.table import Row

BATCHES = 120
ORDERS_PER_BATCH = 64
BATCH_MILLISECONDS = 10
_START = 1_767_225_600_000
_MONEY = 10**15
_OPERATOR = Actor("", "bench", "bench")
_MICRO = 1e6

T = TypeVar("T")


def part_rows() -> list[Row]:
    """The median over the batches, in µs of CPU per order: market orders, each one trade with the house."""
    parts = _Parts()
    for number in range(BATCHES):
        parts.batch(number)
    return [
        Row(name=f"CPU per order in trading, {name}", value=median(seconds) * _MICRO, unit="µs")
        for name, seconds in parts.seconds.items()
    ]


class _Parts:
    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}
        self._memory = Memory(Limits())
        self._time = _START
        opening = OpenBatch(self._memory, self._time)
        for asset in default_assets():
            opening.run(SetAsset(_OPERATOR, asset, "bench"))
            for person in range(PEOPLE):
                owner = f"user:{person_id(person)}"
                postings = (Posting("external", asset.code, -_MONEY), Posting(owner, asset.code, _MONEY))
                key = f"practice:{person}:{asset.code}"
                opening.run(Transfer(_OPERATOR, key, "practice_money", postings))
        for listed in listed_markets():
            opening.run(SetMarket(_OPERATOR, listed.rules, "bench"))
        self._seal(opening, opening.finish())

    @property
    def state(self) -> ExchangeState:
        return self._memory.state

    def batch(self, number: int) -> None:
        self._time += BATCH_MILLISECONDS
        batch = OpenBatch(self._memory, self._time)
        for listed in listed_markets():
            price = (listed.rules.symbol, listed.reference, "simulator", self._time, self._time)
            batch.run(SetReferencePrice(*price))
        wire = [
            order_request(number * ORDERS_PER_BATCH + index, "parts").SerializeToString()
            for index in range(ORDERS_PER_BATCH)
        ]
        commands = self._timed("message to command", lambda: [self._command(one) for one in wire])
        outcomes = self._timed("decide, apply and encode", lambda: [batch.run(command) for command in commands])
        done = [outcome for outcome in outcomes if not isinstance(outcome, Repeat)]
        encoding = self._spent(lambda: [encode_entry(*pair) for pair in zip(commands, done, strict=True)])
        self.seconds.setdefault("of which encode", []).append(encoding / ORDERS_PER_BATCH)
        finished = self._timed("finish and seal the batch", lambda: self._seal(batch, batch.finish()))
        committed = [
            committed_now(self.state, command, events, batch=batch.number, time_milliseconds=self._time)
            for command, events in zip(commands, done, strict=True)
        ]
        self._timed("reply", lambda: [self._reply(one) for one in committed])
        self._timed("event for who watches", lambda: watch_message(finished, self.state).SerializeToString())

    def _command(self, wire: bytes) -> Any:
        request = trading_pb2.EnterOrdersRequest.FromString(wire)
        principal = request.principal
        actor = Actor(principal.user_id, principal.session_id, principal.request_id, principal.address)
        return parsing.place_order(request.place_order, self.state, actor, request.idempotency_key)

    def _reply(self, committed: Committed) -> bytes:
        response = trading_pb2.EnterOrdersResponse()
        fill_order_result(response.result, committed, self.state)
        return response.SerializeToString()

    def _seal(self, batch: OpenBatch, finished: FinishedBatch) -> FinishedBatch:
        self._memory.stand_at(batch.seal(finished, epoch=1, writer="bench"))
        return finished

    def _timed(self, name: str, work: Callable[[], T]) -> T:
        found: list[T] = []
        spent = self._spent(lambda: found.append(work()))
        self.seconds.setdefault(name, []).append(spent / ORDERS_PER_BATCH)
        return found[0]

    def _spent(self, work: Callable[[], object]) -> float:
        begun = time.process_time()
        work()
        return time.process_time() - begun
