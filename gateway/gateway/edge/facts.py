"""What the door knows of a request, carried in its ASGI scope from the first byte to the log line."""

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

from cryptovault.auth.v1 import auth_pb2
from starlette.requests import Request

from gateway.edge.shedding import Urgency

_SCOPE_KEY = "cryptovault.facts"
UNMATCHED_ROUTE = "unmatched"  # one label for all paths that do not exist: a scanner must not fill the metrics


@dataclass(slots=True)
class RequestFacts:
    request_id: str
    # Of the client, after trusted proxies.
    address: str
    route: str = UNMATCHED_ROUTE
    urgency: Urgency = Urgency.CANCEL
    user_id: str | None = None
    session_id: str | None = None
    permissions: frozenset[str] = frozenset()
    # The key that signed the request; then there is no session.
    key: auth_pb2.ApiKey | None = None
    # Go with every reply to this request, errors included.
    reply_headers: list[tuple[bytes, bytes]] = field(default_factory=list)

    def signed_in_user(self) -> str:
        """The user's id. Only for routes that a signed-in user alone can reach."""
        if self.user_id is None:
            raise RuntimeError("the route's policy lets anybody in")
        return self.user_id

    def signing_key(self) -> auth_pb2.ApiKey:
        """The key that signed the request. Only for routes that nothing else opens."""
        if self.key is None:
            raise RuntimeError("the route's policy lets in who has no key")
        return self.key

    def reply_with(self, name: str, value: str) -> None:
        self.reply_headers.append((name.encode("latin-1"), value.encode("latin-1")))


def attach_facts(scope: MutableMapping[str, Any], facts: RequestFacts) -> None:
    scope[_SCOPE_KEY] = facts


def facts_of(request: Request) -> RequestFacts:
    facts: RequestFacts = request.scope[_SCOPE_KEY]
    return facts


def facts_in(scope: MutableMapping[str, Any]) -> RequestFacts:
    facts: RequestFacts = scope[_SCOPE_KEY]
    return facts
