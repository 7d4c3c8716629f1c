"""Who this process is to the other services, and whom it believes: made once from the settings, used by both ends."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Self

from chassis.clock import Clock, SystemClock
from chassis.identity import NOBODY, REQUEST_KEY, SERVICE_KEY, Caller, caller_of
from chassis.settings import ServiceSettings
from chassis.trust.call_table import CallTable
from chassis.trust.call_tokens import CallNotTrusted, CallSigner, CallVerifier
from chassis.trust.service_keys import ServiceKeys, read_private_keys, read_public_keys
from chassis.trust.transport import Certificates, certified_names


class ServiceIdentity:
    """`name` is the service's, such as `market-data`; with `certificates` both ends speak mutual TLS."""

    def __init__(
        self,
        name: str,
        *,
        keys: ServiceKeys,
        table: CallTable,
        clock: Clock,
        certificates: Certificates | None = None,
    ) -> None:
        self.name = name
        self.table = table
        self.certificates = certificates
        self._keys = keys
        self._clock = clock
        self._verifier = CallVerifier(keys, clock)

    @classmethod
    def of(cls, settings: ServiceSettings) -> Self:
        """Raises MissingSetting; OSError for a certificate that cannot be read."""
        keys = ServiceKeys(
            own=read_private_keys(settings.required("service_key")),
            public=read_public_keys(settings.required("service_public_keys")),
        )
        certificates = None
        if settings.tls_authority_file and settings.tls_certificate_file and settings.tls_key_file:
            certificates = Certificates.read(
                authority=settings.tls_authority_file,
                certificate=settings.tls_certificate_file,
                key=settings.tls_key_file,
            )
        return cls(
            settings.service_name, keys=keys, table=CallTable.load(), clock=SystemClock(), certificates=certificates
        )

    @property
    def process(self) -> str:
        """What commands to this process name it by, chosen at its start."""
        return self._verifier.process

    def signer_to(self, service: str) -> CallSigner:
        """Raises UnknownService."""
        return CallSigner(self._keys.secret_for(service), self._clock)

    def own_secrets(self, purpose: str) -> tuple[bytes, ...]:
        """What only this service's processes know, for one purpose; the first is to be used, all are good."""
        return self._keys.own_secrets(self.name, purpose)

    def admit(
        self, method: str, metadata: Iterable[tuple[str, str | bytes]], context: Any, request: bytes | None
    ) -> Caller:
        """Who makes this call, proved and allowed. `request` is what came; None: a stream of them comes.

        Raises CallNotTrusted, ServiceNotAllowed, AnotherProcess.
        """
        values = {key: value for key, value in metadata if isinstance(value, str)}
        if self.table.is_open(method):
            return replace(NOBODY, request_id=values.get(REQUEST_KEY, ""))
        self._verifier.verify(method, values, request, once=not self.table.is_read(method))
        service = values[SERVICE_KEY]
        if self.certificates is not None and service not in certified_names(context):
            raise CallNotTrusted
        self.table.require(service, method)
        caller = caller_of(values)
        if not self.table.speaks_for_users(service):
            return replace(caller, user_id=None, session_id=None, permissions=frozenset())
        return caller
