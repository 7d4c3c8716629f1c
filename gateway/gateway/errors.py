"""Every error that leaves the gateway has one shape, and this is where it gets it."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from chassis.errors import ErrorKind, ServiceError
from pydantic import ValidationError
from starlette.exceptions import HTTPException

RETRY_AFTER_SECONDS = 1  # what restarts here is back within seconds; a client backs off further by itself

VALIDATION_ERROR = "VALIDATION_ERROR"
AUTHENTICATION_ERROR = "AUTHENTICATION_ERROR"
AUTHORIZATION_ERROR = "AUTHORIZATION_ERROR"
NOT_FOUND = "NOT_FOUND"
METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
CONFLICT = "CONFLICT"
PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
ORDER_REJECTED = "ORDER_REJECTED"
RATE_LIMIT_EXCEEDED = "RATE_LIMIT_EXCEEDED"
MFA_REQUIRED = "MFA_REQUIRED"
INTERNAL_ERROR = "INTERNAL_ERROR"
SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"

STATUS_OF_CODE: Mapping[str, int] = {
    VALIDATION_ERROR: 400,
    AUTHENTICATION_ERROR: 401,
    MFA_REQUIRED: 401,
    AUTHORIZATION_ERROR: 403,
    NOT_FOUND: 404,
    METHOD_NOT_ALLOWED: 405,
    CONFLICT: 409,
    PAYLOAD_TOO_LARGE: 413,
    ORDER_REJECTED: 422,
    RATE_LIMIT_EXCEEDED: 429,
    INTERNAL_ERROR: 500,
    SERVICE_UNAVAILABLE: 503,
}
_CODE_OF_KIND: Mapping[ErrorKind, str] = {
    ErrorKind.INVALID: VALIDATION_ERROR,
    ErrorKind.UNAUTHENTICATED: AUTHENTICATION_ERROR,
    ErrorKind.FORBIDDEN: AUTHORIZATION_ERROR,
    ErrorKind.NOT_FOUND: NOT_FOUND,
    ErrorKind.CONFLICT: CONFLICT,
    ErrorKind.REJECTED: ORDER_REJECTED,
    ErrorKind.EXHAUSTED: RATE_LIMIT_EXCEEDED,
    ErrorKind.UNAVAILABLE: SERVICE_UNAVAILABLE,
}
# Of these fields not even a wrong value is repeated.
SECRET_FIELDS = frozenset(
    {
        "access_token",
        "authorization",
        "challenge",
        "code",
        "current_password",
        "device_token",
        "new_password",
        "password",
        "refresh_token",
        "token",
    }
)
_SHORT = re.compile(rb"[\x20-\x7e]{1,64}")
_SHOWN_VALUE = re.compile(r"[\x20-\x7e]{0,64}")
_DETAIL_LENGTH_MAX = 512
# Said on every route: a body is received before anybody asks whether it is an order's.
NOT_READ = "A body that did not come whole is not looked into."

# Pydantic's names of broken rules, in ours. What is missing here keeps pydantic's name.
_RULES: Mapping[str, str] = {
    "missing": "required",
    "extra_forbidden": "unknown_field",
    "string_type": "string",
    "string_too_short": "min_length",
    "string_too_long": "max_length",
    "string_pattern_mismatch": "pattern",
    "literal_error": "one_of",
    "bool_type": "boolean",
    "int_parsing": "integer",
    "int_type": "integer",
    "int_from_float": "integer",
    "greater_than_equal": "minimum",
    "less_than_equal": "maximum",
    "model_type": "object",
    "model_attributes_type": "object",
    "dict_type": "object",
    "json_invalid": "json",
}


class PublicError(Exception):
    """An error ready for the caller. `details` holds strings, `reason` among them; `headers` go with the reply;
    `suggested` is a body that would be accepted in place of a refused one.
    """

    def __init__(
        self,
        code: str,
        message: str,
        details: Mapping[str, str],
        headers: Sequence[tuple[str, str]] = (),
        suggested: Mapping[str, str | bool] | None = None,
    ) -> None:
        super().__init__(message)
        self.suggested = suggested
        self.code = code
        self.message = message
        self.details = details
        self.headers = headers

    @property
    def status(self) -> int:
        return STATUS_OF_CODE[self.code]

    def body(self, *, request_id: str, now: datetime | None = None) -> dict[str, Any]:
        moment = (now or datetime.now(UTC)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {
            "code": self.code,
            "message": self.message,
            "request_id": request_id,
            "timestamp": moment,
            "details": {**self.details, **({"suggested": self.suggested} if self.suggested is not None else {})},
        }

    def document(self, *, request_id: str) -> bytes:
        return orjson.dumps({"error": self.body(request_id=request_id)})

    def reply_headers(self) -> list[tuple[str, str]]:
        headers = list(self.headers)
        if self.code == SERVICE_UNAVAILABLE and not any(name == "Retry-After" for name, _ in headers):
            headers.append(("Retry-After", str(RETRY_AFTER_SECONDS)))
        if self.status == STATUS_OF_CODE[AUTHENTICATION_ERROR]:
            headers.append(("WWW-Authenticate", "Bearer"))
        return headers


def invalid(message: str, *, field: str, rule: str, value: str | None = None, **facts: str) -> PublicError:
    """A request that must change before it can succeed."""
    return PublicError(VALIDATION_ERROR, message, invalid_details(field=field, rule=rule, value=value, **facts))


def invalid_details(*, field: str, rule: str, value: str | None = None, **facts: str) -> dict[str, str]:
    details = {"reason": "invalid_argument", "field": field, "rule": rule, **facts}
    if value is not None and _may_be_shown(field, value):
        details["value"] = value
    return details


def repeated(text: bytes) -> str:
    """What was given, for `details`: the caller's text where it is short and plain."""
    return text.decode() if _SHORT.fullmatch(text) else "what is not repeated here"


