"""What no JSON from outside may be, whatever its fields: deep, or with one name twice in an object.

Of two values under one name readers take the first, the last or both: what a filter in front has judged need not be
what is read here (RFC 8259, section 4).
"""

import json
import re

from gateway.errors import invalid

DEPTH_MAX = 8  # ours have three levels
# A text that does not end takes all the rest: where it matched nothing, each of its quotes would be a start from which
# to look for the end again, and 64 KiB of them would keep everybody waiting for half a minute.
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_OPENING, _CLOSING = b"[{", b"]}"


class _NameTwice(Exception):
    pass


def check_shape(text: bytes) -> None:
    """PublicError 400, rule `depth` or `once`. What is no JSON at all is for its reader to say."""
    if sum(text.count(bracket) for bracket in (b"{", b"[")) > DEPTH_MAX and (depth := _depth(text)) > DEPTH_MAX:
        raise invalid(
            f"JSON here has at most {DEPTH_MAX} levels.",
            field="body", rule="depth", maximum=str(DEPTH_MAX), limit=str(DEPTH_MAX), given=str(depth),
        )  # fmt: skip
    try:
        _NAMES.decode(text.decode())
    except _NameTwice:
        # Not which: it is the caller's text.
        raise invalid(
            "A name comes twice in an object.",
            field="body", rule="once", limit="each name once in an object", given="a name twice",
        ) from None  # fmt: skip
    except ValueError:
        return


def _depth(text: bytes) -> int:
    deepest = depth = 0
    for byte in _TEXT.sub(b"", text):
        if byte in _OPENING:
            depth += 1
            deepest = max(deepest, depth)
        elif byte in _CLOSING:
            depth -= 1
    return deepest


def _once(pairs: list[tuple[str, object]]) -> None:
    if len({name for name, _ in pairs}) != len(pairs):
        raise _NameTwice


# Numbers are not converted: only names matter here, and a long one would cost its square.
_NAMES = json.JSONDecoder(object_pairs_hook=_once, parse_int=len, parse_float=len)
