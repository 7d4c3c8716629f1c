"""What the owner of an account is told by mail, whoever did it."""

from enum import StrEnum


class NoticeEvent(StrEnum):
    """Notifications has a sentence for each."""

    ACCOUNT_LOCKED = "account_locked"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - an event
    PASSWORD_RESET = "password_reset"  # noqa: S105 - an event
