"""The cookies of a browser session. Names and attributes are part of the public API."""

from collections.abc import Mapping
from hmac import compare_digest

ACCESS_COOKIE = "__Host-cv_access"
REFRESH_COOKIE = "__Secure-cv_refresh"
# Proves at a later sign-in that this browser has signed in before. Stays when its session ends.
DEVICE_COOKIE = "__Secure-cv_device"
CSRF_COOKIE = "__Host-cv_csrf"
CSRF_HEADER = b"x-csrf-token"
_REFRESH_PATH = "/api/v1/auth"  # the one place where it is worth anything
_DEVICE_SECONDS = 365 * 24 * 3600


def read_cookies(header: bytes | None) -> dict[str, str]:
    """By name; a name that comes twice counts as not sent, so that nobody can shadow a cookie of ours."""
    found: dict[str, str] = {}
    twice: set[str] = set()
    for part in (header or b"").decode("latin-1").split(";"):
        # Of spaces alone: with what else Python takes for one before it, a name is not ours, and a browser would let
        # another host of our domain write it.
        name, separator, value = part.strip(" \t").partition("=")
        if not separator:
            continue
        if name in found:
            twice.add(name)
        found[name] = value.strip('"')
    return {name: value for name, value in found.items() if name not in twice}


def submitted_csrf_token(cookies: Mapping[str, str], headers: Mapping[bytes, bytes]) -> str | None:
    """Double submit: the header repeats the cookie, which no other site's page can read. None where it does not."""
    kept = cookies.get(CSRF_COOKIE, "")
    return kept if kept and compare_digest(headers.get(CSRF_HEADER, b""), kept.encode("latin-1")) else None


def session_cookies(
    *,
    access_token: str,
    access_seconds: int,
    refresh_token: str,
    refresh_seconds: int,
    csrf_token: str,
    device_token: str,
) -> list[str]:
    """Set-Cookie values that sign a browser in. Without a device token it keeps the one that it has."""
    refresh_scope = f"Path={_REFRESH_PATH}; Max-Age={refresh_seconds}"
    device_scope = f"Path={_REFRESH_PATH}; Max-Age={_DEVICE_SECONDS}"
    cookies = [
        f"{ACCESS_COOKIE}={access_token}; Path=/; Max-Age={access_seconds}; Secure; HttpOnly; SameSite=Lax",
        f"{REFRESH_COOKIE}={refresh_token}; {refresh_scope}; Secure; HttpOnly; SameSite=Strict",
        f"{CSRF_COOKIE}={csrf_token}; Path=/; Max-Age={refresh_seconds}; Secure; SameSite=Strict",
    ]
    if device_token:
        cookies.append(f"{DEVICE_COOKIE}={device_token}; {device_scope}; Secure; HttpOnly; SameSite=Strict")
    return cookies


def cleared_cookies() -> list[str]:
    """Set-Cookie values that sign it out."""
    return [
        f"{ACCESS_COOKIE}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax",
        f"{REFRESH_COOKIE}=; Path={_REFRESH_PATH}; Max-Age=0; Secure; HttpOnly; SameSite=Strict",
        f"{CSRF_COOKIE}=; Path=/; Max-Age=0; Secure; SameSite=Strict",
    ]
