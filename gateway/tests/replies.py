"""What every error looks like."""

import re
from typing import Any

import httpx
from gateway.schemas.errors import ErrorReply

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def checked(reply: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The details of an error, after a look at the whole of it."""
    assert reply.status_code == status, reply.text
    error = ErrorReply.model_validate_json(reply.content).error
    assert error.code == code
    assert error.request_id == reply.headers["x-request-id"]
    assert _TIME.fullmatch(error.timestamp)
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["content-type"] == "application/json"
    return error.details
