"""What notifications refuses, and why."""

from chassis.errors import ErrorKind, ServiceError


class MessageIdReused(ServiceError):
    """The same id with other contents: the caller has mixed up two messages."""

    kind = ErrorKind.CONFLICT
    reason = "message_id_reused"

    def __init__(self, *, message_id: str) -> None:
        super().__init__("This message id was used for another message.", message_id=message_id)


class CodeExpired(ServiceError):
    """The code is worth nothing any more; nothing was sent."""

    kind = ErrorKind.REJECTED
    reason = "code_expired"

    def __init__(self) -> None:
        super().__init__("The code has expired.")
