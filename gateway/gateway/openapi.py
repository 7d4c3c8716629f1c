"""The OpenAPI document: every field, error, header and example, out of the table of routes."""

from collections.abc import Sequence
from typing import Any

from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.admission.cookies import ACCESS_COOKIE
from gateway.admission.policy import Access
from gateway.errors import NOT_READ
from gateway.routes.endpoint import API, Endpoint
from gateway.schemas.errors import DESCRIPTIONS, ErrorReply, code_of_status

VERSION = "1.0.0"
DOCUMENT_PATH = f"{API}/openapi.json"
_REF = "#/components/schemas/{model}"
_DESCRIPTION = (
    "Money, prices and quantities are decimal strings; times are RFC 3339 in UTC; ids are UUIDs. Lists answer "
    "`items` and `next_cursor`. Every error has one shape. Streams: `/ws`, described in docs/api/websocket.md."
)
_EXAMPLE_REQUEST_ID = "5b0d6c1f2a9e4c77-0000002a"
_EXAMPLE_TIME = "2026-01-15T14:30:00.000Z"


class _NoMedia(Response):
    """Keeps FastAPI from writing a JSON body for replies that have none."""

    media_type = None


def operation_of(endpoint: Endpoint) -> dict[str, Any]:
    """What FastAPI is told of a route."""
    success: dict[str, Any] = {"description": "Done." if endpoint.reply is None else "The answer.", "headers": {}}
    if endpoint.reply is not None:
        success["model"] = endpoint.reply
    success["headers"] = _headers(endpoint)
    if endpoint.also_as:
        success["content"] = {media: {"schema": {"type": "string"}} for media in endpoint.also_as}
    responses: dict[int | str, dict[str, Any]] = {endpoint.status: success}
    if endpoint.has_etag:
        responses[304] = {"description": "Not changed since the ETag you named.", "headers": _headers(endpoint)}
    for status in endpoint.also_under:
        responses[status] = {**success, "description": "The answer all the same: it says what is wrong."}
    for status in _error_statuses(endpoint):
        responses[status] = {
            "model": ErrorReply,
            "description": DESCRIPTIONS[status],
            "headers": _error_headers(endpoint, status),
            "content": {"application/json": {"example": _error_example(status)}},
        }
    return {
        "operation_id": endpoint.operation_id,
        "summary": endpoint.summary,
        "description": endpoint.description or endpoint.summary,
        "tags": [endpoint.tag],
        "status_code": endpoint.status,
        "response_model": None,
        "response_class": _NoMedia,
        "responses": responses,
        "include_in_schema": endpoint.documented,
        "openapi_extra": _extra(endpoint),
    }


def write_document(routes: Sequence[BaseRoute], endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    document = get_openapi(title="CryptoVault", version=VERSION, description=_DESCRIPTION, routes=routes)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for endpoint in endpoints:
        if endpoint.body is not None and endpoint.documented:
            _add_schema(schemas, endpoint.body)
    components["schemas"] = dict(sorted(schemas.items()))
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "cookie": {"type": "apiKey", "in": "cookie", "name": ACCESS_COOKIE},
        "signature": {
            "type": "apiKey",
            "in": "header",
            "name": "X-API-Key",
            "description": "With X-API-Timestamp (ms), X-API-Nonce and X-API-Signature: hex HMAC-SHA256 over "
            "timestamp, nonce, method, path, query and the body's hex SHA-256, joined by line feeds. "
            "docs/api/README.md has an example.",
        },
    }
    for schema in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(schema, None)
    return document


def _error_statuses(endpoint: Endpoint) -> list[int]:
    statuses = {500, 503, *endpoint.errors}
    if endpoint.limit is not None:
        # A query that no route of ours knows is refused everywhere.
        statuses |= {400, 429}
    if endpoint.access is Access.USER:
        # A permission is missing, or a key asks for what only people do.
        statuses |= {401, 403}
    if endpoint.access is Access.OPTIONAL:
        statuses |= {403}
    if endpoint.body is not None:
        statuses |= {413}
    return sorted(statuses.difference(endpoint.also_under))


def _extra(endpoint: Endpoint) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    parameters = [
        *_parameters(endpoint.path_fields, "path"),
        *_parameters(endpoint.query, "query"),
    ]
    if endpoint.idempotent:
        parameters.append(_IDEMPOTENCY_PARAMETER)
    if endpoint.access is not Access.PUBLIC and endpoint.method != "GET":
        parameters.append(_CSRF_PARAMETER)
    if parameters:
        extra["parameters"] = parameters
    if endpoint.body is not None:
        media: dict[str, Any] = {"schema": {"$ref": _REF.format(model=endpoint.body.__name__)}}
        if endpoint.body_example is not None:
            media["example"] = endpoint.body_example
        extra["requestBody"] = {"required": endpoint.body_required, "content": {"application/json": media}}
    if endpoint.access is Access.USER:
        extra["security"] = [{"bearer": []}, {"cookie": []}]
    if endpoint.permission is not None:
        extra["security"] = ([] if endpoint.by_key_only else extra["security"]) + [{"signature": []}]
        extra["x-permission"] = endpoint.permission
    if endpoint.policy.step_up:
        extra["x-step-up"] = True
    if endpoint.access is Access.OPTIONAL:
        extra["security"] = [{"bearer": []}, {"cookie": []}, {}]
    return extra