def no_such_event_yet(*, newest: int) -> PublicError:
    """Of a client that has been told more than there is: the exchange was restored from before it."""
    return invalid("There is no such event yet.", field="after", rule="maximum", maximum=str(newest))


def unauthenticated(message: str, *, reason: str) -> PublicError:
    return PublicError(AUTHENTICATION_ERROR, message, {"reason": reason})


def forbidden(message: str, *, reason: str, **facts: str) -> PublicError:
    return PublicError(AUTHORIZATION_ERROR, message, {"reason": reason, **facts})


def permission_missing(permission: str) -> PublicError:
    return forbidden("You are not allowed to do this.", reason="permission_required", permission=permission)


def unavailable(message: str, *, reason: str = "unavailable", **facts: str) -> PublicError:
    return PublicError(SERVICE_UNAVAILABLE, message, {"reason": reason, **facts})


def not_found(message: str = "There is nothing here.", *, reason: str = "not_found") -> PublicError:
    return PublicError(NOT_FOUND, message, {"reason": reason})


def internal() -> PublicError:
    return PublicError(INTERNAL_ERROR, "Something went wrong on our side. It has been recorded.", {})


def too_large(limit: int) -> PublicError:
    return PublicError(
        PAYLOAD_TOO_LARGE,
        f"The body is larger than {limit} bytes.",
        {
            "reason": "payload_too_large", "rule": "max_bytes", "limit": str(limit), "given": f"more than {limit}",
            "no_suggestion": NOT_READ,
        },
    )  # fmt: skip


def public_error_of(error: Exception) -> PublicError | None:
    """How the public sees this error; None for a bug, whose message is nobody's business."""
    if isinstance(error, PublicError):
        return error
    if isinstance(error, ServiceError):
        return _of_service_error(error)
    if isinstance(error, HTTPException):
        return _of_framework_error(error)
    return None


