"""What auth keeps in MongoDB, and by which indexes it is found."""

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from beanie import Document
from pydantic import BaseModel, ConfigDict, Field
from pymongo import ASCENDING, DESCENDING, IndexModel

LOGIN_ATTEMPTS_KEPT_SECONDS = 2_592_000  # 30 days, as the product document says
STRANGERS_KEPT_SECONDS = 172_800  # the longest lock, and as long again as it counts


class ClaimFields(BaseModel):
    origin: str
    open_until: datetime
    codes_sent: int
    codes_since: datetime
    revision: int
    contested: bool = False


class CodeCountFields(BaseModel):
    sent: int
    since: datetime


class AuditStreamFields(BaseModel):
    stream: str
    sequence: int
    hash: bytes


class UserDocument(Document):
    """The product document's `users`: `_id` is the database's own, `id` the application's. From `last_failed_login` on
    they are ours.
    """

    model_config = ConfigDict(populate_by_name=False, validate_by_name=False, validate_by_alias=True)

    application_id: Annotated[UUID, Field(alias="id")]
    email: str
    password_hash: Annotated[str, Field(repr=False)]
    name: str
    email_verified: bool
    two_factor_enabled: bool
    created_at: datetime
    last_login: datetime | None
    failed_login_attempts: int
    locked_until: datetime | None
    last_failed_login: datetime | None
    # Since the last quiet day or sign-in.
    login_locks: int = 0
    roles: list[str]
    sign_up: ClaimFields | None
    reset_codes: CodeCountFields | None = None
    frozen_at: datetime | None = None
    password_resets: int = 0

    class Settings:
        name = "users"
        indexes: ClassVar = [
            IndexModel([("email", ASCENDING)], unique=True),
            IndexModel([("id", ASCENDING)], unique=True),
            IndexModel([("last_login", ASCENDING)]),
        ]


class StrangerDocument(Document):
    """Failures of whoever has no row of their own: at an address without an account, of a known device, of a second
    factor. The id says which, an address by its digest.
    """

    id: str  # type: ignore[assignment] # beanie's own id is an ObjectId
    failed_login_attempts: int
    last_failed_login: datetime | None
    locked_until: datetime | None
    login_locks: int = 0

    class Settings:
        name = "strangers"
        indexes: ClassVar = [IndexModel([("last_failed_login", ASCENDING)], expireAfterSeconds=STRANGERS_KEPT_SECONDS)]


class LoginAttemptDocument(Document):
    user_id: UUID | None
    email_digest: str
    ip_address: str | None
    succeeded: bool
    reason: str
    timestamp: datetime

    class Settings:
        name = "login_attempts"
        indexes: ClassVar = [
            IndexModel([("timestamp", ASCENDING)], expireAfterSeconds=LOGIN_ATTEMPTS_KEPT_SECONDS),
            IndexModel([("user_id", ASCENDING), ("timestamp", ASCENDING)]),
        ]


class SessionDocument(Document):
    """The seed is useless without the key that is not in the database.

    `kept_until` is the latest end a session can have. Unlike `expires_at` it never changes, so that a refresh, the
    most frequent write of all, touches no index.
    """

    id: UUID  # type: ignore[assignment] # beanie's own id is an ObjectId
    user_id: UUID
    seed: Annotated[bytes, Field(repr=False)]
    generation: int
    created_at: datetime
    rotated_at: datetime
    rotated_by_device: bool = False  # nor had those of before this was asked shown anything
    expires_at: datetime
    device_id: UUID | None = None  # sessions that were opened before devices were known are each their own
    device_name: str = ""
    address: str | None = None
    revoked_at: datetime | None
    stepped_up_until: datetime | None = None
    kept_until: datetime

    class Settings:
        name = "sessions"
        indexes: ClassVar = [
            IndexModel([("user_id", ASCENDING)]),
            IndexModel([("kept_until", ASCENDING)], expireAfterSeconds=0),
        ]


