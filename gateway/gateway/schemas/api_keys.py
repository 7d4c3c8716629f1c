"""API keys, asked for and shown."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.schemas.fields import (
    NETWORK_PATTERN,
    TIME_PATTERN,
    UUID_PATTERN,
    Identifier,
    Moment,
    ReplyBody,
    RequestBody,
)

Scope = Literal["read", "trade", "cancel", "transfer", "withdraw"]


class CreateApiKey(RequestBody):
    name: Annotated[str, Field(min_length=1, max_length=60)]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=5)]
    networks: list[Annotated[str, Field(pattern=NETWORK_PATTERN)]] = Field(
        default_factory=list,
        max_length=20,
        description="Addresses and CIDR ranges that it may be used from; none: from anywhere. A key with `transfer` or "
        "`withdraw` names them, none larger than a /24 (IPv6: /48).",
    )
    expires_at: Annotated[str, Field(pattern=TIME_PATTERN)] | None = Field(
        default=None, description="Within 366 days; never, if left out."
    )


class ApiKeyPath(RequestBody):
    key_id: Annotated[str, Field(pattern=UUID_PATTERN)]


class ApiKey(ReplyBody):
    id: Identifier
    name: str
    scopes: list[Scope]
    networks: list[str]
    created_at: Moment
    expires_at: Moment | None
    last_used_at: Moment | None = Field(description="To the minute.")


class CreatedApiKey(ApiKey):
    secret: str = Field(description="Signs requests. Shown this once.")


class ApiKeyPage(ReplyBody):
    items: list[ApiKey]
    next_cursor: None
