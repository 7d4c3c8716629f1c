"""Refresh tokens that are stored nowhere: 256 bits each, made anew from the session's random seed and a key."""

import base64
import binascii
import hashlib
import hmac
from uuid import UUID

from auth.crypto.digests import derived_key
from auth.domain.sessions import Session
from auth.use_cases.crypto_ports import PresentedToken

_ID_BYTES = 16
_GENERATION_BYTES = 4
_PROOF_BYTES = 32
_TOKEN_BYTES = _ID_BYTES + _GENERATION_BYTES + _PROOF_BYTES
_TEXT_LENGTH = -(-_TOKEN_BYTES * 8 // 6)  # base64url without padding


class SeededRefreshTokens:
    """Token = session id, generation, HMAC-SHA256(key, seed, id, generation); opaque to clients.

    The database holds the seed but not the key, so a stolen copy of it yields no token; not even a hash lies there.
    Any generation can be recognised for ever, so the reuse of a token however old is seen, while a made-up one with
    a known session id is not taken for a reuse (it would sign people out). A lost reply can be answered again with
    the same successor, without having kept it.
    """

    def __init__(self, root: bytes) -> None:
        self._key = derived_key(root, "refresh-token")

    def token(self, session: Session, generation: int) -> str:
        head = session.id.bytes + generation.to_bytes(_GENERATION_BYTES)
        return base64.urlsafe_b64encode(head + self._proof(session.seed, head)).rstrip(b"=").decode()

    def read(self, text: str) -> PresentedToken | None:
        """None for what no token looks like."""
        if len(text) != _TEXT_LENGTH or not text.isascii():
            return None
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except binascii.Error:
            return None
        return PresentedToken(
            session_id=UUID(bytes=raw[:_ID_BYTES]),
            generation=int.from_bytes(raw[_ID_BYTES : _ID_BYTES + _GENERATION_BYTES]),
            proof=raw[-_PROOF_BYTES:],
        )

    def is_genuine(self, token: PresentedToken, session: Session) -> bool:
        head = token.session_id.bytes + token.generation.to_bytes(_GENERATION_BYTES)
        return hmac.compare_digest(token.proof, self._proof(session.seed, head))

    def _proof(self, seed: bytes, head: bytes) -> bytes:
        return hmac.new(self._key, seed + head, hashlib.sha256).digest()