class SecondFactorDocument(Document):
    """By user. Secrets are sealed under a key that is not in the database, recovery codes are keyed digests."""

    id: UUID  # type: ignore[assignment] # beanie's own id is an ObjectId
    secret: Annotated[str | None, Field(repr=False)] = None
    proposed_secret: Annotated[str | None, Field(repr=False)] = None
    last_step: int
    recovery_digests: list[str]

    class Settings:
        name = "second_factors"


class ApiKeyDocument(Document):
    """The secret is sealed under a key that is not in the database."""

    id: UUID  # type: ignore[assignment] # beanie's own id is an ObjectId
    user_id: UUID
    name: str
    scopes: list[str]
    networks: list[str]
    secret: Annotated[str, Field(repr=False)]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None

    class Settings:
        name = "api_keys"
        indexes: ClassVar = [IndexModel([("user_id", ASCENDING), ("created_at", DESCENDING)])]


class BlacklistedTokenDocument(Document):
    """The access tokens of one session, named by the session they carry (`sid`), void until the last has expired; or an
    API key that a gateway may still remember.
    """

    id: UUID  # type: ignore[assignment] # beanie's own id is an ObjectId
    user_id: UUID
    revoked_at: datetime
    expires_at: datetime

    class Settings:
        name = "blacklisted_tokens"
        indexes: ClassVar = [IndexModel([("expires_at", ASCENDING)], expireAfterSeconds=0)]


class AuditLogDocument(Document):
    """The product document's `audit_logs`, with who did it, in which session and request, and its place in the chain of
    its stream. Rows are written by `storage.audit_trail` alone, and never again.
    """

    model_config = ConfigDict(populate_by_name=False, validate_by_name=False, validate_by_alias=True)

    application_id: Annotated[UUID, Field(alias="id")]
    user_id: UUID | None
    actor: str
    action: str
    resource: str | None
    ip_address: str | None
    session_id: str | None
    request_id: str
    timestamp: datetime
    details: dict[str, str]
    stream: str
    sequence: int
    previous_hash: bytes
    hash: bytes
    format: int

    class Settings:
        name = "audit_logs"
        indexes: ClassVar = [
            # Partial, since rows of before there were chains have neither; they are shown to nobody.
            IndexModel(
                [("stream", ASCENDING), ("sequence", ASCENDING)],
                unique=True,
                partialFilterExpression={"sequence": {"$exists": True}},
            ),
            IndexModel([("id", ASCENDING)], unique=True),
            IndexModel([("user_id", ASCENDING), ("timestamp", DESCENDING)]),
            IndexModel([("action", ASCENDING), ("timestamp", DESCENDING)]),
            IndexModel([("timestamp", ASCENDING)]),
        ]


class DeferredAuditDocument(Document):
    """An entry of the audit trail that waits for its place in the chain, by its id."""

    id: UUID  # type: ignore[assignment] # beanie's own id is an ObjectId
    user_id: UUID | None
    actor: str
    action: str
    resource: str | None
    ip_address: str | None
    session_id: str | None
    request_id: str
    timestamp: datetime
    details: dict[str, str]

    class Settings:
        name = "audit_deferred"


class AuditStreamDocument(Document):
    """The end of each stream's chain. Whoever appends changes it, so that of two writers one waits."""

    id: str  # type: ignore[assignment] # the stream's name
    sequence: int
    hash: bytes

    class Settings:
        name = "audit_streams"


class AuditCheckpointDocument(Document):
    """A signed statement of all streams' ends. The id is its number."""

    id: int  # type: ignore[assignment]
    taken_at: datetime
    heads: list[AuditStreamFields]
    previous_hash: bytes
    hash: bytes
    public_key: bytes
    signature: bytes

    class Settings:
        name = "audit_checkpoints"


DOCUMENTS: list[type[Document]] = [
    UserDocument,
    StrangerDocument,
    LoginAttemptDocument,
    SessionDocument,
    BlacklistedTokenDocument,
    AuditLogDocument,
    AuditStreamDocument,
    DeferredAuditDocument,
    AuditCheckpointDocument,
    SecondFactorDocument,
    ApiKeyDocument,
]
