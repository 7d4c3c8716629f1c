"""Access tokens: JSON Web Tokens signed with Ed25519, or with HS256 where the setting says so."""

import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey, OKPKey

from auth.domain.sessions import ACCESS_LIFETIME
from auth.domain.users import User

ED25519: Final = "Ed25519"  # RFC 9864's name; "EdDSA" is deprecated there
HS256: Final = "HS256"
RETIRED_MAX = 8  # a key is retired for half an hour; more than a few say that nobody cleans up
SHARED_SECRET_BYTES_MIN = 32  # RFC 7518 section 3.2: as long as the hash


class SignedAccessTokens:
    """`key` signs; what verifies it is in `key_set`, unless it is a shared secret.

    `retired` have signed before: their public halves stay in the set while their last tokens live.
    """

    def __init__(self, *, key: OKPKey | OctKey, issuer: str, audience: str, retired: Sequence[OKPKey] = ()) -> None:
        self._key = key
        self._retired = tuple(retired)
        self._algorithm = ED25519 if isinstance(key, OKPKey) else HS256
        self._header = {"alg": self._algorithm, "typ": "JWT", "kid": key.thumbprint()}
        self._issuer = issuer
        self._audience = audience

    def token(self, *, user: User, session_id: UUID, token_id: UUID, now: datetime) -> str:
        issued_at = int(now.timestamp())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(user.id),
            "type": "access",
            "iat": issued_at,
            "exp": issued_at + int(ACCESS_LIFETIME.total_seconds()),
            "jti": str(token_id),
            "sid": str(session_id),
            "scope": " ".join(user.permissions),
        }
        return jwt.encode(self._header, claims, self._key, algorithms=[self._algorithm])

    def key_set(self) -> str:
        return json.dumps({"keys": self._public_keys()}, separators=(",", ":"))

    def _public_keys(self) -> Sequence[dict[str, object]]:
        if isinstance(self._key, OctKey):
            return []
        return [
            {**key.as_dict(private=False), "kid": key.thumbprint(), "use": "sig", "alg": ED25519}
            for key in (self._key, *self._retired)
        ]


def signing_key(pem: str) -> OKPKey:
    r"""An Ed25519 private key in PEM (PKCS 8); a file of variables may write its line ends as `\\n`.

    ValueError where it is something else; the message shows none of it.
    """
    try:
        key = OKPKey.import_key(pem.replace("\\n", "\n"))
    except (ValueError, TypeError, JoseError):
        raise ValueError("not a private key in PEM") from None
    if not key.is_private or key.curve_name != ED25519:
        raise ValueError("not an Ed25519 private key")
    return key


def retired_keys(bundle: str) -> list[OKPKey]:
    """The keys of a bundle of PEM blocks, one after the other. ValueError where one is no Ed25519 private key."""
    blocks = re.findall(r"-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----", bundle.replace("\\n", "\n"), re.DOTALL)
    if not 0 < len(blocks) <= RETIRED_MAX:
        raise ValueError(f"not 1 to {RETIRED_MAX} private keys in PEM")
    return [signing_key(block) for block in blocks]


def shared_key(secret: str) -> OctKey:
    if len(secret.encode()) < SHARED_SECRET_BYTES_MIN:
        raise ValueError(f"shorter than {SHARED_SECRET_BYTES_MIN} bytes")
    return OctKey.import_key(secret.encode())
