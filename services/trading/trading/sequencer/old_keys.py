"""Keys that left memory: which commands may carry one, and what it stood for.

A Bloom filter holds every key that was evicted, so a key that is neither in memory nor in the filter is new, for sure
and without a question to the database. The others are looked up in the projection.
"""

from hashlib import blake2b
from typing import Self

from trading.domain.accounts import owner_of_user
from trading.domain.commands import (
    AmendOrder,
    CancelAll,
    CancelOrder,
    Command,
    HoldTransfer,
    PlaceOrder,
    PostTransfer,
    Transfer,
    VoidTransfer,
)
from trading.domain.state import ExchangeState, KeyName

_PROBES = 7  # at 10 bits per key, 1 % of new keys are looked up in vain
BITS_DEFAULT = 1 << 25  # 4 MiB, good for 3 million keys; beyond, more look-ups in vain, never a wrong answer


class BloomFilter:
    """Answers "perhaps" or "certainly not"."""

    def __init__(self, bits: int = BITS_DEFAULT, content: bytes | None = None) -> None:
        """`bits` is a power of two."""
        self._mask = bits - 1
        self._bytes = bytearray(bits // 8) if content is None else bytearray(content)

    @property
    def content(self) -> bytes:
        return bytes(self._bytes)

    def add(self, text: str) -> None:
        for position in self._positions(text):
            self._bytes[position >> 3] |= 1 << (position & 7)

    def __contains__(self, text: str) -> bool:
        return all(self._bytes[position >> 3] & (1 << (position & 7)) for position in self._positions(text))

    def _positions(self, text: str) -> list[int]:
        digest = int.from_bytes(blake2b(text.encode(), digest_size=16).digest())
        step = digest >> 64 | 1
        return [(digest + probe * step) & self._mask for probe in range(_PROBES)]


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
    if isinstance(command, AmendOrder | CancelOrder | CancelAll):
        if not command.idempotency_key:
            return []
        return [("idempotency", (owner_of_user(command.actor.user_id), command.idempotency_key))]
    if isinstance(command, Transfer | HoldTransfer):
        return [("business", ("", command.business_key))]
    if isinstance(command, PostTransfer | VoidTransfer):
        return [("business", ("", command.business_key)), ("ended_hold", ("", command.hold_key))]
    return []


class EvictedKeys:
    """The filter, kept in step with what the exchange forgets."""

    def __init__(self, bits: int = BITS_DEFAULT) -> None:
        self._filter = BloomFilter(bits)
        self._any = False

    @classmethod
    def restored(cls, content: bytes) -> Self:
        """From what `content` gave. Raises `ValueError` where it has no power of two of bits."""
        bits = 8 * len(content)
        if bits == 0 or bits & (bits - 1):
            raise ValueError(f"a filter of {bits} bits")
        keys = cls(bits)
        keys._filter = BloomFilter(bits, content)
        keys._any = any(content)
        return keys

    @property
    def content(self) -> bytes:
        """The filter, for a snapshot."""
        return self._filter.content

    def before_batch(self, state: ExchangeState, evicted_up_to: int) -> None:
        """To be called before a `BatchStarted` is applied: notes the keys that it makes the exchange forget."""
        for batch, kind, name in state.keys.by_age:
            if batch > evicted_up_to:
                break
            self._filter.add(_text(kind, name))
            self._any = True

    def may_hold_a_key_of(self, state: ExchangeState, command: Command) -> bool:
        """True where a key of the command may have been used in a batch that memory no longer covers."""
        if not self._any:
            return False
        memory = state.keys.by_kind
        return any(name not in memory[kind] and _text(kind, name) in self._filter for kind, name in key_names(command))


def _text(kind: str, name: KeyName) -> str:
    return f"{kind}\n{name[0]}\n{name[1]}"
