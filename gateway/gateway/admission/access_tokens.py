"""Access tokens: one verifier, one algorithm, every claim required (RFC 7519, RFC 8725)."""

import json
from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from collections import OrderedDict
from dataclasses import dataclass

from chassis.clock import Clock
from cryptovault.auth.v1 import auth_pb2
from joserfc import jwt
from joserfc.errors import JoseError

from gateway.admission.signing_keys import KeySource
from gateway.errors import PublicError, unauthenticated

TOKEN_LENGTH_MAX = 4_096  # ours have about 500 bytes
_VERIFIED_MAX = 10_000  # active sessions of one gateway; about 1 kB each
_CLOCK_SKEW_SECONDS = 5  # between two machines' clocks, for the time of issue only; the end is the end
# Everything that tells a verifier where to find a key, or to treat some header as understood, is refused.
_HEADERS_ALLOWED = frozenset({"alg", "kid", "typ"})


@dataclass(frozen=True, slots=True)
class AccessToken:
    user_id: str
    session_id: str
    token_id: str
    permissions: frozenset[str]
    # Unix seconds.
    expires_at: int
    # The name of the key that signed it; empty for a signed request.
    signing_key_id: str = ""
    # Where it was no token but a signed request: the key that signed it, whose id is then `session_id`.
    key: auth_pb2.ApiKey | None = None
    # And when that says it was signed, in Unix milliseconds.
    signed_at: int = 0


class AccessTokens:
    """Verifies; remembers what it verified until it ends, since a signature costs as much as six requests."""

    def __init__(self, keys: KeySource, clock: Clock, *, algorithm: str, issuer: str, audience: str) -> None:
        self._keys = keys
        # Fixed by the setting: a token never chooses how it is verified.
        self._algorithm = algorithm
        self._clock = clock
        self._registry = jwt.JWTClaimsRegistry(
            now=lambda: int(clock.now().timestamp()),
            leeway=_CLOCK_SKEW_SECONDS,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            iat={"essential": True},
            jti={"essential": True},
            sub={"essential": True},
            sid={"essential": True},
            type={"essential": True, "value": "access"},
            scope={"essential": True, "allow_blank": True},
        )
        self._verified: OrderedDict[str, AccessToken] = OrderedDict()

    async def verify(self, token: str) -> AccessToken:
        """PublicError 401 with reason `invalid_token` or `token_expired`; 503 where no key was ever learnt."""
        known = self._verified.get(token)
        # What was verified by a key that is no longer published is verified anew, and with that refused.
        if known is None or not self._keys.holds(known.signing_key_id):
            self._verified.pop(token, None)
            known = await self._read(token)
            self._verified[token] = known
            if len(self._verified) > _VERIFIED_MAX:
                self._verified.popitem(last=False)
        if known.expires_at <= self._clock.now().timestamp():
            self._verified.pop(token, None)
            raise _expired()
        return known

    def may_go_on(self, token: AccessToken) -> bool:
        """Whether the key that signed it, a while ago, is still good. A request's signature is nobody's key here."""
        return token.key is not None or self._keys.holds(token.signing_key_id)

    async def _read(self, token: str) -> AccessToken:
        if len(token) > TOKEN_LENGTH_MAX or not token.isascii():
            raise _invalid()
        key_id = _key_id(token, self._algorithm)
        key = await self._keys.find(key_id)
        if key is None:
            raise _invalid()
        try:
            claims = jwt.decode(token, key, algorithms=[self._algorithm]).claims
            self._registry.validate(claims)
        except (JoseError, ValueError) as error:
            raise (_expired() if getattr(error, "error", "") == "expired_token" else _invalid()) from None
        # The registry takes a list that holds the value for the value.
        texts = [claims[name] for name in ("sub", "sid", "jti", "iss", "type", "scope")]
        if not all(isinstance(text, str) for text in texts) or not all(texts[:-1]):
            raise _invalid()
        return AccessToken(
            user_id=claims["sub"],
            session_id=claims["sid"],
            token_id=claims["jti"],
            permissions=frozenset(claims["scope"].split()),
            expires_at=int(claims["exp"]),
            signing_key_id=key_id,
        )


def _key_id(token: str, algorithm: str) -> str:
    """The key's name out of a header that is ours in every respect."""
    encoded = token.partition(".")[0]
    try:
        header = json.loads(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (Base64Error, ValueError, RecursionError):
        raise _invalid() from None
    if not isinstance(header, dict) or not header.keys() <= _HEADERS_ALLOWED or header.get("alg") != algorithm:
        raise _invalid()
    key_id = header.get("kid")
    if not isinstance(key_id, str):
        raise _invalid()
    return key_id


def _invalid() -> PublicError:
    return unauthenticated("The access token is not valid.", reason="invalid_token")


def _expired() -> PublicError:
    return unauthenticated("The access token has expired.", reason="token_expired")
