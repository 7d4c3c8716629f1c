"""Keys for each purpose from one root secret, and the one-way forms of what is compared but not stored."""

import hashlib
import hmac
import secrets
from uuid import UUID

from auth.domain.email_address import EmailAddress
from auth.domain.one_time_codes import CodePurpose

_SEPARATOR = b"\x00"  # in no address and no code, so no two pairs share a digest
_DIGEST_CHARACTERS = 32  # 128 bits


def derived_key(root: bytes, purpose: str) -> bytes:
    """32 bytes for one purpose alone (the expand step of HKDF, RFC 5869, for one block)."""
    return hmac.new(root, b"cryptovault/auth/" + purpose.encode() + b"\x01", hashlib.sha256).digest()


class KeyedDigests:
    """HMAC-SHA256. Without the key a stolen code digest would fall to a million guesses."""

    def __init__(self, root: bytes) -> None:
        self._code_key = derived_key(root, "one-time-code")
        self._email_key = derived_key(root, "email")
        self._recovery_key = derived_key(root, "recovery-code")
        self._origin_key = derived_key(root, "origin")

    def of_code(self, purpose: CodePurpose, email: EmailAddress, code: str) -> str:
        message = _SEPARATOR.join((purpose.encode(), email.encode(), code.encode()))
        return hmac.new(self._code_key, message, hashlib.sha256).hexdigest()

    def of_recovery_code(self, user_id: UUID, code: str) -> str:
        return hmac.new(self._recovery_key, user_id.bytes + code.encode(), hashlib.sha256).hexdigest()

    def of_email(self, email: EmailAddress) -> str:
        return hmac.new(self._email_key, email.encode(), hashlib.sha256).hexdigest()[:_DIGEST_CHARACTERS]

    def of_origin(self, address: str | None) -> str:
        """The caller's network address, as far as equality goes; all callers without one are the same origin."""
        return hmac.new(self._origin_key, (address or "").encode(), hashlib.sha256).hexdigest()[:_DIGEST_CHARACTERS]


class SystemRandomness:
    """The operating system's generator."""

    def below(self, limit: int) -> int:
        return secrets.randbelow(limit)

    def bytes(self, length: int) -> bytes:
        return secrets.token_bytes(length)
