"""The one shape of an error, checked to the letter."""

import re
from typing import Any

import httpx

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def assert_error(reply: httpx.Response, status: int, code: str, reason: str | None = None) -> dict[str, str]:
    """The reply is this error in the public shape; returns its details."""
    assert reply.status_code == status, f"{reply.status_code}: {reply.text}"
    assert reply.headers["content-type"].startswith("application/json")
    document: dict[str, Any] = reply.json()
    assert set(document) == {"error"}
    error = document["error"]
    assert set(error) == {"code", "message", "request_id", "timestamp", "details"}
    assert error["code"] == code
    assert error["message"]
    assert error["request_id"] == reply.headers["x-request-id"]
    assert TIMESTAMP.fullmatch(error["timestamp"])
    details: dict[str, str] = error["details"]
    # Words, but for the whole body that would be accepted in place of a refused order.
    assert all(isinstance(value, dict if name == "suggested" else str) for name, value in details.items())
    if reason is not None:
        assert details["reason"] == reason
    return details


def assert_status(reply: httpx.Response, expected: int) -> None:
    """Where it is another, the failure shows what the reply says."""
    assert reply.status_code == expected, reply.text


def assert_success(reply: httpx.Response) -> None:
    assert reply.is_success, reply.text
