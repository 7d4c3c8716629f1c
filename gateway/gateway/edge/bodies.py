"""Reads a request's body: in time, of bounded size, JSON, and exactly what the model says."""

import asyncio
import re
from collections.abc import Callable
from typing import TypeVar

from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request

from gateway.edge.door_limits import BODY_BYTES_MAX, BODY_SECONDS_MAX
from gateway.edge.json_shape import check_shape
from gateway.errors import NOT_READ, PublicError, error_of_validation, invalid, repeated, too_large
from gateway.schemas.fields import RULES, RequestBody

_JSON = re.compile(r"\s*application/json\s*(;\s*charset\s*=\s*\"?utf-8\"?\s*)?", re.IGNORECASE)

B = TypeVar("B", bound=RequestBody)


def _refuse(error: ValidationError) -> PublicError:
    return error_of_validation(error, rules=RULES)


async def read_body(
    request: Request, model: type[B], *, refuse: Callable[[ValidationError], PublicError] = _refuse
) -> B:
    """PublicError 400 or 413 where it is not such a body; `refuse` words what the model says."""
    content_type = request.headers.get("content-type", "")
    if content_type != "application/json" and _JSON.fullmatch(content_type) is None:
        raise invalid(
            "The body must be application/json.",
            field="Content-Type", rule="application_json", limit="application/json",
            given=repeated(content_type.encode()) if content_type else "none",
        )  # fmt: skip
    text = await read_bytes(request)
    check_shape(text)
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise refuse(error) from None


async def read_optional_body(request: Request, model: type[B]) -> B:
    """The same; no body at all is the model's defaults."""
    return await read_body(request, model) if has_body(request) else model()


def has_body(request: Request) -> bool:
    """Whether one comes, as its head says."""
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


async def read_bytes(request: Request) -> bytes:
    """The whole body. PublicError 400 or 413 where it takes too long or is too large."""
    try:
        # A body that trickles holds a connection and a place among the requests in flight.
        async with asyncio.timeout(BODY_SECONDS_MAX):
            return await _receive(request)
    except TimeoutError:
        raise invalid(
            f"The body did not arrive within {BODY_SECONDS_MAX:g} seconds.",
            field="body", rule="timely", limit=f"{BODY_SECONDS_MAX:g} seconds", given="longer", no_suggestion=NOT_READ,
        ) from None  # fmt: skip


async def _receive(request: Request) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > BODY_BYTES_MAX:
            raise too_large(BODY_BYTES_MAX)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)
