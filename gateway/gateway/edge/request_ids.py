"""A name for every request: the client's where it is sane, else ours."""

import re
import secrets

_SANE = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_PREFIX_BYTES = 8  # tells this process from every other, past ones included


class RequestIds:
    """Unique over all gateways for ever, and much cheaper than a UUID: the price path answers 10,000 a second."""

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(_PREFIX_BYTES).encode()
        self._count = 0

    def next(self) -> bytes:
        self._count += 1
        return b"%s-%08x" % (self._prefix, self._count)

    def adopt(self, given: bytes | None) -> bytes:
        """The given id where it can stand in a header and a log line, else a new one."""
        if given is not None and _SANE.fullmatch(given) is not None:
            return given
        return self.next()
