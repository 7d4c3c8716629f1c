"""Why the shell, not the exchange, gives no answer."""

from chassis.errors import ErrorKind, ServiceError


class QueueFull(ServiceError):
    kind = ErrorKind.UNAVAILABLE
    reason = "overloaded"

    def __init__(self) -> None:
        super().__init__("Too many commands wait; nothing happened, try again.")


class DeadlinePassed(ServiceError):
    """Refused before work began."""

    kind = ErrorKind.UNAVAILABLE
    reason = "deadline_exceeded"

    def __init__(self) -> None:
        super().__init__("The deadline passed before work began; nothing happened.")


class OutcomeUnknown(ServiceError):
    """It may have happened and may not. A retry with the same key finds out, and does it at most once."""

    kind = ErrorKind.UNAVAILABLE
    reason = "outcome_unknown"

    def __init__(self) -> None:
        super().__init__("The outcome is not known yet; ask again with the same key.")


class NotLeading(ServiceError):
    """This process does not decide (any more); nothing happened."""

    kind = ErrorKind.UNAVAILABLE
    reason = "not_leading"

    def __init__(self) -> None:
        super().__init__("The exchange is changing hands; nothing happened, try again.")


class HistoryBehind(ServiceError):
    """An answer needs the projection, which has not caught up. Nothing new happened."""

    kind = ErrorKind.UNAVAILABLE
    reason = "history_behind"

    def __init__(self) -> None:
        super().__init__("Older orders cannot be looked up just now; try again with the same key.")
