"""What the owner of an account is told by mail, whoever did it."""

from datetime import timedelta
from enum import StrEnum

FREEZE_LINK_LIFETIME = timedelta(days=7)  # as long as people leave a mail unread


class NoticeEvent(StrEnum):
    """Notifications has a sentence for each."""

    ACCOUNT_FROZEN = "account_frozen"
    ACCOUNT_LOCKED = "account_locked"
    ACCOUNT_UNFROZEN = "account_unfrozen"
    API_KEY_CREATED = "api_key_created"
    NEW_DEVICE = "new_device"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - an event
    PASSWORD_RESET = "password_reset"  # noqa: S105 - an event
    PASSWORD_RESET_TWO_FACTOR_ON = "password_reset_two_factor_on"  # noqa: S105 - an event
    RECOVERY_CODE_USED = "recovery_code_used"
    RECOVERY_CODES_RENEWED = "recovery_codes_renewed"
    SESSION_COPIED = "session_copied"
    TWO_FACTOR_DISABLED = "two_factor_disabled"
    TWO_FACTOR_ENABLED = "two_factor_enabled"
