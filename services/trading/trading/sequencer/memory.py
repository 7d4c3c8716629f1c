"""The exchange in memory together with the place in the journal that it stands at."""

from collections.abc import Iterable, Iterator

from trading.domain.events import BatchStarted, Event
from trading.domain.exchange import Exchange
from trading.domain.state import ExchangeState, Limits
from trading.journal.batch import GENESIS_DIGEST, SealedBatch, check_follows
from trading.journal.codec import decode_events
from trading.sequencer.old_keys import EvictedKeys
from trading.sequencer.snapshots import RestoredSnapshot


class Memory:
    """`number`, `digest`, `epoch` are of the newest batch known to be durable; the state may be one batch ahead."""

    def __init__(self, limits: Limits, snapshot: RestoredSnapshot | None = None) -> None:
        """Empty, or as the snapshot was taken."""
        self.exchange = Exchange(None if snapshot is None else snapshot.state, limits)
        self.evicted_keys = EvictedKeys() if snapshot is None else snapshot.evicted_keys
        self.number = 0 if snapshot is None else snapshot.batch
        self.digest = GENESIS_DIGEST if snapshot is None else snapshot.digest
        self.epoch = 0 if snapshot is None else snapshot.epoch

    @property
    def state(self) -> ExchangeState:
        return self.exchange.state

    def fold(self, batch: SealedBatch) -> None:
        """Applies one durable batch. Raises `BrokenChain` or `UnknownEventType`; the memory is then of no use."""
        for _ in self.steps(batch, decode_events(batch.body)):
            pass

    def steps(self, batch: SealedBatch, events: Iterable[Event]) -> Iterator[Event]:
        """The same with the batch's events, giving each right after it was applied."""
        check_follows(batch, number=self.number, digest=self.digest)
        for event in events:
            if type(event) is BatchStarted:
                self.evicted_keys.before_batch(self.state, event.keys_evicted_up_to)
            self.exchange.apply(event)
            yield event
        self.stand_at(batch)

    def stand_at(self, batch: SealedBatch) -> None:
        """The batch is durable and the state holds it."""
        self.number = batch.number
        self.digest = batch.digest
        self.epoch = max(self.epoch, batch.epoch)
