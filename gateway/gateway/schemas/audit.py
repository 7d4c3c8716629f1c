"""Entries of the audit trail."""

from typing import Literal

from pydantic import Field

from gateway.schemas.fields import Identifier, Moment, ReplyBody


class _Entry(ReplyBody):
    id: Identifier
    time: Moment
    action: str = Field(description="`order_placed`, `transfer_posted`, `password_changed`, `api_key_created`, ...")
    resource: str | None = Field(description="What exactly, such as `order:<id>`.")
    address: str | None = Field(description="Where the request came from.")
    session_id: str | None = Field(description="The session or API key.")
    request_id: str
    details: dict[str, str]


class OwnAuditEntry(_Entry):
    """Of what others did, address and session are not told."""

    actor: Literal["you", "staff", "platform"]


class OwnAuditPage(ReplyBody):
    items: list[OwnAuditEntry]
    next_cursor: str | None


class AuditEntry(_Entry):
    user_id: Identifier | None = Field(description="Whose account it concerns; null where it is the platform's own.")
    actor: str = Field(description="`user:<id>`, `operator:<name>` or a service.")
    stream: str
    sequence: int = Field(description="Counts the stream's entries without gap.")
    hash: str = Field(description="SHA-256, in hexadecimal; the next entry of the stream carries it.")


class AuditPage(ReplyBody):
    items: list[AuditEntry]
    next_cursor: str | None
