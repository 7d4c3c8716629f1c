"""A token in every call: proof of which service calls, for exactly this request, in the name of this user, just now.

`x-cv-token: <Unix seconds>.<nonce>.<process>.<HMAC-SHA256 in hex>`, under the secret of the pair of services, over what
stands before it, the method, the caller's identity as the metadata carries it, and the request's bytes (of a stream of
requests: none). It is made anew for each call and costs some microseconds. Whoever hears one with a read may ask the
same again for a minute. One that came with a command is good once: each process remembers those it took, and takes
no other than those made for it (decision 0089). On a network that others can listen to, services speak TLS
(`transport`).
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping

from chassis.clock import Clock
from chassis.errors import ErrorKind, ServiceError
from chassis.identity import ADDRESS_KEY, PERMISSIONS_KEY, REQUEST_KEY, SERVICE_KEY, SESSION_KEY, USER_KEY
from chassis.trust.service_keys import ServiceKeys

TOKEN_KEY = "x-cv-token"  # noqa: S105 - its name, no secret
# Both ways: for clocks that differ, and for a call that waits until the other side is there.
LIFETIME_SECONDS = 60
# A minute's worth of commands, a thousand a second; above that the oldest are forgotten. Orders are not among them:
# they go by one stream.
_SPENT_MAX = 60_000
_PREFIX_BYTES = 6  # tells this signer from every other, past ones included
_PARTS = 4
_SIGNED_KEYS = (SERVICE_KEY, USER_KEY, SESSION_KEY, PERMISSIONS_KEY, REQUEST_KEY, ADDRESS_KEY)


class CallNotTrusted(ServiceError):
    """No token, or not one that this service would have been given for this call. Says no more to whoever tries."""

    kind = ErrorKind.UNAUTHENTICATED
    reason = "call_not_trusted"

    def __init__(self) -> None:
        super().__init__("The calling service did not prove who it is.")


class AnotherProcess(ServiceError):
    """Nothing was done: the command was made for another process than this one, mostly the one before a restart. Names
    this one, so that the caller, whose token is right in all else, makes the command anew.
    """

    kind = ErrorKind.UNAVAILABLE
    reason = "another_process"

    def __init__(self, process: str) -> None:
        super().__init__("This process is not the one that the call was made for.", process=process)


class CallSigner:
    """For the calls over one channel."""

    def __init__(self, secret: bytes, clock: Clock) -> None:
        self._secret = secret
        self._clock = clock
        self._prefix = secrets.token_hex(_PREFIX_BYTES)
        self._count = 0
        # Who answers, once it has said so; an address may be another process's after a while.
        self.process = ""

    def token(self, method: str, metadata: Iterable[tuple[str, str]], request: bytes = b"") -> tuple[str, str]:
        """The pair to add to `metadata`. `method` is "/package.Service/Method", `request` what is sent, but of a
        stream nothing.
        """
        self._count += 1
        head = f"{int(self._clock.now().timestamp())}.{self._prefix}{self._count:x}.{self.process}"
        return TOKEN_KEY, f"{head}.{_mac(self._secret, head, method, dict(metadata), request)}"


class CallVerifier:
    """For the calls that one process gets."""

    def __init__(self, keys: ServiceKeys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self.process = secrets.token_hex(_PREFIX_BYTES)
        # In the order in which they are forgotten, and when: by wall and by monotonic time. Both have to pass, else a
        # clock that jumps away and back would make one good again.
        self._spent: dict[str, tuple[float, float]] = {}

    def verify(self, method: str, metadata: Mapping[str, str], request: bytes | None, *, once: bool) -> None:
        """Returns where metadata and request are exactly what the named service signed; with `once`, only once.

        `request` is None where a stream of them comes: then any process may have been meant. Raises CallNotTrusted,
        AnotherProcess.
        """
        issued, nonce, process, given = _parts(metadata.get(TOKEN_KEY, ""))
        # `isdecimal` alone would take digits of other scripts, but metadata is ASCII; the length bounds the number.
        if not issued.isdecimal() or len(issued) > len("9999999999"):
            raise CallNotTrusted
        now = self._clock.now().timestamp()
        if abs(now - int(issued)) > LIFETIME_SECONDS:
            raise CallNotTrusted
        head = f"{issued}.{nonce}.{process}"
        for secret in self._keys.secrets_of(metadata.get(SERVICE_KEY, "")):
            # As bytes: of texts it takes ASCII alone.
            if hmac.compare_digest(_mac(secret, head, method, metadata, request or b"").encode(), given.encode()):
                if once and request is not None and process != self.process:
                    raise AnotherProcess(self.process)
                if once:
                    self._spend(given, now)
                return
        raise CallNotTrusted

    def _spend(self, token: str, now: float) -> None:
        monotonic = self._clock.monotonic()
        while self._spent:
            oldest = next(iter(self._spent))
            wall_until, monotonic_until = self._spent[oldest]
            if (wall_until > now or monotonic_until > monotonic) and len(self._spent) < _SPENT_MAX:
                break
            del self._spent[oldest]
        if token in self._spent:
            raise CallNotTrusted
        # One from a clock that is ahead is good for twice the time.
        self._spent[token] = now + 2 * LIFETIME_SECONDS, monotonic + 2 * LIFETIME_SECONDS


def _parts(token: str) -> tuple[str, str, str, str]:
    parts = token.split(".", _PARTS)
    return (parts[0], parts[1], parts[2], parts[3]) if len(parts) == _PARTS else ("", "", "", "")


def _mac(secret: bytes, head: str, method: str, metadata: Mapping[str, str], request: bytes) -> str:
    # No value holds a line break: gRPC refuses it. So each line has one meaning.
    text = "\n".join((head, method, *[metadata.get(key, "") for key in _SIGNED_KEYS], ""))
    return hmac.digest(secret, text.encode() + hashlib.sha256(request).digest(), "sha256").hex()
