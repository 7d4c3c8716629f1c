"""The keys of programs, as auth knows them; remembered for a minute, since nearly every request is by one seen before.

A key that is ended is refused at once all the same: its id is looked up among the revoked with every request.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from chassis.clock import Clock
from chassis.errors import ErrorKind, RemoteError
from cryptovault.auth.v1 import auth_pb2

from gateway.admission.limits import LocalLimits, rate_limited
from gateway.edge.addresses import limited_address

_FRESH_SECONDS = 60.0
# A flood of made-up ids must not become a flood on auth: neither one id again and again, nor another one each time.
_UNKNOWN_SECONDS = 5.0
_STRANGE_IDS_PER_MINUTE = 120  # of one address; an account has thirty keys at most
_REMEMBERED_MAX = 10_000


@dataclass(frozen=True, slots=True)
class ApiKey:
    description: auth_pb2.ApiKey
    secret: bytes = field(repr=False)
    permissions: frozenset[str]
    networks: tuple[IPv4Network | IPv6Network, ...]

    def is_expired(self, now_seconds: float) -> bool:
        return self.description.HasField("expires_at") and self.description.expires_at.seconds <= now_seconds

    def may_come_from(self, address: str) -> bool:
        if not self.networks:
            return True
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped  # as a proxy that listens for both writes them; ::/48 would hold all of them
        return any(parsed in network for network in self.networks)


class ApiKeys:
    """`fetch` asks auth; NOT_FOUND is a key that there is not, or that may not be used."""

    def __init__(self, fetch: Callable[[str], Awaitable[auth_pb2.FindApiKeyResponse]], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._strange = LocalLimits()
        # Key id -> what it is (None: there is none), and until when that is believed.
        self._known: OrderedDict[str, tuple[ApiKey | None, float]] = OrderedDict()

    async def find(self, key_id: str, address: str) -> ApiKey | None:
        """`address` is who asks.

        PublicError 429 for too many ids of no key that we know; RemoteError where auth does not answer.
        """
        known = self._known.get(key_id)
        if known is not None and known[1] > self._clock.monotonic():
            return known[0]
        if known is None or known[0] is None:
            self._count_strange_id(address)
        try:
            key: ApiKey | None = _read(await self._fetch(key_id))
        except RemoteError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                raise
            key = None
        believed = _FRESH_SECONDS if key is not None else _UNKNOWN_SECONDS
        self._known[key_id] = (key, self._clock.monotonic() + believed)
        self._known.move_to_end(key_id)
        while len(self._known) > _REMEMBERED_MAX:
            self._known.popitem(last=False)
        return key

    def _count_strange_id(self, address: str) -> None:
        # Before the limits of its route, which are asked when it is known who calls.
        verdict = self._strange.take(
            limited_address(address),
            limit=_STRANGE_IDS_PER_MINUTE,
            now_microseconds=int(self._clock.monotonic() * 1_000_000),
        )
        if not verdict.allowed:
            raise rate_limited(verdict)


def _read(found: auth_pb2.FindApiKeyResponse) -> ApiKey:
    return ApiKey(
        description=found.key,
        secret=found.secret.encode(),
        permissions=frozenset(found.permissions),
        networks=tuple(ip_network(network) for network in found.key.networks),
    )
