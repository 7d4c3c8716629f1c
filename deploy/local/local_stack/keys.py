"""The secrets of one copy of the platform: made once, kept in its data folder, readable by its owner alone."""

import base64
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

SERVICES = ("auth", "gateway", "market-data", "notifications", "portfolio", "trading", "trading-projector")


@dataclass(frozen=True, slots=True)
class Keys:
    """`jwt_private_key` is a PEM (PKCS 8, Ed25519); `code_key` a Fernet key; `sendgrid_api_key` opens the mailbox.

    By service: its X25519 private key, with which it proves who it is to the others, in Base64.
    """

    jwt_private_key: str = field(repr=False)
    code_key: str = field(repr=False)
    sendgrid_api_key: str = field(repr=False)
    of_services: Mapping[str, str] = field(repr=False)

    def trust_settings(self, service: str) -> dict[str, str]:
        """What `service` is told: its own private key, and everybody's public ones."""
        public = [f"{name}:{_public_key(key)}" for name, key in self.of_services.items()]
        return {"SERVICE_KEY": self.of_services[service], "SERVICE_PUBLIC_KEYS": ",".join(public)}


def load_keys(folder: Path) -> Keys:
    """Reads the keys below `folder`, and makes those that are not there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Keys(
        jwt_private_key=_load_or_make(folder / "jwt_private_key.pem", _new_signing_key),
        code_key=_load_or_make(folder / "code_key", lambda: Fernet.generate_key().decode()),
        sendgrid_api_key=_load_or_make(folder / "sendgrid_api_key", lambda: f"SG.local.{secrets.token_urlsafe(32)}"),
        of_services={name: _load_or_make(folder / f"service_key_{name}", _new_service_key) for name in SERVICES},
    )


def _load_or_make(path: Path, make: Callable[[], str]) -> str:
    if not path.exists():
        # Created with its final mode: there is no moment at which another user could read it. Put in place
        # whole: a crash between the two leaves no half key.
        unfinished = path.with_suffix(".new")
        unfinished.unlink(missing_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(make())
        unfinished.replace(path)
    return path.read_text()


def _new_signing_key() -> str:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _new_service_key() -> str:
    return base64.b64encode(X25519PrivateKey.generate().private_bytes_raw()).decode()


def _public_key(private_key: str) -> str:
    key = X25519PrivateKey.from_private_bytes(base64.b64decode(private_key)).public_key()
    return base64.b64encode(key.public_bytes_raw()).decode()
