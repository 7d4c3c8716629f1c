"""The public keys of auth: fetched again and again, and, not too often, when a token names one that we do not know."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import orjson
from chassis.clock import Clock
from chassis.errors import RemoteBugError, ServiceError
from chassis.logs import get_logger
from joserfc.errors import JoseError
from joserfc.jwk import OctKey, OKPKey

from gateway.errors import PublicError, unavailable

_PAUSE_SECONDS = 5.0  # between fetches for unknown names: a flood of forged tokens must not become a flood on auth
_KEYS_MAX = 16

log = get_logger(__name__)


class KeySource(Protocol):
    async def find(self, key_id: str) -> OKPKey | OctKey | None:
        """The key of that name; PublicError 503 where keys cannot be had."""
        ...

    def holds(self, key_id: str) -> bool:
        """Whether what the key of that name has signed is still good, by what is known now."""
        ...

    async def keep_fresh(self) -> None:
        """Background: learns what was published and what was taken back."""
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

    def holds(self, key_id: str) -> bool:
        return key_id == self._key_id

    async def keep_fresh(self) -> None:
        await asyncio.Event().wait()  # it changes with a restart

    async def document(self) -> bytes:
        return orjson.dumps({"keys": []})


class SigningKeys:
    """`fetch` answers the JSON Web Key Set document of auth.

    A key that is no longer in it verifies nothing any more, `fresh_seconds` after auth took it out at the latest; known
    keys go on where auth does not answer.
    """

    def __init__(self, fetch: Callable[[], Awaitable[str]], clock: Clock, *, fresh_seconds: float) -> None:
        self._fetch = fetch
        self._clock = clock
        self._fresh_seconds = fresh_seconds
        self._keys: dict[str, OKPKey] = {}
        self._document = b""
        self._asked_at: float | None = None
        self._fetching = asyncio.Lock()

    async def find(self, key_id: str) -> OKPKey | None:
        """The key of that name, or None; PublicError 503 where no keys were ever learnt and auth does not answer."""
        if key_id not in self._keys:
            await self._ask_for_unknown()
        return self._keys.get(key_id)

    def holds(self, key_id: str) -> bool:
        return key_id in self._keys

    async def keep_fresh(self) -> None:
        # By itself, not when a request comes: none waits for it, and those by tokens that were verified before would
        # never ask.
        while True:
            with contextlib.suppress(PublicError):
                async with self._fetching:
                    await self._refresh()
            await asyncio.sleep(self._fresh_seconds)

    async def document(self) -> bytes:
        """The key set as auth published it."""
        if not self._keys:
            await self._ask_for_unknown()
        return self._document

    @property
    def known(self) -> bool:
        return bool(self._keys)

    async def _ask_for_unknown(self) -> None:
        async with self._fetching:
            now = self._clock.monotonic()
            # Of fetches by the clock it does not matter how long ago they were: the name may have come since.
            if self._keys and self._asked_at is not None and now - self._asked_at < _PAUSE_SECONDS:
                return
            self._asked_at = now
            await self._refresh()

    async def _refresh(self) -> None:
        try:
            entries = _entries(await self._fetch())
        except (ServiceError, RemoteBugError, ValueError) as error:
            if not self._keys:
                raise unavailable("Sign-in is not available at the moment. Please try again.") from error
            log.warning("Signing keys could not be read again", event="signing_keys_stale", problem=str(error))
            return
        self._take(entries)

    def _take(self, entries: list[dict[str, Any]]) -> None:
        keys: dict[str, OKPKey] = {}
        for entry in entries:
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
        self._document = orjson.dumps({"keys": entries})


def _entries(document: str) -> list[dict[str, Any]]:
    """Raises ValueError where it is no key set."""
    parsed = orjson.loads(document)
    entries = parsed.get("keys") if isinstance(parsed, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("This is no JSON Web Key Set.")
    return entries[:_KEYS_MAX]
