"""A Redis URL as redis-py reads it, for a connection that is not redis-py's. What that does not honour is refused."""

import ssl
from dataclasses import dataclass, field
from typing import Any, Self

from redis.asyncio.connection import SSLConnection, parse_url
from redis.exceptions import RedisError

_PORT = 6379
# All others shape redis-py's pool, its waiting or its replies, which are not the gate's.
_HONOURED = frozenset({"connection_class", "db", "host", "password", "path", "port", "username"})
_ENCRYPTION_PREFIX = "ssl_"


@dataclass(frozen=True, slots=True)
class RedisOptions:
    host: str
    port: int
    # Of a Unix socket; then host and port mean nothing.
    path: str | None
    username: str | None
    password: str | None = field(repr=False)
    database: int
    encryption: ssl.SSLContext | None

    @classmethod
    def read(cls, url: str) -> Self:
        """Reads the files that it names, too. Raises ValueError, which shows the names of options alone."""
        options: dict[str, Any] = dict(parse_url(url))
        encrypted = options.get("connection_class") is SSLConnection
        ours = {name for name in options if encrypted and name.startswith(_ENCRYPTION_PREFIX)}
        unknown = sorted(options.keys() - _HONOURED - ours)
        if unknown:
            raise ValueError(f"the gateway does not honour the option {', '.join(unknown)} of a Redis URL")
        return cls(
            host=options.get("host", "localhost"),
            port=options.get("port", _PORT),
            path=options.get("path"),
            username=options.get("username"),
            password=options.get("password"),
            database=options.get("db", 0),
            encryption=_context({name: options[name] for name in ours}) if encrypted else None,
        )


def _context(options: dict[str, Any]) -> ssl.SSLContext:
    """Exactly what redis-py would use: its own defaults, its own reading of each option."""
    try:
        context: ssl.SSLContext = SSLConnection(**options).ssl_context.get()
    except (RedisError, OSError, TypeError, ValueError) as error:
        named = ", ".join(sorted(options))
        raise ValueError(f"of {named} in the Redis URL something cannot be used: {error}") from error
    return context
