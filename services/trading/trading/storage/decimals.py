"""Minor units as Decimal128 and back."""

from decimal import Decimal
from functools import lru_cache
from struct import Struct

from bson.decimal128 import Decimal128

# The BID encoding (IEEE 754-2008, as BSON has it): coefficient in the low 113 bits, exponent with bias 6176 above them.
# Written directly it costs a fifth of Decimal128(Decimal(...)), which parses a string, and a fold writes millions.
_WORDS = Struct("<QQ")
_EXPONENT_BIAS = 6176
_EXPONENT_SHIFT = 49
_SIGN = 1 << 63
# An order's row has each of its figures two or three times: in the order, its fills and their postings. Some 2 MB.
_WRITTEN_AMOUNTS = 8_192


@lru_cache(maxsize=_WRITTEN_AMOUNTS)
def to_decimal128(amount: int, scale: int) -> Decimal128:
    """Exact for any amount below 2^64 in size; `scale` decimals."""
    high = (_EXPONENT_BIAS - scale) << _EXPONENT_SHIFT
    if amount < 0:
        high, amount = high | _SIGN, -amount
    return Decimal128.from_bid(_WORDS.pack(amount, high))


def to_units(amount: Decimal, scale: int) -> int:
    """Raises `ValueError` for more decimals than the scale has."""
    units = amount.scaleb(scale)
    if units != units.to_integral_value():
        raise ValueError(f"{amount} has more than {scale} decimals")
    return int(units)
