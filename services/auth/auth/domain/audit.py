"""Who did what, to whose account: never changed, never removed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class AuditAction(StrEnum):
    """A past tense each; stable, since people and programs search by them. Other services name their own."""

    ACCOUNT_FROZEN = "account_frozen"
    ACCOUNT_UNFROZEN = "account_unfrozen"
    API_KEY_CREATED = "api_key_created"
    API_KEY_REVOKED = "api_key_revoked"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - an action
    PASSWORD_RESET = "password_reset"  # noqa: S105 - an action
    PROFILE_CHANGED = "profile_changed"
    ROLE_GRANTED = "role_granted"
    ROLE_REVOKED = "role_revoked"
    RECOVERY_CODES_RENEWED = "recovery_codes_renewed"
    SESSION_ENDED = "session_ended"
    SIGNED_IN = "signed_in"
    STEPPED_UP = "stepped_up"
    TWO_FACTOR_DISABLED = "two_factor_disabled"
    TWO_FACTOR_ENABLED = "two_factor_enabled"
    TWO_FACTOR_REMOVED = "two_factor_removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """`actor` is who did it: `user:<id>`, `operator:<name>` or a service. No field holds a secret."""

    id: UUID
    # Whose account it concerns; None where it is the platform's own, such as a market.
    user_id: UUID | None
    actor: str
    action: str
    # What exactly, where the account alone does not say it, such as `role:admin`.
    resource: str | None
    address: str | None
    # Or the API key.
    session_id: str | None
    request_id: str
    timestamp: datetime
    details: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_by_its_user(self) -> bool:
        return self.user_id is not None and self.actor == f"user:{self.user_id}"
