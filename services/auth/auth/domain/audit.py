"""What happened to an account, by whom: never changed, never removed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class AuditAction(StrEnum):
    """A past tense each; stable, since people and programs search by them."""

    ACCOUNT_FROZEN = "account_frozen"
    ACCOUNT_UNFROZEN = "account_unfrozen"
    API_KEY_CREATED = "api_key_created"
    API_KEY_REVOKED = "api_key_revoked"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - an action
    PASSWORD_RESET = "password_reset"  # noqa: S105 - an action
    ROLE_GRANTED = "role_granted"
    ROLE_REVOKED = "role_revoked"
    RECOVERY_CODES_RENEWED = "recovery_codes_renewed"
    STEPPED_UP = "stepped_up"
    TWO_FACTOR_DISABLED = "two_factor_disabled"
    TWO_FACTOR_ENABLED = "two_factor_enabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """`user_id` is whose account it concerns; `actor` who did it: `user:<id>`, `operator:<name>` or a service."""

    id: UUID
    user_id: UUID
    actor: str
    action: AuditAction
    # What exactly, where the account alone does not say it, such as `role:admin`.
    resource: str | None
    address: str | None
    session_id: str | None
    request_id: str
    timestamp: datetime
    details: Mapping[str, str] = field(default_factory=dict)
