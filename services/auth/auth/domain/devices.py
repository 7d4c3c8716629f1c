"""A device that somebody signs in on: what it calls itself, and whether it has signed in before."""

import unicodedata
from dataclasses import dataclass, field
from uuid import UUID

NAME_LENGTH_MAX = 200  # of a User-Agent header; the rest says nothing to people
TOKEN_LENGTH_MAX = 256


@dataclass(frozen=True, slots=True)
class Device:
    """As it presents itself. The token proves an earlier sign-in on it, if it is genuine; empty where it has none."""

    name: str = ""
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """Proven: the owner of the account has signed in on it."""

    id: UUID


NO_DEVICE = Device()


def device_name(header: str) -> str:
    """The name in printable characters on one line, cut where it is too long for a table."""
    line = "".join(" " if unicodedata.category(character)[0] in {"C", "Z"} else character for character in header)
    return " ".join(line.split())[:NAME_LENGTH_MAX]
