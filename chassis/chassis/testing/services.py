"""Keys of all services for tests: the same ones everywhere, known to nobody's production."""

import base64
import hashlib

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from chassis.clock import Clock, SystemClock
from chassis.trust.call_table import CallTable
from chassis.trust.service_identity import ServiceIdentity
from chassis.trust.service_keys import ServiceKeys
from chassis.trust.transport import Certificates

_SERVICES = ("auth", "gateway", "market-data", "notifications", "portfolio", "trading", "trading-projector")


def private_key_of(service: str) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(hashlib.sha256(f"key of {service} in tests".encode()).digest())


def identity_of(
    service: str,
    *,
    also: tuple[str, ...] = (),
    table: CallTable | None = None,
    clock: Clock | None = None,
    certificates: Certificates | None = None,
) -> ServiceIdentity:
    """With the platform's table where none is given. A name that is no service's has a key that nobody knows. A server
    may stand in for several services at one address: what is meant for those in `also` reaches it too.
    """
    keys = ServiceKeys(
        own=[private_key_of(name) for name in (service, *also)],
        public={name: [private_key_of(name).public_key()] for name in _SERVICES},
    )
    return ServiceIdentity(
        service, keys=keys, table=table or CallTable.load(), clock=clock or SystemClock(), certificates=certificates
    )


def key_settings(service: str) -> dict[str, str]:
    """What a process that plays `service` needs among its settings."""
    public = [f"{name}:{_text(private_key_of(name).public_key().public_bytes_raw())}" for name in _SERVICES]
    return {
        "service_key": _text(private_key_of(service).private_bytes_raw()),
        "service_public_keys": ",".join(public),
    }


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode()
