"""Exact decimals. Sums and products are exact or an error; where a quotient must be rounded, it says so by name."""

import re
from collections.abc import Iterable
from decimal import (
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    FloatOperation,
    Inexact,
    InvalidOperation,
    Overflow,
)

PLACES = 8  # the largest scale an asset of the exchange may have
ZERO = Decimal(0)
_UNIT = Decimal(1).scaleb(-PLACES)
# 18 digits before the point and 18 after it in each of two factors: 72 digits hold any product.
_PRECISION = 80
_TRAPS = [InvalidOperation, DivisionByZero, Overflow, FloatOperation]
_EXACT = Context(prec=_PRECISION, rounding=ROUND_HALF_EVEN, traps=[*_TRAPS, Inexact])
_ROUNDING = Context(prec=_PRECISION, rounding=ROUND_HALF_EVEN, traps=_TRAPS)
_AMOUNT = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?")


class MalformedAmount(Exception):
    """A text that should be an amount is not one."""


def parse_amount(text: str) -> Decimal:
    """A decimal string as the platform writes them: ASCII digits, at most 18 before and 18 after the point."""
    if _AMOUNT.fullmatch(text) is None:
        raise MalformedAmount(f"{text[:40]!r} is not an amount")
    return Decimal(text)


def canonical(value: Decimal) -> str:
    """The one way to write a value: no exponent, no trailing zeros, no negative zero."""
    if not value:
        return "0"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def plus(left: Decimal, right: Decimal) -> Decimal:
    return _EXACT.add(left, right)


def minus(left: Decimal, right: Decimal) -> Decimal:
    return _EXACT.subtract(left, right)


def times(left: Decimal, right: Decimal) -> Decimal:
    return _EXACT.multiply(left, right)


def total(values: Iterable[Decimal]) -> Decimal:
    result = ZERO
    for value in values:
        result = plus(result, value)
    return result


def rounded(value: Decimal) -> Decimal:
    """To eight places, half to even."""
    return _ROUNDING.quantize(value, _UNIT)


def share(whole_value: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """What `part` of `whole` has of `whole_value`, to eight places. All of it is exactly all of it."""
    if part == whole:
        return whole_value
    return rounded(_ROUNDING.divide(times(whole_value, part), whole))


def quotient(value: Decimal, divisor: Decimal) -> Decimal:
    """To eight places, half to even."""
    return rounded(_ROUNDING.divide(value, divisor))
