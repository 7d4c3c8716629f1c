"""Which web origins may talk to us with a user's cookies: those listed, and our own."""

from collections.abc import Mapping
from urllib.parse import urlsplit

_PREFLIGHT_SECONDS = 600
_EXPOSED = (
    "X-Request-ID, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, "
    "Idempotency-Replayed, X-Data-Behind, ETag"
)
_ALLOWED_REQUEST_HEADERS = "Authorization, Content-Type, Idempotency-Key, If-None-Match, X-CSRF-Token, X-Request-ID"


class Origins:
    def __init__(self, allowed: tuple[str, ...]) -> None:
        self._reply_headers: dict[bytes, list[tuple[bytes, bytes]]] = {
            origin.encode(): [
                (b"access-control-allow-origin", origin.encode()),
                (b"access-control-allow-credentials", b"true"),
                (b"access-control-expose-headers", _EXPOSED.encode()),
            ]
            for origin in allowed
        }

    def reply_headers(self, origin: bytes | None) -> list[tuple[bytes, bytes]]:
        """What a reply to this origin carries; nothing for one that is not listed, so its scripts cannot read it."""
        return [] if origin is None else self._reply_headers.get(origin, [])

    def preflight_headers(self, origin: bytes) -> list[tuple[bytes, bytes]] | None:
        """None where the origin is not listed."""
        allowed = self._reply_headers.get(origin)
        if allowed is None:
            return None
        return [
            *allowed,
            (b"access-control-allow-methods", b"GET, POST, PATCH, DELETE"),
            (b"access-control-allow-headers", _ALLOWED_REQUEST_HEADERS.encode()),
            (b"access-control-max-age", str(_PREFLIGHT_SECONDS).encode()),
        ]

    def may_use_cookies(self, headers: Mapping[bytes, bytes]) -> bool:
        """True where the Origin header names a listed origin, or the very host that was asked.

        The scheme of our own origin is not compared: a proxy in front may have ended TLS.
        """
        origin = headers.get(b"origin")
        if origin is None:
            return False
        if origin in self._reply_headers:
            return True
        try:
            parts = urlsplit(origin.decode("latin-1"))
        except ValueError:
            return False  # half an IPv6 address, say
        host = headers.get(b"host", b"").decode("latin-1").lower()
        return parts.scheme in {"http", "https"} and bool(host) and parts.netloc.lower() == host
