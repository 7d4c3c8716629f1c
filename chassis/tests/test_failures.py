import pytest
from chassis.errors import ErrorKind, RemoteBugError, RemoteError, ServiceError
from chassis.failures import error_of, failure_of, status_of
from grpc import StatusCode


class OrderTooSmall(ServiceError):
    kind = ErrorKind.REJECTED
    reason = "below_min_notional"


def test_a_refused_command_in_a_stream_carries_the_same_facts_as_a_call() -> None:
    failure = failure_of(OrderTooSmall("Too small.", limit="5"))
    assert failure.status == StatusCode.FAILED_PRECONDITION.value[0]
    error = error_of(failure)
    assert isinstance(error, RemoteError)
    assert (error.kind, error.reason, error.message, error.details) == (
        ErrorKind.REJECTED,
        "below_min_notional",
        "Too small.",
        {"limit": "5"},
    )


def test_a_bug_in_a_stream_tells_nothing() -> None:
    failure = failure_of(KeyError("hunter2"))
    assert "hunter2" not in str(failure)
    assert isinstance(error_of(failure), RemoteBugError)


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_every_kind_has_a_status_of_its_own_and_comes_back(kind: ErrorKind) -> None:
    sent = RemoteError(kind=kind, reason="r", message="m")
    received = error_of(failure_of(sent))
    assert isinstance(received, RemoteError)
    assert received.kind is kind
    assert len({status_of(RemoteError(kind=each, reason="", message="")) for each in ErrorKind}) == len(ErrorKind)