def _of_service_error(error: ServiceError) -> PublicError:
    code = MFA_REQUIRED if error.reason == "mfa_required" else _CODE_OF_KIND[error.kind]
    facts = dict(error.details)
    if "value" in facts and not _may_be_shown(facts.get("field", ""), facts["value"]):
        del facts["value"]
    # A whole body, which a detail can only carry as text.
    suggested = facts.pop("suggested", None)
    details = {"reason": error.reason, **{name: fact[:_DETAIL_LENGTH_MAX] for name, fact in facts.items()}}
    headers: tuple[tuple[str, str], ...] = ()
    if code in {RATE_LIMIT_EXCEEDED, SERVICE_UNAVAILABLE}:
        headers = (("Retry-After", _whole_seconds(facts.get("retry_after_seconds"))),)
    body = orjson.loads(suggested) if suggested is not None else None
    return PublicError(code, _sentence_of(error), details, headers, body)


def _sentence_of(error: ServiceError) -> str:
    # What gRPC itself says of a dead service names our addresses.
    if error.kind is ErrorKind.UNAVAILABLE and error.reason in {"unavailable", "deadline_exceeded", "cancelled"}:
        return "A part of the platform does not answer at the moment. Please try again."
    return error.message


def _whole_seconds(text: str | None) -> str:
    try:
        return str(max(1, int(float(text or RETRY_AFTER_SECONDS))))
    except (ValueError, OverflowError):
        return str(RETRY_AFTER_SECONDS)


def _of_framework_error(error: HTTPException) -> PublicError:
    headers = tuple((error.headers or {}).items())
    if error.status_code == STATUS_OF_CODE[NOT_FOUND]:
        return not_found()
    if error.status_code == STATUS_OF_CODE[METHOD_NOT_ALLOWED]:
        return PublicError(
            METHOD_NOT_ALLOWED, "This path does not take that method.", {"reason": "method_not_allowed"}, headers
        )
    return invalid("The request could not be read.", field="request", rule="readable")


def error_of_validation(error: ValidationError, *, rules: Mapping[str, str]) -> PublicError:
    """The first broken rule. `rules` gives names of our own to regular expressions."""
    return error_of_problem(error.errors(include_url=False)[0], rules=rules)


def error_of_problem(problem: Mapping[str, Any], *, rules: Mapping[str, str], inside: str = "body") -> PublicError:
    kind = str(problem["type"])
    field = ".".join(str(part) for part in problem["loc"])[:100] or inside
    if kind == "json_invalid":
        return invalid("The body is not valid JSON.", field=inside, rule="json")
    rule = _RULES.get(kind, kind)
    context = problem.get("ctx", {})
    if kind == "string_pattern_mismatch":
        rule = rules.get(context["pattern"], rule)
    facts = {
        name: str(context[key])
        for name, key in (
            ("minimum", "ge"),
            ("maximum", "le"),
            ("min_length", "min_length"),
            ("max_length", "max_length"),
        )
        if key in context
    }
    if kind == "literal_error":
        facts["one_of"] = str(context["expected"])
    given = problem.get("input")
    value = given if isinstance(given, str) and kind != "extra_forbidden" else None
    if not re.fullmatch(r"[\x20-\x7e]*", field):
        field = inside  # an unknown field's name is the caller's text
    return invalid(_sentence(field, rule), field=field, rule=rule, value=value, **facts)


def _sentence(field: str, rule: str) -> str:
    sentences = {
        "required": f"{field} is missing.",
        "unknown_field": f"{field} is not a field of this request.",
        "string": f"{field} must be a string.",
        "decimal_string": f'{field} must be a decimal number as a string, such as "0.25".',
    }
    return sentences.get(rule, f"{field} is not valid.")


def _may_be_shown(field: str, value: str) -> bool:
    return field.rpartition(".")[2].lower() not in SECRET_FIELDS and _SHOWN_VALUE.fullmatch(value) is not None
