"""The one family of errors that services raise on purpose. Anything else is a bug and reaches nobody but the log."""

from enum import StrEnum


class ErrorKind(StrEnum):
    """What a caller can do about it. The chassis maps a kind to a gRPC status, the gateway a status to HTTP."""

    INVALID = "invalid"  # change the request
    UNAUTHENTICATED = "unauthenticated"  # prove who you are
    FORBIDDEN = "forbidden"  # ask for the right
    NOT_FOUND = "not_found"  # name something that exists
    CONFLICT = "conflict"  # it clashes with what is already so
    REJECTED = "rejected"  # well-formed, but a business rule says no
    EXHAUSTED = "exhausted"  # slow down
    UNAVAILABLE = "unavailable"  # try again later


class ServiceError(Exception):
    """An error with facts. Subclasses fix `kind` and `reason`, a stable machine word, and pass a sentence for people.

    `details` holds facts by name as strings; never a secret, since it travels to the caller.
    """

    kind: ErrorKind
    reason: str

    def __init__(self, message: str, **details: str) -> None:
        super().__init__(message)
        self.details: dict[str, str] = details

    @property
    def message(self) -> str:
        return str(self.args[0])


class InvalidArgument(ServiceError):
    """A field is malformed. `details` names the field and the rule it broke."""

    kind = ErrorKind.INVALID
    reason = "invalid_argument"

    def __init__(self, message: str, *, field: str, rule: str, **details: str) -> None:
        super().__init__(message, field=field, rule=rule, **details)


class Unavailable(ServiceError):
    """Something we depend on does not answer, or we are not ready. Nothing happened; the caller may try again."""

    kind = ErrorKind.UNAVAILABLE
    reason = "unavailable"


class RemoteError(ServiceError):
    """Another service answered with an error on purpose: the same facts, received. May travel on to our own caller."""

    def __init__(self, *, kind: ErrorKind, reason: str, message: str, details: dict[str, str] | None = None) -> None:
        super().__init__(message, **(details or {}))
        self.kind = kind
        self.reason = reason


class NoAnswer(RemoteError):
    """Nobody answered: the other service could not be reached, or not in time. What was asked may have been done."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(kind=ErrorKind.UNAVAILABLE, reason=reason, message=message)


class RemoteBugError(Exception):
    """Another service failed with an error that it did not raise on purpose: INTERNAL to our caller too."""


class MustEnd(Exception):
    """Raised in a service's background work where the process should end though nothing is wrong in it: its work is
    another's now, or its clock cannot be trusted. Whoever supervises it starts it anew.
    """
