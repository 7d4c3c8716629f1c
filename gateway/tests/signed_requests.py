"""Requests that an API key signs, as the documentation tells programs to."""

import hashlib
import hmac
import secrets
import time

from facts import KEY, KEY_SECRET


def signed(
    method: str,
    path: str,
    *,
    query: str = "",
    body: bytes = b"",
    key: str = KEY,
    secret: str = KEY_SECRET,
    timestamp: int | None = None,
    nonce: str | None = None,
) -> dict[str, str]:
    """The headers of it."""
    moment = str(int(time.time() * 1000) if timestamp is None else timestamp)
    once = secrets.token_hex(8) if nonce is None else nonce
    text = "\n".join((moment, once, method, path, query, hashlib.sha256(body).hexdigest()))
    signature = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return {"X-API-Key": key, "X-API-Timestamp": moment, "X-API-Nonce": once, "X-API-Signature": signature}
