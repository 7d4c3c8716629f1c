"""Decimal strings to integers of minor units and back. Strict at the way in, canonical at the way out, never a float.

An amount of an asset with scale 8 is an `int` in units of 10^-8 of the asset.
"""

import re
from functools import lru_cache

from chassis.errors import InvalidArgument

from trading.domain.errors import TooManyDecimals

SCALE_MAX = 8  # 10^18 of any asset at scale 8 would pass 2^63; a larger scale leaves no room for supply
AMOUNT_MAX = 2**63 - 1  # what a signed 64-bit field of a store or a partner can hold

# The figures of an order are written a moment apart in its reply, its event and the tape. Some 2 MB.
_FORMATTED_AMOUNTS = 8_192

_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,17})(?:\.([0-9]{1,18}))?", re.ASCII)
_WHOLE_MAX = 10**18 - 1  # 18 digits
_GIVEN_LENGTH_MAX = 64  # of what is no number: enough to be recognised


def parse_amount(text: str, scale: int, *, field: str) -> int:
    """`"1.5"` at scale 8 is 150000000. Trailing zeros beyond the scale are taken, other digits there are not.

    Raises `InvalidArgument` for what is no plain decimal (signs, exponents, spaces, other scripts' digits, a trailing
    newline) and `TooManyDecimals` with the nearest value that fits.
    """
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise InvalidArgument(
            "A plain decimal number such as 12.5 is needed.",
            field=field, rule="decimal", limit="a plain decimal number", given=text[:_GIVEN_LENGTH_MAX],
        )  # fmt: skip
    whole, fraction = match.group(1), (match.group(2) or "").rstrip("0")
    if len(fraction) > scale:
        digits = int(whole + fraction)
        unit = 10 ** (len(fraction) - scale)
        # One unit at least: where this is refused, so is zero.
        nearest = min(max(1, (2 * digits + unit) // (2 * unit)), _most(scale))
        raise TooManyDecimals(field=field, limit=scale, given=text, nearest=format_amount(nearest, scale))
    amount = int(whole + fraction) * _power_of_ten(scale - len(fraction))
    if amount > AMOUNT_MAX:
        raise InvalidArgument(
            "The number is too large.",
            field=field, rule="maximum", limit=format_amount(AMOUNT_MAX, scale), given=text,
            nearest=format_amount(_most(scale), scale),
        )  # fmt: skip
    return amount


def parse_at_largest_scale(text: str, *, field: str) -> tuple[int, int]:
    """(amount, scale): for an asset that is not known yet. Raises as `parse_amount`."""
    for scale in range(SCALE_MAX, 0, -1):
        try:
            return parse_amount(text, scale, field=field), scale
        except InvalidArgument as refusal:
            if refusal.details["rule"] != "maximum":
                raise
    return parse_amount(text, 0, field=field), 0


@lru_cache(maxsize=_FORMATTED_AMOUNTS)
def format_amount(amount: int, scale: int) -> str:
    """Canonical: no exponent, no trailing zeros, `0` for zero and never `-0`."""
    if scale == 0:
        return str(amount)
    # One digit before the point at least; the sign counts as one where there is one.
    digits = str(amount).zfill(scale + 1 if amount >= 0 else scale + 2)
    fraction = digits[-scale:].rstrip("0")
    return f"{digits[:-scale]}.{fraction}" if fraction else digits[:-scale]


def units_of(text: str, scale: int) -> int:
    """The inverse of `format_amount`, for what it has written itself: of any size, nothing is checked."""
    whole, _, fraction = text.partition(".")
    return int(whole + fraction.ljust(scale, "0"))


def nearest_multiple(amount: int, step: int) -> int:
    """The multiple of `step` nearest to `amount`, at least one step and at most what fits; halves go up."""
    return min(max(step, (2 * amount + step) // (2 * step) * step), AMOUNT_MAX // step * step)


def average_price(notional: int, quantity: int, base_scale: int) -> int:
    """Quote minor units per whole base unit of several fills, rounded half up: a figure for people, not for money."""
    if quantity == 0:
        return 0
    return (2 * notional * _power_of_ten(base_scale) + quantity) // (2 * quantity)


def _most(scale: int) -> int:
    """What can be held, and said."""
    return min(AMOUNT_MAX, _WHOLE_MAX * _power_of_ten(scale))


def _power_of_ten(exponent: int) -> int:
    return int(10**exponent)
