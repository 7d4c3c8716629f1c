"""Who asks: the calling service, and the person behind it where there is one. Travels as gRPC metadata."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from chassis.errors import ErrorKind, ServiceError

SERVICE_KEY = "x-cv-service"
USER_KEY = "x-cv-user-id"
SESSION_KEY = "x-cv-session-id"
PERMISSIONS_KEY = "x-cv-permissions"
REQUEST_KEY = "x-request-id"
ADDRESS_KEY = "x-cv-address"

# gRPC refuses metadata values that are not printable ASCII, and one bad header must not fail a call.
_NOT_PRINTABLE_ASCII = re.compile(r"[^\x20-\x7e]")
_VALUE_LENGTH_MAX = 255  # the longest a request id or an address may be; the rest is cut
_PERMISSIONS_LENGTH_MAX = 4_096  # an administrator has some 30; gRPC takes 8 KiB of metadata in all


class NotSignedIn(ServiceError):
    kind = ErrorKind.UNAUTHENTICATED
    reason = "not_signed_in"

    def __init__(self) -> None:
        super().__init__("This call needs a signed-in user.")


class PermissionMissing(ServiceError):
    """Known, but not allowed."""

    kind = ErrorKind.FORBIDDEN
    reason = "permission_required"

    def __init__(self, permission: str) -> None:
        super().__init__("You are not allowed to do this.", permission=permission)


@dataclass(frozen=True, slots=True)
class Caller:
    """`service` is the name of the calling service; empty where work began by itself and nobody called.

    `permissions` are the user's by role, narrowed to what the credentials that they came with may do.
    """

    service: str
    user_id: str | None
    session_id: str | None
    request_id: str
    address: str | None
    permissions: frozenset[str] = frozenset()

    def required_user(self) -> str:
        """The user's id, or NotSignedIn."""
        if self.user_id is None:
            raise NotSignedIn
        return self.user_id

    def require(self, permission: str) -> None:
        """Returns where the caller is signed in and has that permission; else NotSignedIn or PermissionMissing."""
        self.required_user()
        if permission not in self.permissions:
            raise PermissionMissing(permission)


NOBODY = Caller(service="", user_id=None, session_id=None, request_id="", address=None)

_caller: ContextVar[Caller] = ContextVar("cryptovault_caller", default=NOBODY)


def current_caller() -> Caller:
    """Who asked for the work that runs now; `NOBODY` in background work."""
    return _caller.get()


def set_caller(caller: Caller) -> None:
    """For the rest of this task. Where a scope can end, use `use_caller`."""
    _caller.set(caller)


@contextmanager
def use_caller(caller: Caller) -> Iterator[None]:
    token = _caller.set(caller)
    try:
        yield
    finally:
        _caller.reset(token)


def caller_metadata(caller: Caller, *, service: str) -> list[tuple[str, str]]:
    """What a call made by `service` in the name of `caller` carries."""
    metadata = [(SERVICE_KEY, service)]
    for key, value in (
        (USER_KEY, caller.user_id),
        (SESSION_KEY, caller.session_id),
        (REQUEST_KEY, caller.request_id),
        (ADDRESS_KEY, caller.address),
    ):
        if value:
            # gRPC cuts spaces off the ends; what is signed must be what arrives.
            metadata.append((key, _NOT_PRINTABLE_ASCII.sub("", value)[:_VALUE_LENGTH_MAX].strip()))
    if caller.permissions:
        # Sorted, so that the calls of one user carry the same bytes and HTTP/2 sends them once.
        metadata.append((PERMISSIONS_KEY, " ".join(sorted(caller.permissions))[:_PERMISSIONS_LENGTH_MAX]))
    return metadata


def caller_of(metadata: Mapping[str, str]) -> Caller:
    """The caller a call's metadata names. Whether that is true is for `trust` to say."""
    return Caller(
        service=metadata.get(SERVICE_KEY, ""),
        user_id=metadata.get(USER_KEY) or None,
        session_id=metadata.get(SESSION_KEY) or None,
        request_id=metadata.get(REQUEST_KEY, ""),
        address=metadata.get(ADDRESS_KEY) or None,
        permissions=frozenset(metadata.get(PERMISSIONS_KEY, "").split()),
    )
