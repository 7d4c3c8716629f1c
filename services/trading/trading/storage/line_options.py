"""A MongoDB URL as the journal's own line honours it. Where it asks for more, the driver does what it asks."""

import ssl
from dataclasses import dataclass, field
from typing import Any, Self

from pymongo.uri_parser import parse_uri

_SCRAM = "SCRAM-SHA-256"
_RESOLVED_BY_DNS = "mongodb+srv:"
# Honoured here.
_HONOURED = frozenset(
    {"authmechanism", "authsource", "tls", "tlscafile", "tlscertificatekeyfile", "tlscertificatekeyfilepassword"}
)
# They say how the driver finds the primary, which it does, or shape its reads, its pool and its patience.
_THE_DRIVERS = frozenset(
    {
        "appname", "compressors", "connecttimeoutms", "directconnection", "heartbeatfrequencyms", "journal",
        "localthresholdms", "maxidletimems", "maxpoolsize", "maxstalenessseconds", "minpoolsize", "readconcernlevel",
        "readpreference", "readpreferencetags", "replicaset", "retryreads", "retrywrites", "servermonitoringmode",
        "serverselectiontimeoutms", "sockettimeoutms", "w", "waitqueuetimeoutms", "wtimeoutms", "zlibcompressionlevel",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class LineOptions:
    username: str | None
    password: str | None = field(repr=False)
    authentication_database: str
    encryption: ssl.SSLContext | None

    @classmethod
    def read(cls, url: str) -> Self | None:
        """None where the URL asks for what the line does not do: another authentication than SCRAM-SHA-256, servers
        found by DNS, several routers of a sharded cluster, Unix sockets, a proxy, laxer TLS. Reads the files that the
        URL names. Raises as the driver for what is no URL.
        """
        if url.startswith(_RESOLVED_BY_DNS):
            return None
        read = parse_uri(url, warn=True)  # about options that nobody knows, as the driver does
        options = {name.lower(): value for name, value in read["options"].items()}
        if options.keys() - _HONOURED - _THE_DRIVERS or not _is_one_primary(read, options):
            return None
        if options.get("authmechanism", _SCRAM) not in {_SCRAM, "DEFAULT"}:
            return None
        encrypted = bool(options.get("tls"))
        if not encrypted and any(name.startswith("tls") for name in options.keys() - {"tls"}):
            return None
        return cls(
            username=read["username"] or None,
            password=read["password"],
            authentication_database=options.get("authsource") or read["database"] or "admin",
            encryption=_encryption(options) if encrypted else None,
        )


def _is_one_primary(read: dict[str, Any], options: dict[str, Any]) -> bool:
    """Of several routers none is the one; and a Unix socket has no port."""
    servers = read["nodelist"]
    return all(port is not None for _, port in servers) and (len(servers) == 1 or "replicaset" in options)


def _encryption(options: dict[str, Any]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=options.get("tlscafile"))
    own = options.get("tlscertificatekeyfile")
    if own is not None:
        context.load_cert_chain(own, password=options.get("tlscertificatekeyfilepassword"))
    return context
