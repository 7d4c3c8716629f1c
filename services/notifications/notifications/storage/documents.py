"""The collections of notifications."""

from datetime import datetime, timedelta
from typing import Any

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel

MAILS_KEPT = timedelta(days=90)  # a record for support; addresses are personal and not kept longer
ALLOWANCES_KEPT = timedelta(hours=3)


class MailDocument(Document):
    """One mail. `reason` says why it waits or failed. Never a code, sealed or not."""

    id: str  # type: ignore[assignment] # the caller's message id, or the fact the mail tells of
    kind: str
    user_id: str
    recipient: str | None
    facts: dict[str, str]
    # Order mails only: what was filled beside the order in `facts`. Not in rows of earlier versions.
    other_orders: list[dict[str, str]] = Field(default_factory=list)
    unlisted_orders: bool = False
    digest: str
    status: str
    reason: str | None
    attempts: int
    created_at: datetime
    updated_at: datetime
    due_at: datetime
    expires_at: datetime | None
    claimed_until: datetime | None
    provider_id: str | None

    class Settings:
        name = "mails"
        indexes = (
            IndexModel([("status", ASCENDING), ("due_at", ASCENDING)], name="status_due_at"),
            IndexModel(
                [("created_at", ASCENDING)], expireAfterSeconds=int(MAILS_KEPT.total_seconds()), name="retention"
            ),
        )


class NotificationDocument(Document):
    """What a user is told inside the application."""

    id: str  # type: ignore[assignment] # the fact it tells of, so that it is told once
    user_id: str
    kind: str
    facts: dict[str, str]
    created_at: datetime
    read_at: datetime | None

    class Settings:
        name = "notifications"
        indexes = (IndexModel([("user_id", ASCENDING), ("created_at", DESCENDING)], name="user_id_created_at"),)


class MailAllowanceDocument(Document):
    """How many order mails a user got in one hour of the journal's time."""

    id: str  # type: ignore[assignment] # user and hour
    mails: int
    created_at: datetime

    class Settings:
        name = "mail_allowances"
        indexes = (
            IndexModel(
                [("created_at", ASCENDING)], expireAfterSeconds=int(ALLOWANCES_KEPT.total_seconds()), name="retention"
            ),
        )


DOCUMENTS: list[type[Document]] = [MailDocument, NotificationDocument, MailAllowanceDocument]
Row = dict[str, Any]
