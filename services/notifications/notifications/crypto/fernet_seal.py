"""Codes on their way to the worker: encrypted, and worthless once they have expired."""

import hashlib
import hmac
import json
from datetime import UTC, datetime

from cryptography.fernet import Fernet, InvalidToken

from notifications.use_cases.ports import Secret


class FernetSeal:
    """Fernet (AES-128-CBC with HMAC-SHA256): https://github.com/fernet/spec."""

    def __init__(self, key: str) -> None:
        """Raises ValueError where the key is not 32 bytes in URL-safe base64."""
        self._fernet = Fernet(key)
        # A key of its own for digests, so that neither use tells anything about the other.
        self._digest_key = hmac.digest(key.encode(), b"cryptovault notifications digest", hashlib.sha256)

    def close(self, secret: Secret) -> str:
        inside = {"code": secret.code, "name": secret.name, "expires_at": secret.expires_at.isoformat()}
        return self._fernet.encrypt(json.dumps(inside).encode()).decode()

    def open(self, sealed: str, now: datetime) -> Secret | None:
        try:
            inside = json.loads(self._fernet.decrypt(sealed.encode()))
        except InvalidToken:
            return None
        expires_at = datetime.fromisoformat(inside["expires_at"]).astimezone(UTC)
        if expires_at <= now:
            return None
        return Secret(code=inside["code"], name=inside["name"], expires_at=expires_at)

    def digest(self, *parts: str) -> str:
        # Lengths first: ("ab", "c") and ("a", "bc") must differ.
        message = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
        return hmac.new(self._digest_key, message, hashlib.sha256).hexdigest()
