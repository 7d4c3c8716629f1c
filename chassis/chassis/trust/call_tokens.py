"""A token in every call: proof of which service calls, for this method alone, in the name of this user, just now.

`x-cv-token: <Unix seconds>.<HMAC-SHA256 in hex>`, under the secret of the pair of services, over the time, the method
and the caller's identity as the metadata carries it. It is made anew for each call and costs some microseconds; nothing
is remembered. Whoever hears one may repeat that very call for a minute, with contents of their own: on a network that
others can listen to, services speak TLS (`transport`).
"""

import hmac
from collections.abc import Iterable, Mapping

from chassis.clock import Clock
from chassis.errors import ErrorKind, ServiceError
from chassis.identity import ADDRESS_KEY, PERMISSIONS_KEY, REQUEST_KEY, SERVICE_KEY, SESSION_KEY, USER_KEY
from chassis.trust.service_keys import ServiceKeys

TOKEN_KEY = "x-cv-token"  # noqa: S105 - its name, no secret
# Both ways: for clocks that differ, and for a call that waits until the other side is there.
LIFETIME_SECONDS = 60
_SIGNED_KEYS = (SERVICE_KEY, USER_KEY, SESSION_KEY, PERMISSIONS_KEY, REQUEST_KEY, ADDRESS_KEY)


class CallNotTrusted(ServiceError):
    """No token, or not one that this service would have been given for this call. Says no more to whoever tries."""

    kind = ErrorKind.UNAUTHENTICATED
    reason = "call_not_trusted"

    def __init__(self) -> None:
        super().__init__("The calling service did not prove who it is.")


class CallSigner:
    """For the calls to one service."""

    def __init__(self, secret: bytes, clock: Clock) -> None:
        self._secret = secret
        self._clock = clock

    def token(self, method: str, metadata: Iterable[tuple[str, str]]) -> tuple[str, str]:
        """The pair to add to `metadata`. `method` is "/package.Service/Method"."""
        issued = str(int(self._clock.now().timestamp()))
        return TOKEN_KEY, f"{issued}.{_mac(self._secret, issued, method, dict(metadata))}"


class CallVerifier:
    """For the calls that one service gets."""

    def __init__(self, keys: ServiceKeys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    def verify(self, method: str, metadata: Mapping[str, str]) -> None:
        """Returns where the metadata is exactly what the service that it names signed. Raises CallNotTrusted."""
        issued, _, given = metadata.get(TOKEN_KEY, "").partition(".")
        # `isdecimal` alone would take digits of other scripts, but metadata is ASCII; the length bounds the number.
        if not issued.isdecimal() or len(issued) > len("9999999999"):
            raise CallNotTrusted
        if abs(self._clock.now().timestamp() - int(issued)) > LIFETIME_SECONDS:
            raise CallNotTrusted
        for secret in self._keys.secrets_of(metadata.get(SERVICE_KEY, "")):
            if hmac.compare_digest(_mac(secret, issued, method, metadata), given):
                return
        raise CallNotTrusted


def _mac(secret: bytes, issued: str, method: str, metadata: Mapping[str, str]) -> str:
    # No value holds a line break: gRPC refuses it. So each line has one meaning.
    text = "\n".join((issued, method, *[metadata.get(key, "") for key in _SIGNED_KEYS]))
    return hmac.digest(secret, text.encode(), "sha256").hex()
