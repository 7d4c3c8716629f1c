"""Signed requests of programs: the secret signs what is asked, and never travels."""

import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from chassis.clock import Clock

from gateway.admission.access_tokens import AccessToken
from gateway.admission.api_keys import ApiKey, ApiKeys
from gateway.admission.gate import Nonce
from gateway.errors import PublicError, forbidden, unauthenticated

KEY_HEADER = b"x-api-key"
TIMESTAMP_HEADER = b"x-api-timestamp"
NONCE_HEADER = b"x-api-nonce"
SIGNATURE_HEADER = b"x-api-signature"
WINDOW_MILLISECONDS = 30_000  # two machines' clocks, and a slow line
# So long after its timestamp a nonce is remembered, and so old a request may be, by the clock of Redis: a gateway whose
# own clock is set back takes nothing again that was forgotten meanwhile. The window, and a minute between their clocks.
NONCE_MILLISECONDS = WINDOW_MILLISECONDS + 60_000
NONCE_KEY_PREFIX = "cryptovault:nonce:"
_NO_END = 2**53  # of a key that does not expire; in seconds

_KEY_ID = re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIMESTAMP = re.compile(rb"[1-9][0-9]{12,13}")
_NONCE = re.compile(rb"[A-Za-z0-9_-]{8,64}")
_SIGNATURE = re.compile(rb"[0-9a-f]{64}")
_NONCES_MAX = 100_000
_NONCE_SECONDS_HERE = 600.0  # far longer than any clock is set back by itself; what fits is bounded anyway


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What the signature covers beside timestamp and nonce; path and query as they were sent."""

    method: str
    path: bytes
    query: bytes
    body: bytes


class Signatures:
    def __init__(self, keys: ApiKeys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    async def verify(self, headers: Mapping[bytes, bytes], request: SignedRequest, address: str) -> AccessToken:
        """What the key may do, as if it were a token; its id stands in the place of the session's, its nonce of the
        token's. Whether the nonce is new and the key not revoked is for the gate to say.

        PublicError 401: `invalid_signature`, the same for an unknown key and a wrong signature,
        `timestamp_out_of_window`; 403 `address_not_allowed`; 429 for too many keys that nobody knows.
        """
        key, key_id, timestamp, nonce, signature = await self._claimed(headers, address)
        expected = hmac.new(key.secret, _signed_text(timestamp, nonce, request), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected.encode(), signature):
            raise _invalid()
        if not key.may_come_from(address):
            raise forbidden("The key may not be used from this address.", reason="address_not_allowed")
        return AccessToken(
            user_id=key.description.user_id,
            session_id=key_id.decode(),
            token_id=nonce.decode(),
            permissions=key.permissions,
            expires_at=key.description.expires_at.seconds if key.description.HasField("expires_at") else _NO_END,
            key=key.description,
            signed_at=int(timestamp),
        )

    async def is_worth_its_body(self, headers: Mapping[bytes, bytes], address: str) -> bool:
        """Whether all is right but the signature, which covers the body.

        Raises RemoteError where auth does not answer.
        """
        try:
            await self._claimed(headers, address)
        except PublicError:
            return False
        return True

    async def _claimed(self, headers: Mapping[bytes, bytes], address: str) -> tuple[ApiKey, bytes, bytes, bytes, bytes]:
        """The key; its id, timestamp, nonce and signature as they were sent."""
        fields = [headers.get(name, b"") for name in (KEY_HEADER, TIMESTAMP_HEADER, NONCE_HEADER, SIGNATURE_HEADER)]
        patterns = (_KEY_ID, _TIMESTAMP, _NONCE, _SIGNATURE)
        if not all(pattern.fullmatch(field) for pattern, field in zip(patterns, fields, strict=True)):
            raise _invalid()
        key_id, timestamp, nonce, signature = fields
        now = self._clock.now().timestamp()
        if abs(int(timestamp) - now * 1000) > WINDOW_MILLISECONDS:
            raise timestamp_out_of_window()
        key = await self._keys.find(key_id.decode(), address)
        if key is None or key.is_expired(now):
            raise _invalid()
        return key, key_id, timestamp, nonce, signature


class SeenNonces:
    """Those that this gateway has taken, for when Redis, which knows everybody's, does not answer."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: OrderedDict[str, float] = OrderedDict()

    def take(self, nonce_key: str) -> bool:
        """False where it was taken before."""
        now = self._clock.monotonic()
        until = self._until.get(nonce_key)
        if until is not None and until > now:
            return False
        self._until[nonce_key] = now + _NONCE_SECONDS_HERE
        self._until.move_to_end(nonce_key)
        while len(self._until) > _NONCES_MAX:
            self._until.popitem(last=False)
        return True


def nonce_of(token: AccessToken | None) -> Nonce | None:
    """None where it was no signature."""
    if token is None or token.key is None:
        return None
    return Nonce(f"{NONCE_KEY_PREFIX}{token.session_id}:{token.token_id}", token.signed_at + NONCE_MILLISECONDS)


def timestamp_out_of_window() -> PublicError:
    return unauthenticated("The timestamp is too far from ours.", reason="timestamp_out_of_window")


def nonce_used() -> PublicError:
    return unauthenticated("This nonce was used before.", reason="nonce_used")


def _signed_text(timestamp: bytes, nonce: bytes, request: SignedRequest) -> bytes:
    digest = hashlib.sha256(request.body).hexdigest().encode()
    return b"\n".join((timestamp, nonce, request.method.encode(), request.path, request.query, digest))


def _invalid() -> PublicError:
    return unauthenticated("The request is not signed by a key that may be used.", reason="invalid_signature")
