"""Ids made from batch time and a counter, in the layout of UUID version 7 (RFC 9562): they sort by age, and a fold of
the journal makes the same ones again.
"""

from functools import lru_cache

_VERSION = 0x7 << 12
_VARIANT = 0b10 << 14
_KIND_SHIFT = 72  # the two highest of the 74 free bits name the kind, so that ids of different kinds never meet
_ORDER, _TRADE, _TRANSFER = 0, 1, 2
_TAIL_BITS = 48  # of the number, after the last hyphen
_TAIL_BYTES = _TAIL_BITS // 8
_TAIL_MASK = (1 << _TAIL_BITS) - 1
_HEAD_MASK = (1 << _KIND_SHIFT - _TAIL_BITS) - 1


def order_id(time_milliseconds: int, order_number: int) -> str:
    return _head(time_milliseconds, _ORDER, order_number >> _TAIL_BITS) + _tail(order_number)


def trade_id(time_milliseconds: int, trade_number: int) -> str:
    """`time_milliseconds` is the time of the batch that holds the trade."""
    return _head(time_milliseconds, _TRADE, trade_number >> _TAIL_BITS) + _tail(trade_number)


def transfer_id(time_milliseconds: int, transfer_number: int) -> str:
    return _head(time_milliseconds, _TRANSFER, transfer_number >> _TAIL_BITS) + _tail(transfer_number)


def milliseconds_of(identifier: str) -> int:
    """The time of the batch in which it was made."""
    return int(identifier[:8] + identifier[9:13], 16)


def _tail(number: int) -> str:
    # Twelve hexadecimal digits, in a third of the time that formatting takes.
    return (number & _TAIL_MASK).to_bytes(_TAIL_BYTES, "big").hex()


@lru_cache(maxsize=64)  # the ids of a batch differ in their tails alone
def _head(time_milliseconds: int, kind: int, number_head: int) -> str:
    free = kind << _KIND_SHIFT - _TAIL_BITS | number_head & _HEAD_MASK
    return (
        f"{time_milliseconds >> 16 & 0xFFFF_FFFF:08x}-{time_milliseconds & 0xFFFF:04x}-{_VERSION | free >> 14:04x}"
        f"-{_VARIANT | free & 0x3FFF:04x}-"
    )
