"""Headers that every reply carries, whoever made it."""

API_CONTENT_POLICY = b"default-src 'none'; frame-ancestors 'none'"
# Our own pages load their style from us and nothing else from anywhere.
PAGE_CONTENT_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    # Browsers ignore it over plain HTTP, so it may always be sent.
    (b"strict-transport-security", b"max-age=63072000; includeSubDomains"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
DEFAULT_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", API_CONTENT_POLICY),
    # Nothing here may be kept by a cache unless its route says so.
    (b"cache-control", b"no-store"),
)
