"""Errors on the wire, in one place: as gRPC status with ErrorInfo, and as a Failure inside an open stream."""

from cryptovault.common.v1 import failure_pb2
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped] # ships none
from grpc import StatusCode
from grpc.aio import AioRpcError

from chassis.errors import ErrorKind, NoAnswer, RemoteBugError, RemoteError, ServiceError
from chassis.trust.call_table import ServiceNotAllowed
from chassis.trust.call_tokens import CallNotTrusted

ERROR_DOMAIN = "cryptovault"
STATUS_DETAILS_KEY = "grpc-status-details-bin"  # fixed by gRPC's richer error model
INTERNAL_MESSAGE = "An internal error occurred."

_STATUS_OF_KIND = {
    ErrorKind.INVALID: StatusCode.INVALID_ARGUMENT,
    ErrorKind.UNAUTHENTICATED: StatusCode.UNAUTHENTICATED,
    ErrorKind.FORBIDDEN: StatusCode.PERMISSION_DENIED,
    ErrorKind.NOT_FOUND: StatusCode.NOT_FOUND,
    ErrorKind.CONFLICT: StatusCode.ALREADY_EXISTS,
    ErrorKind.REJECTED: StatusCode.FAILED_PRECONDITION,
    ErrorKind.EXHAUSTED: StatusCode.RESOURCE_EXHAUSTED,
    ErrorKind.UNAVAILABLE: StatusCode.UNAVAILABLE,
}
_KIND_OF_STATUS = {status: kind for kind, status in _STATUS_OF_KIND.items()}
# What gRPC itself says when no service of ours did: the call did not get through, and may be tried again.
_TRANSPORT_REASONS = {
    StatusCode.UNAVAILABLE: "unavailable",
    StatusCode.DEADLINE_EXCEEDED: "deadline_exceeded",
    StatusCode.CANCELLED: "cancelled",
}
_NOT_ADMITTED = frozenset({CallNotTrusted.reason, ServiceNotAllowed.reason})
_STATUS_BY_NUMBER: dict[int, StatusCode] = {status.value[0]: status for status in StatusCode}


def status_of(error: ServiceError) -> StatusCode:
    return _STATUS_OF_KIND[error.kind]


def trailing_metadata(error: ServiceError) -> tuple[tuple[str, bytes], ...]:
    """The rich half of an error's status: `google.rpc.Status` with one ErrorInfo."""
    return _details(status_of(error), error.message, error.reason, error.details)


def internal_metadata() -> tuple[tuple[str, bytes], ...]:
    """The same for a bug: nothing but that it is one."""
    return _details(StatusCode.INTERNAL, INTERNAL_MESSAGE, "internal", {})


def translate(error: AioRpcError) -> RemoteError | RemoteBugError:
    """What a failed call means to us."""
    status = error.code()
    message = error.details() or status.name
    info = error_info(error)
    if info is not None and info.reason in _NOT_ADMITTED:
        # The services are set up wrong. The person behind the call is neither signed out nor lacks a right.
        return RemoteBugError(f"{status.name}: {message} ({info.reason})")
    if info is not None and status in _KIND_OF_STATUS:
        return RemoteError(
            kind=_KIND_OF_STATUS[status], reason=info.reason, message=message, details=dict(info.metadata)
        )
    if status in _TRANSPORT_REASONS:
        return NoAnswer(_TRANSPORT_REASONS[status], message)
    if status is StatusCode.RESOURCE_EXHAUSTED:
        return RemoteError(kind=ErrorKind.EXHAUSTED, reason="resource_exhausted", message=message)
    return RemoteBugError(f"{status.name}: {message}")


def failure_of(error: BaseException) -> failure_pb2.Failure:
    """One refused command inside an open stream. What is not our error is a bug, and its message stays with us."""
    if isinstance(error, ServiceError):
        return failure_pb2.Failure(
            status=status_of(error).value[0], reason=error.reason, message=error.message, details=error.details
        )
    return failure_pb2.Failure(status=StatusCode.INTERNAL.value[0], reason="internal", message=INTERNAL_MESSAGE)


def error_of(failure: failure_pb2.Failure) -> RemoteError | RemoteBugError:
    """The error a Failure tells of, for the caller to raise."""
    status = _STATUS_BY_NUMBER.get(failure.status, StatusCode.UNKNOWN)
    kind = _KIND_OF_STATUS.get(status)
    if status in _TRANSPORT_REASONS:
        kind = ErrorKind.UNAVAILABLE
    if kind is None:
        return RemoteBugError(f"{status.name}: {failure.message}")
    return RemoteError(kind=kind, reason=failure.reason, message=failure.message, details=dict(failure.details))


def _details(status: StatusCode, message: str, reason: str, facts: dict[str, str]) -> tuple[tuple[str, bytes], ...]:
    info = any_pb2.Any()
    info.Pack(error_details_pb2.ErrorInfo(reason=reason, domain=ERROR_DOMAIN, metadata=facts))
    rich = status_pb2.Status(code=status.value[0], message=message, details=[info])
    return ((STATUS_DETAILS_KEY, rich.SerializeToString()),)


def error_info(error: AioRpcError) -> error_details_pb2.ErrorInfo | None:
    """What a service of ours said beyond the status; None where gRPC itself ended the call."""
    # `grpc_status.rpc_status.from_call` does not take an AioRpcError, so the trailer is read here.
    for key, value in error.trailing_metadata() or ():
        if key != STATUS_DETAILS_KEY or not isinstance(value, bytes):
            continue
        rich = status_pb2.Status.FromString(value)
        for detail in rich.details:
            info = error_details_pb2.ErrorInfo()
            if detail.Unpack(info) and info.domain == ERROR_DOMAIN:
                return info
    return None
