"""Orders and amendments as they come, and what is wrong with one that cannot be read: in the exchange's own words for a
refusal, so that a client reads both alike.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import orjson
from pydantic import ValidationError
from starlette.requests import Request

from gateway.edge.bodies import read_body
from gateway.errors import PublicError, error_of_problem, repeated
from gateway.schemas import trading as schemas
from gateway.schemas.fields import RULES

UNREAD = "The exchange judges what it can read: mend this field first."

# What a field may be, where the rule has no limit of its own.
_LIMITS: Mapping[str, str] = {
    "boolean": "true or false",
    "client_order_id": "1 to 64 letters, digits and . _ : -, no . at the beginning",
    "decimal_string": "a string of up to 18 digits, a point and up to 18 more",
    "json": "JSON",
    "market_symbol": "a name such as BTC-USD",
    "object": "an object",
    "required": "a value",
    "rfc3339_utc": "a time such as 2026-01-15T14:30:00.000Z",
    "string": "a string",
    "unknown_field": "a field of this request",
}
B = TypeVar("B", schemas.PlaceOrder, schemas.AmendOrder)


async def read_order(request: Request, model: type[B]) -> B:
    """PublicError 400 or 413 where it is not such a body, with the rule, the limit and what was given."""
    try:
        return await read_body(request, model, refuse=_refuse)
    except PublicError as refusal:
        # What no body of any route may be is refused before anybody asks whose it is.
        details = {"no_suggestion": UNREAD, **refusal.details}
        raise PublicError(refusal.code, refusal.message, details, refusal.headers) from None


def _refuse(error: ValidationError) -> PublicError:
    problem = error.errors(include_url=False)[0]
    refusal = error_of_problem(problem, rules=RULES)
    rule = refusal.details["rule"]
    limit = refusal.details.get("one_of") or _LIMITS.get(rule, rule)
    facts = {"limit": limit, "given": _given(problem, refusal.details["field"])}
    return PublicError(refusal.code, refusal.message, {**refusal.details, **facts})


def _given(problem: Mapping[str, Any], field: str) -> str:
    kind = problem["type"]
    if kind == "missing":
        return "none"
    if kind == "extra_forbidden":
        return field
    value = problem["input"]
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    try:
        text = value.encode() if isinstance(value, str) else orjson.dumps(value)
    except (TypeError, ValueError):  # a number beyond 64 bits, or half a character
        text = b""
    return repeated(text)
