"""Mutual TLS between services, where a deployment sets certificates: both ends show one, of the one authority."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

_NAME_KEYS = ("x509_subject_alternative_name", "x509_common_name")


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM. The service's own certificate names it (`trading`) as a DNS name; the authority signs nobody else's."""

    authority: bytes
    certificate: bytes
    key: bytes = field(repr=False)

    @classmethod
    def read(cls, *, authority: Path, certificate: Path, key: Path) -> "Certificates":
        """Raises OSError for a file that cannot be read."""
        return cls(authority.read_bytes(), certificate.read_bytes(), key.read_bytes())

    def server_credentials(self) -> grpc.ServerCredentials:
        """Nobody gets in without a certificate of the authority."""
        return grpc.ssl_server_credentials(
            [(self.key, self.certificate)], root_certificates=self.authority, require_client_auth=True
        )

    def channel_credentials(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(self.authority, self.key, self.certificate)


def expecting(service: str) -> list[tuple[str, Any]]:
    """Channel options: whatever the address, who answers must have the certificate of `service`."""
    return [("grpc.ssl_target_name_override", service)]


def certified_names(context: Any) -> frozenset[str]:
    """The names in the certificate that the other end showed; none where it showed none."""
    shown = context.auth_context()
    return frozenset(name.decode() for key in _NAME_KEYS for name in shown.get(key, ()))
