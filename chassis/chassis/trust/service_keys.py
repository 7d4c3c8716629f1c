"""Keys by which services know each other: an X25519 key pair per service, and from it one secret per pair of services.

Each service holds its own private key and everybody's public keys. Two services find the same secret by
Diffie-Hellman (RFC 7748), stretched with HKDF (RFC 5869), so there is no table of shared secrets to hand out: whoever
breaks into one service can speak as that service alone.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_KEY_BYTES = 32
_PURPOSE = b"cryptovault call token v1"
_OWN_PURPOSE = b"cryptovault own secret v1 "


class UnknownService(Exception):
    """There is no public key of the service that is to be called."""

    def __init__(self, service: str) -> None:
        super().__init__(f"CRYPTOVAULT_SERVICE_PUBLIC_KEYS names no key of {service!r}")


class ServiceKeys:
    """What one service holds. Several keys of one service are good while a new one is introduced; the first is used."""

    def __init__(self, *, own: Sequence[X25519PrivateKey], public: Mapping[str, Sequence[X25519PublicKey]]) -> None:
        self._own = tuple(own)
        self._public = {service: tuple(keys) for service, keys in public.items()}
        self._callers: dict[str, tuple[bytes, ...]] = {}

    def secret_for(self, service: str) -> bytes:
        """With which calls to `service` are signed. Raises UnknownService."""
        keys = self._public.get(service)
        if not keys:
            raise UnknownService(service)
        own, theirs = self._own[0], keys[0]
        return _secret(own.exchange(theirs), caller=own.public_key(), called=theirs)

    def secrets_of(self, service: str) -> tuple[bytes, ...]:
        """With which calls by `service` may be signed; none where nobody of that name is known."""
        known = self._callers.get(service)
        if known is None:
            keys = self._public.get(service, ())
            known = tuple(
                _secret(own.exchange(theirs), caller=theirs, called=own.public_key())
                for own in self._own
                for theirs in keys
            )
            if keys:  # a name that anybody may have made up is not remembered
                self._callers[service] = known
        return known

    def own_secrets(self, service: str, purpose: str) -> tuple[bytes, ...]:
        """What only the processes of this service know, for one purpose alone; `service` is its own name.

        The first is to be used, the others were or will be. First comes that of the key whose public half is listed
        first: while keys change, that one is in the hands of all its processes, those not yet restarted included.
        """
        listed = [key.public_bytes_raw() for key in self._public.get(service, ())]

        def place(key: X25519PrivateKey) -> int:
            public = key.public_key().public_bytes_raw()
            return listed.index(public) if public in listed else len(listed)

        return tuple(
            _stretched(key.private_bytes_raw(), info=_OWN_PURPOSE + purpose.encode())
            for key in sorted(self._own, key=place)
        )


def read_private_keys(text: str) -> list[X25519PrivateKey]:
    """One or several, separated by commas: 32 bytes each, in Base64. Raises ValueError, which shows none of it."""
    return [X25519PrivateKey.from_private_bytes(_key_bytes(part)) for part in text.split(",")]


def read_public_keys(text: str) -> dict[str, list[X25519PublicKey]]:
    """`auth:<Base64>,gateway:<Base64>,...`; a name may come twice. Raises ValueError."""
    keys: dict[str, list[X25519PublicKey]] = {}
    for entry in text.split(","):
        service, _, key = entry.strip().partition(":")
        keys.setdefault(service, []).append(X25519PublicKey.from_public_bytes(_key_bytes(key)))
    return keys


def _key_bytes(text: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != _KEY_BYTES:
        raise ValueError("a key is 32 bytes in Base64")
    return key


def _secret(shared: bytes, *, caller: X25519PublicKey, called: X25519PublicKey) -> bytes:
    # Both ends are named, in order: what was signed for one direction is worth nothing in the other.
    info = _PURPOSE + caller.public_bytes_raw() + called.public_bytes_raw()
    return _stretched(shared, info=info)


def _stretched(secret: bytes, *, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=info).derive(secret)
