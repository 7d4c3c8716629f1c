"""Keys that left memory: which commands may carry one, and what it stood for.

A Bloom filter holds every key that was evicted and still counts, so one that is neither in memory nor in the filter is
new, for sure and without a question to the database. The others are looked up in the projection.
"""

import struct
from collections.abc import Iterator
from typing import Self

from trading.domain.accounts import owner_of_user
from trading.domain.commands import (
    AmendOrder,
    CancelAll,
    CancelOrder,
    Command,
    HoldTransfer,
    KeyedChange,
    PlaceOrder,
    PostTransfer,
    Transfer,
    VoidTransfer,
)
from trading.domain.keys import ORDER_KEY_SECONDS
from trading.domain.state import ExchangeState, KeyName
from trading.sequencer.bloom_filter import BITS_DEFAULT, Layer, LayeredFilter

# What `content` begins with: its form, the newest evicted batch, the bits of a layer, how many layers of each filter;
# then each layer's keys and newest time, then each layer's bits.
_FORM = b"evicted2"
_HEAD = struct.Struct(">8sQIHH")
_LAYER = struct.Struct(">QQ")


def key_names(command: Command) -> list[tuple[str, KeyName]]:
    """(kind, name) of the keys a command carries, as `RememberedKeys` files them."""
    if isinstance(command, PlaceOrder):
        owner = owner_of_user(command.actor.user_id)
        names = []
        if command.idempotency_key:
            names.append(("idempotency", (owner, command.idempotency_key)))
        if command.client_order_id:
            names.append(("client_order", (owner, command.client_order_id)))
        return names
    if isinstance(command, AmendOrder | CancelOrder | CancelAll | KeyedChange):
        if not command.idempotency_key:
            return []
        return [("idempotency", (owner_of_user(command.actor.user_id), command.idempotency_key))]
    if isinstance(command, Transfer | HoldTransfer):
        return [("business", ("", command.business_key))]
    if isinstance(command, PostTransfer | VoidTransfer):
        return [("business", ("", command.business_key)), ("ended_hold", ("", command.hold_key))]
    return []


class EvictedKeys:
    """The filters, kept in step with what the exchange forgets."""

    def __init__(self, bits: int = BITS_DEFAULT) -> None:
        """`bits` of each layer of a filter."""
        self._bits = bits
        self.up_to = 0  # the newest batch whose keys left memory
        # Two, since order keys are free again after a day and then leave the filter too.
        self._for_a_day = LayeredFilter(bits)
        self._for_ever = LayeredFilter(bits)

    @classmethod
    def restored(cls, content: bytes) -> Self:
        """From what `content` gave. Raises `ValueError` for anything else."""
        try:
            form, up_to, bits, for_a_day, for_ever = _HEAD.unpack_from(content)
            facts = list(_LAYER.iter_unpack(content[_HEAD.size : _HEAD.size + _LAYER.size * (for_a_day + for_ever)]))
        except struct.error as error:
            raise ValueError(str(error)) from error
        first, size = _HEAD.size + _LAYER.size * len(facts), bits // 8
        if form != _FORM or size == 0 or bits & (bits - 1) or len(content) != first + size * len(facts):
            raise ValueError("not a filter of evicted keys, or of another form")
        layers = [
            Layer(bytearray(content[first + index * size : first + (index + 1) * size]), keys, newest)
            for index, (keys, newest) in enumerate(facts)
        ]
        evicted = cls(bits)
        evicted.up_to = up_to
        evicted._for_a_day = LayeredFilter(bits, layers[:for_a_day])
        evicted._for_ever = LayeredFilter(bits, layers[for_a_day:])
        return evicted

    @property
    def content(self) -> bytes:
        """All of it, for a snapshot."""
        head = _HEAD.pack(_FORM, self.up_to, self._bits, len(self._for_a_day.layers), len(self._for_ever.layers))
        layers = list(self._layers())
        facts = [_LAYER.pack(layer.keys, layer.newest_milliseconds) for layer in layers]
        return b"".join([head, *facts, *(layer.content for layer in layers)])

    def before_batch(self, state: ExchangeState, evicted_up_to: int) -> None:
        """To be called before a `BatchStarted` is applied: notes the keys that it makes the exchange forget."""
        now = state.batch_milliseconds
        for batch, kind, name in state.keys.by_age:
            if batch > evicted_up_to:
                break
            self._filter_of(kind).add(_text(kind, name), now)
        self._for_a_day.drop_older_than(now - 1000 * ORDER_KEY_SECONDS)
        self.up_to = max(self.up_to, evicted_up_to)

    def may_hold_a_key_of(self, state: ExchangeState, command: Command) -> bool:
        """True where a key of the command may have been used in a batch that memory no longer covers."""
        if not self._for_a_day.layers and not self._for_ever.layers:
            return False
        memory = state.keys.by_kind
        return any(
            name not in memory[kind] and _text(kind, name) in self._filter_of(kind) for kind, name in key_names(command)
        )

    def _filter_of(self, kind: str) -> LayeredFilter:
        return self._for_a_day if kind in {"idempotency", "client_order"} else self._for_ever

    def _layers(self) -> Iterator[Layer]:
        yield from self._for_a_day.layers
        yield from self._for_ever.layers


def _text(kind: str, name: KeyName) -> str:
    return f"{kind}\n{name[0]}\n{name[1]}"
