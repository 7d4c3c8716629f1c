"""Secrets that must be read again, such as an app's, as they lie in the database: AES-256-GCM (NIST SP 800-38D)."""

import base64
import binascii
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from auth.crypto.digests import derived_key

_NONCE_BYTES = 12


class SealBroken(Exception):
    """It was sealed by another key or for another owner, or somebody changed it."""


class RootSeal:
    """`purpose` and `owner` are bound in: a sealed secret moved to another row opens nothing."""

    def __init__(self, root: bytes) -> None:
        self._cipher = AESGCM(derived_key(root, "seal"))

    def close(self, secret: bytes, *, purpose: str, owner: str) -> str:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, secret, _bound(purpose, owner))
        return base64.b64encode(nonce + sealed).decode()

    def open(self, sealed: str, *, purpose: str, owner: str) -> bytes:
        """Raises SealBroken."""
        try:
            raw = base64.b64decode(sealed, validate=True)
            return self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _bound(purpose, owner))
        except (binascii.Error, InvalidTag, ValueError) as error:
            raise SealBroken from error


def _bound(purpose: str, owner: str) -> bytes:
    return f"{purpose}\x00{owner}".encode()
