"""Tokens that prove an earlier sign-in on a device (a "device cookie", as OWASP describes it); stored nowhere."""

import base64
import binascii
import hashlib
import hmac
from uuid import UUID

from auth.crypto.digests import derived_key
from auth.domain.devices import TOKEN_LENGTH_MAX, KnownDevice
from auth.domain.users import User

_ID_BYTES = 16
_PROOF_BYTES = 32
_RESETS_BYTES = 8


class SignedDeviceTokens:
    """Token = device id, HMAC-SHA256(key, user id, device id, resets of the password). Good for one account: it spares
    its holder the lock that strangers cause, and vouches for a repeated refresh. It lets nobody in who has not a
    password or session too. Where the owner takes the account back by mailbox, a thief's device is none of its own.
    """

    def __init__(self, root: bytes) -> None:
        self._key = derived_key(root, "device-token")

    def token(self, user: User, device: KnownDevice) -> str:
        raw = device.id.bytes + self._proof(user, device.id.bytes)
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    def read(self, user: User, token: str) -> KnownDevice | None:
        if not token or len(token) > TOKEN_LENGTH_MAX or not token.isascii():
            return None
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except binascii.Error:
            return None
        if len(raw) != _ID_BYTES + _PROOF_BYTES:
            return None
        device_id = raw[:_ID_BYTES]
        if not hmac.compare_digest(raw[_ID_BYTES:], self._proof(user, device_id)):
            return None
        return KnownDevice(UUID(bytes=device_id))

    def _proof(self, user: User, device_id: bytes) -> bytes:
        resets = user.password_resets.to_bytes(_RESETS_BYTES)
        return hmac.new(self._key, user.id.bytes + device_id + resets, hashlib.sha256).digest()
