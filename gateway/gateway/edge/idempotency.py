"""The client's Idempotency-Key."""

import re

from starlette.requests import Request

from gateway.errors import invalid

_KEY = re.compile(r"[\x20-\x7e]{1,255}")


def idempotency_key(request: Request) -> str | None:
    """None where there is none. PublicError 400 for what is no key, or two."""
    given = request.headers.getlist("idempotency-key")
    if not given:
        return None
    if len(given) > 1 or _KEY.fullmatch(given[0]) is None:
        raise invalid(
            "The Idempotency-Key must be 1 to 255 printable ASCII characters.",
            field="Idempotency-Key",
            rule="printable_ascii",
        )
    return given[0]
