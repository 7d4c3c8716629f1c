"""Who may call what, and what may be asked twice: the table that stands beside the contracts, read once at start."""

import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any, Self

from chassis.errors import ErrorKind, ServiceError

ANYBODY = "anybody"  # without a token: probes and tools
_SPEAKERS = "speak_for_users"
_READS = "reads"
_COMMANDS = "commands"


class ServiceNotAllowed(ServiceError):
    """The calling service is known, but this is none of its business."""

    kind = ErrorKind.FORBIDDEN
    reason = "service_not_allowed"

    def __init__(self, service: str, method: str) -> None:
        super().__init__("This service may not make this call.", service=service, method=method)


class CallTable:
    """Methods are "/package.Service/Method". What has no row may be called by nobody."""

    def __init__(
        self,
        *,
        reads: Mapping[str, Iterable[str]],
        commands: Mapping[str, Iterable[str]],
        speak_for_users: Iterable[str] = (),
    ) -> None:
        """`reads` change nothing, so that they may be asked a second time; `speak_for_users` are the services that are
        believed whom they act for.
        """
        self._callers = {method: frozenset(callers) for method, callers in {**reads, **commands}.items()}
        self._reads = frozenset(reads)
        self._speakers = frozenset(speak_for_users)

    @classmethod
    def load(cls) -> Self:
        """The platform's own."""
        text = resources.files("cryptovault").joinpath("calls.toml").read_text(encoding="utf-8")
        table: dict[str, Any] = tomllib.loads(text)
        speakers = table.pop(_SPEAKERS)
        kinds: dict[str, dict[str, list[str]]] = {_READS: {}, _COMMANDS: {}}
        for service, methods in table.items():
            for kind, rows in methods.items():
                kinds[kind].update({f"/{service}/{method}": callers for method, callers in rows.items()})
        return cls(reads=kinds[_READS], commands=kinds[_COMMANDS], speak_for_users=speakers)

    @property
    def methods(self) -> Mapping[str, frozenset[str]]:
        """All that have a row, with their callers."""
        return self._callers

    @property
    def services(self) -> frozenset[str]:
        """All that call anything."""
        return frozenset[str]().union(*self._callers.values()) - {ANYBODY}

    def is_open(self, method: str) -> bool:
        """True for what anybody may call, without saying who."""
        return ANYBODY in self._callers.get(method, ())

    def is_read(self, method: str) -> bool:
        """True where nothing changes by asking, so that asking again is safe."""
        return method in self._reads

    def require(self, service: str, method: str) -> None:
        """Raises ServiceNotAllowed unless the table lets that service call that method."""
        if service not in self._callers.get(method, ()):
            raise ServiceNotAllowed(service, method)

    def speaks_for_users(self, service: str) -> bool:
        return service in self._speakers
