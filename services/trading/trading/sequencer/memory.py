"""The exchange in memory together with the place in the journal that it stands at."""

from trading.domain.events import BatchStarted
from trading.domain.exchange import Exchange
from trading.domain.state import ExchangeState, Limits
from trading.journal.batch import GENESIS_DIGEST, SealedBatch, check_follows
from trading.journal.codec import decode_events
from trading.sequencer.old_keys import EvictedKeys


class Memory:
    """`number`, `digest`, `epoch` are of the newest batch known to be durable; the state may be one batch ahead."""

    def __init__(self, limits: Limits) -> None:
        self.exchange = Exchange(limits=limits)
        self.evicted_keys = EvictedKeys()
        self.number = 0
        self.digest = GENESIS_DIGEST
        self.epoch = 0

    @property
    def state(self) -> ExchangeState:
        return self.exchange.state

    def fold(self, batch: SealedBatch) -> None:
        """Applies one durable batch. Raises `BrokenChain` or `UnknownEventType`; the memory is then of no use."""
        check_follows(batch, number=self.number, digest=self.digest)
        for event in decode_events(batch.body):
            if type(event) is BatchStarted:
                self.evicted_keys.before_batch(self.state, event.keys_evicted_up_to)
            self.exchange.apply(event)
        self.stand_at(batch)

    def stand_at(self, batch: SealedBatch) -> None:
        """The batch is durable and the state holds it."""
        self.number = batch.number
        self.digest = batch.digest
        self.epoch = max(self.epoch, batch.epoch)
