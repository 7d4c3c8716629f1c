"""The one shape of an error."""

from typing import Literal

from pydantic import Field

from gateway.errors import STATUS_OF_CODE
from gateway.schemas.fields import Moment, ReplyBody

ErrorCode = Literal[
    "VALIDATION_ERROR",
    "AUTHENTICATION_ERROR",
    "MFA_REQUIRED",
    "AUTHORIZATION_ERROR",
    "NOT_FOUND",
    "METHOD_NOT_ALLOWED",
    "CONFLICT",
    "PAYLOAD_TOO_LARGE",
    "ORDER_REJECTED",
    "RATE_LIMIT_EXCEEDED",
    "INTERNAL_ERROR",
    "SERVICE_UNAVAILABLE",
]
DESCRIPTIONS = {
    400: "The request must change: `details.field` and `details.rule` say where and why.",
    401: "Not signed in, or no longer: `details.reason` says which.",
    403: "Signed in, but not allowed; or a browser's request that another site may have made.",
    404: "There is no such thing, or it is somebody else's.",
    405: "The path does not take that method; `Allow` lists those it takes.",
    409: "It clashes with what is already so, such as an idempotency key used for another request.",
    413: "The body is larger than 64 KiB.",
    422: "Well-formed, but a rule of the exchange says no: `details` holds the limit, your value, a body that passes.",
    429: "Too many requests; `Retry-After` says when to come again.",
    500: "A bug of ours. It has been recorded under the request id.",
    503: "A part of the platform does not answer. Nothing happened unless `details.reason` is `outcome_unknown`.",
}


class ErrorFacts(ReplyBody):
    code: ErrorCode
    message: str = Field(description="A sentence for people; it may change.")
    request_id: str = Field(description="Quote it when you ask us.")
    timestamp: Moment
    details: dict[str, str | dict[str, str | bool]] = Field(
        description="Words, and for a refused order a body. `reason` is a stable machine word; where one field is at "
        "fault, `field` and `rule` name it. `suggested` is the body of an order or an amendment that would be accepted "
        "now; where there is none, `no_suggestion` says why.",
        examples=[{"reason": "insufficient_funds", "required": "100.10", "available": "20.00", "asset": "USD"}],
    )


class ErrorReply(ReplyBody):
    error: ErrorFacts


def code_of_status(status: int) -> str:
    return next(code for code, number in STATUS_OF_CODE.items() if number == status)
