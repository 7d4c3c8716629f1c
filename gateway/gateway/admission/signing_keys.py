"""The public keys of auth: fetched once, again when they are old, and, not too often, when a token names another."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import orjson
from chassis.clock import Clock
from chassis.errors import RemoteBugError, ServiceError
from chassis.logs import get_logger
from joserfc.errors import JoseError
from joserfc.jwk import OctKey, OKPKey

from gateway.errors import unavailable

_FRESH_SECONDS = 300.0
_PAUSE_SECONDS = 5.0  # between fetches for unknown names: a flood of forged tokens must not become a flood on auth
_KEYS_MAX = 16

log = get_logger(__name__)


class KeySource(Protocol):
    async def find(self, key_id: str) -> OKPKey | OctKey | None:
        """The key of that name; PublicError 503 where keys cannot be had."""
        ...

    async def document(self) -> bytes:
        """The public keys, as a JSON Web Key Set."""
        ...

    @property
    def known(self) -> bool:
        """Whether tokens can be verified now."""
        ...


class SharedKey:
    """One secret that signs and verifies (HS256). Never published."""

    known = True

    def __init__(self, secret: str) -> None:
        self._key = OctKey.import_key(secret.encode())
        self._key_id = self._key.thumbprint()

    async def find(self, key_id: str) -> OctKey | None:
        return self._key if key_id == self._key_id else None

    async def document(self) -> bytes:
        return orjson.dumps({"keys": []})


class SigningKeys:
    """`fetch` answers the JSON Web Key Set document of auth."""

    def __init__(self, fetch: Callable[[], Awaitable[str]], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, OKPKey] = {}
        self._document = b""
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._fetching = asyncio.Lock()

    async def find(self, key_id: str) -> OKPKey | None:
        """The key of that name, or None; PublicError 503 where no keys were ever learnt and auth does not answer."""
        if key_id not in self._keys or self._is_old():
            await self._refresh()
        return self._keys.get(key_id)

    async def document(self) -> bytes:
        """The key set as auth published it."""
        if self._is_old():
            await self._refresh()
        return self._document

    @property
    def known(self) -> bool:
        return bool(self._keys)

    def _is_old(self) -> bool:
        return self._fetched_at is None or self._clock.monotonic() - self._fetched_at > _FRESH_SECONDS

    async def _refresh(self) -> None:
        async with self._fetching:
            now = self._clock.monotonic()
            if self._keys and self._tried_at is not None and now - self._tried_at < _PAUSE_SECONDS:
                return
            self._tried_at = now
            try:
                document = await self._fetch()
            except (ServiceError, RemoteBugError) as error:
                if not self._keys:
                    raise unavailable("Sign-in is not available at the moment. Please try again.") from error
                log.warning("Signing keys could not be read again", event="signing_keys_stale", problem=str(error))
                return
            self._take(document)
            self._fetched_at = now

    def _take(self, document: str) -> None:
        keys: dict[str, OKPKey] = {}
        for entry in _entries(document)[:_KEYS_MAX]:
            # Only public Ed25519 keys for signatures: what else a key set may hold verifies nothing here.
            if entry.get("kty") != "OKP" or entry.get("crv") != "Ed25519" or entry.get("use", "sig") != "sig":
                continue
            try:
                key = OKPKey.import_key({name: entry[name] for name in ("kty", "crv", "x")})
            except (JoseError, KeyError, ValueError):
                log.warning("A signing key could not be read", event="signing_key_unreadable")
                continue
            keys[str(entry.get("kid") or key.thumbprint())] = key
        self._keys = keys
        self._document = orjson.dumps({"keys": _entries(document)[:_KEYS_MAX]})


def _entries(document: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = orjson.loads(document)["keys"]
    return entries
