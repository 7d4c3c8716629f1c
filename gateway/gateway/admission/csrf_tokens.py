"""CSRF tokens that belong to one session: signed double submit (OWASP, Cross-Site Request Forgery Prevention)."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from hmac import compare_digest

PURPOSE = "csrf token"  # of the secret, among those of the gateway
_NONCE_BYTES = 16
_PROOF_BYTES = 16  # guessed by nobody: each try is a request
_TOKEN_LENGTH = (_NONCE_BYTES + 2 * _PROOF_BYTES) * 4 // 3  # base64url, without a rest


class CsrfTokens:
    """Token = nonce, HMAC-SHA256 over the session's id, HMAC-SHA256 over its refresh token; stored nowhere.

    Double submit alone asks that header and cookie agree, so whoever can plant a cookie plants both halves of a pair
    of their own. Here the pair must have been made for the session that it speaks for. Twice, because a request shows
    either the access token, which names its session, or the refresh token, which names nothing to us; both come and
    go together with the CSRF token.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        """The first key signs; what any of them has signed is good."""
        self._keys = tuple(keys)

    def issue(self, *, session_id: str, refresh_token: str) -> str:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        key = self._keys[0]
        token = nonce + _proof(key, b"session", nonce, session_id) + _proof(key, b"refresh", nonce, refresh_token)
        return base64.urlsafe_b64encode(token).decode()

    def is_of_session(self, token: str, session_id: str) -> bool:
        nonce, of_session, _ = _parts(token)
        return any(compare_digest(of_session, _proof(key, b"session", nonce, session_id)) for key in self._keys)

    def is_of_refresh_token(self, token: str, refresh_token: str) -> bool:
        nonce, _, of_refresh = _parts(token)
        return any(compare_digest(of_refresh, _proof(key, b"refresh", nonce, refresh_token)) for key in self._keys)


def _parts(token: str) -> tuple[bytes, bytes, bytes]:
    """Nonce and proofs; empty ones, which prove nothing, for what no token looks like."""
    if len(token) != _TOKEN_LENGTH or not token.isascii():
        return b"", b"", b""
    try:
        raw = base64.b64decode(token, altchars=b"-_", validate=True)
    except ValueError:
        return b"", b"", b""
    return raw[:_NONCE_BYTES], raw[_NONCE_BYTES:-_PROOF_BYTES], raw[-_PROOF_BYTES:]


def _proof(key: bytes, kind: bytes, nonce: bytes, value: str) -> bytes:
    # Both before it have one length each, so no other pair makes the same text.
    return hmac.new(key, kind + nonce + value.encode(), hashlib.sha256).digest()[:_PROOF_BYTES]
