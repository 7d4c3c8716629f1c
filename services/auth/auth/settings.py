from pathlib import Path
from typing import Literal, Self

from chassis.settings import ServiceSettings
from pydantic import Field, SecretStr, field_validator, model_validator

from auth.crypto.access_tokens import ED25519, HS256, retired_keys, shared_key, signing_key


class AuthSettings(ServiceSettings):
    """Settings of auth, read from CRYPTOVAULT_ variables. No secret has a default, in no profile."""

    listen: str = "127.0.0.1:18010"
    notifications_address: str = "127.0.0.1:18015"
    trading_queries_address: str = "127.0.0.1:18012"

    # Codes cannot be counted without Redis, and a code lost to one second's delay costs a person another mail.
    redis_timeout_seconds: float = Field(default=4.0, gt=0, le=30)

    issuer: str = Field(default="http://127.0.0.1:18000", min_length=1)
    audience: str = Field(default="cryptovault", min_length=1)
    jwt_algorithm: Literal["Ed25519", "HS256"] = ED25519
    # Ed25519 in PEM (PKCS 8), for the algorithm of that name.
    jwt_private_key: SecretStr | None = None
    # Ed25519 in PEM, one block after the other: keys that signed before, for the half hour that their tokens live.
    jwt_retired_keys: SecretStr | None = None
    # Shared with whoever verifies, for HS256; at least 32 bytes.
    jwt_secret: SecretStr | None = None
    # Root of the keys for refresh tokens and code digests. Unset: the signing key is the root, and changing that
    # one ends all sessions; set it before the signing key is changed and sessions live on.
    session_key: SecretStr | None = None

    # OWASP's Argon2id profile of 19 MiB and two passes, by its words as strong as that of 46 MiB and one. glibc keeps
    # up to 32 MiB from one hash to the next; above, it maps them anew each time, and half of a hash's time goes into
    # the kernel's zeros, which keep nobody out. Changing either rehashes passwords as people sign in.
    password_memory_kibibytes: int = Field(default=19_456, ge=1_024, le=1_048_576)
    password_passes: int = Field(default=2, ge=1, le=20)
    # One thread leaves the second core of a small machine to everybody else.
    password_threads: int = Field(default=1, ge=1, le=64)
    # From one hash of a thread to the next, at least. What a sign-in writes costs the database as much as ten reads do:
    # a flood at the hash's own pace would slow everybody who is in.
    password_pace_seconds: float = Field(default=0.2, ge=0, le=10)
    # Who would come after so many, or wait so long for a turn, is told to come back. A third of the time that a caller
    # has: the rest is for what a sign-in writes.
    password_waiting_max: int = Field(default=64, ge=1, le=10_000)
    password_wait_seconds_max: float = Field(default=3.0, gt=0, le=60)

    # A file on another volume than the database; unset: the log alone keeps the checkpoints of the audit trail.
    audit_anchors: Path | None = None
    # Hexadecimal, separated by commas: public keys whose checkpoints a verifier trusts, beside the root's own.
    audit_public_keys: str = Field(default="", pattern=r"^([0-9a-f]{64}(,[0-9a-f]{64})*)?$")

    @property
    def signing_secret(self) -> str:
        """What signs access tokens. Raises MissingSetting where it is not set."""
        return self.required("jwt_secret" if self.jwt_algorithm == HS256 else "jwt_private_key")

    @property
    def root_secret(self) -> str:
        return self.required("session_key") if self.session_key else self.signing_secret

    @field_validator("session_key")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            shared_key(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _key_fits_algorithm(self) -> Self:
        if self.jwt_algorithm == HS256 and self.jwt_secret is not None:
            shared_key(self.jwt_secret.get_secret_value())
        if self.jwt_algorithm == ED25519 and self.jwt_private_key is not None:
            signing_key(self.jwt_private_key.get_secret_value())
        if self.jwt_retired_keys is not None:
            retired_keys(self.jwt_retired_keys.get_secret_value())
            if self.session_key is None:
                # The signing key was the root of everything else: with it all sessions and second factors are gone.
                raise ValueError("CRYPTOVAULT_SESSION_KEY must be set before the signing key is changed")
        return self