def _parameters(model: type[BaseModel] | None, place: str) -> list[dict[str, Any]]:
    if model is None:
        return []
    schema = model.model_json_schema(ref_template=_REF)
    required = schema.get("required", [])
    parameters = []
    for name, field in schema["properties"].items():
        shape = dict(field)
        shape.pop("title", None)
        description = shape.pop("description", None)
        parameter: dict[str, Any] = {"name": name, "in": place, "required": name in required, "schema": shape}
        if description:
            parameter["description"] = description
        parameters.append(parameter)
    return parameters


def _add_schema(schemas: dict[str, Any], model: type[BaseModel]) -> None:
    schema = model.model_json_schema(ref_template=_REF)
    schemas.update(schema.pop("$defs", {}))
    schemas[model.__name__] = schema


def _header(description: str, kind: str = "string") -> dict[str, Any]:
    return {"description": description, "schema": {"type": kind}}


_REQUEST_ID = _header("Yours, where you sent a sane one, else ours.")
_RETRY_AFTER = _header("Seconds until it makes sense to come again.", "integer")
_LIMIT_HEADERS = {
    "RateLimit-Limit": _header("Requests per minute.", "integer"),
    "RateLimit-Remaining": _header("Requests that may follow at once.", "integer"),
    "RateLimit-Reset": _header("Seconds until the whole limit is back.", "integer"),
}
_IDEMPOTENCY_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A repeat with the same key answers the first result; the same key with another request is 409. "
    "Good for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
}
_CSRF_PARAMETER = {
    "name": "X-CSRF-Token",
    "in": "header",
    "required": False,
    "description": "Required where cookies speak for you: the value of the `__Host-cv_csrf` cookie.",
    "schema": {"type": "string"},
}


def _headers(endpoint: Endpoint) -> dict[str, Any]:
    headers = {"X-Request-ID": _REQUEST_ID}
    if endpoint.limit is not None:
        headers |= _LIMIT_HEADERS
    if endpoint.idempotent:
        headers["Idempotency-Replayed"] = _header(
            "`true` where an earlier request with this key, or an order with this client order id, had the effect."
        )
    if endpoint.may_lag:
        headers["X-Data-Behind"] = _header("`true` where the reply may not hold everything yet. Absent otherwise.")
    if endpoint.sets_cookies:
        headers["Set-Cookie"] = _header("The session's cookies, for `delivery` `cookie`.")
    if endpoint.has_etag:
        headers["ETag"] = _header("Give it as If-None-Match.")
    return headers


def _error_headers(endpoint: Endpoint, status: int) -> dict[str, Any]:
    headers = {"X-Request-ID": _REQUEST_ID}
    if status in {429, 503}:
        headers["Retry-After"] = _RETRY_AFTER
    if endpoint.limit is not None and status != 503:  # noqa: PLR2004 - an HTTP status
        headers |= _LIMIT_HEADERS
    return headers


def _error_example(status: int) -> dict[str, Any]:
    details, message = _EXAMPLES[status]
    return {
        "error": {
            "code": code_of_status(status),
            "message": message,
            "request_id": _EXAMPLE_REQUEST_ID,
            "timestamp": _EXAMPLE_TIME,
            "details": details,
        }
    }


_EXAMPLES: dict[int, tuple[dict[str, str], str]] = {
    400: (
        {"reason": "invalid_argument", "field": "quantity", "rule": "decimal_string", "value": "1e400"},
        'quantity must be a decimal number as a string, such as "0.25".',
    ),
    401: ({"reason": "token_expired"}, "The access token has expired."),
    403: ({"reason": "csrf_token_mismatch"}, "The X-CSRF-Token header must repeat the CSRF cookie of this session."),
    404: ({"reason": "not_found"}, "There is nothing here."),
    409: ({"reason": "idempotency_key_reused"}, "This idempotency key belongs to another request."),
    413: (
        {
            "reason": "payload_too_large",
            "rule": "max_bytes",
            "limit": "65536",
            "given": "more than 65536",
            "no_suggestion": NOT_READ,
        },
        "The body is larger than 65536 bytes.",
    ),
    422: (
        {"reason": "insufficient_funds", "asset": "USD", "required": "100.10", "available": "20.00"},
        "The available balance is too small.",
    ),
    429: (
        {"reason": "rate_limited", "limit": "600", "retry_after_seconds": "3"},
        "Too many requests. Please wait 3 seconds.",
    ),
    500: ({}, "Something went wrong on our side. It has been recorded."),
    503: (
        {"reason": "outcome_unknown", "repeat": "Send the same request with the same Idempotency-Key."},
        "The exchange has not answered in time. It is not known yet whether the command was carried out.",
    ),
}
