"""A set of texts that answers "perhaps" or "certainly not", in layers: a full one is closed and another begun, and the
oldest go when nothing in them counts any more.
"""

from dataclasses import dataclass
from hashlib import blake2b

_PROBES = 7
BITS_PER_KEY = 11  # with 7 probes one of 200 strangers is taken for a member, for each layer
BITS_DEFAULT = 1 << 25  # of a layer: 4 MiB, 3 million keys
# 64 MiB. Where more would be needed the last layer takes everything: more look-ups in vain, never a wrong answer.
LAYERS_MAX = 16


@dataclass(slots=True)
class Layer:
    content: bytearray
    keys: int = 0
    newest_milliseconds: int = 0  # nothing in it is younger


class LayeredFilter:
    def __init__(self, bits: int = BITS_DEFAULT, layers: list[Layer] | None = None) -> None:
        """`bits` of a layer is a power of two, at least 8."""
        self._mask = bits - 1
        self._keys_per_layer = bits // BITS_PER_KEY
        self.layers = [] if layers is None else layers  # oldest first; read it, leave it

    def add(self, text: str, milliseconds: int) -> None:
        """Times never go back."""
        if not self.layers or (self.layers[-1].keys >= self._keys_per_layer and len(self.layers) < LAYERS_MAX):
            self.layers.append(Layer(bytearray((self._mask + 1) // 8)))
        layer = self.layers[-1]
        for position in self._positions(text):
            layer.content[position >> 3] |= 1 << (position & 7)
        layer.keys += 1
        layer.newest_milliseconds = milliseconds

    def __contains__(self, text: str) -> bool:
        if not self.layers:
            return False
        positions = self._positions(text)
        return any(
            all(layer.content[position >> 3] & (1 << (position & 7)) for position in positions)
            for layer in reversed(self.layers)
        )

    def drop_older_than(self, milliseconds: int) -> None:
        """Layers in which everything is older."""
        while self.layers and self.layers[0].newest_milliseconds < milliseconds:
            del self.layers[0]

    def _positions(self, text: str) -> list[int]:
        digest = int.from_bytes(blake2b(text.encode(), digest_size=16).digest())
        step = digest >> 64 | 1
        return [(digest + probe * step) & self._mask for probe in range(_PROBES)]
