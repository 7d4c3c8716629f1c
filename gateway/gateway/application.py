"""The routes behind the door: FastAPI keeps the table and writes the OpenAPI document; requests run straight through.

FastAPI's own reading of requests answers NaN with 500, echoes what was sent and costs several times the reply, so every
handler takes the request itself and reads it with the strict readers of `edge`.
"""

import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from chassis.identity import Caller, use_caller
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from gateway.admission.admission import Admission
from gateway.admission.signatures import SignedRequest
from gateway.edge.bodies import has_body, read_bytes
from gateway.edge.facts import facts_of
from gateway.edge.queries import read_query
from gateway.edge.shedding import LoadShedder
from gateway.openapi import operation_of, write_document
from gateway.routes.endpoint import Endpoint
from gateway.schemas.queries import NoQuery

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


PROMPT_BODY_SECONDS = 0.5  # whoever's body takes longer is asked once more: an ended session is over within a second


class Application(FastAPI):
    """Errors leave it as exceptions: the door shapes them. A path without parameters is found by one look-up."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        admission: Admission,
        *,
        shedder: LoadShedder,
        require_step_up: Callable[[], Awaitable[None]],
    ) -> None:
        """`require_step_up` raises unless the caller's session may do what needs a fresh second factor."""
        super().__init__(
            title="CryptoVault",
            openapi_url=None,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
        )
        self._admission = admission
        self._shedder = shedder
        self._require_step_up = require_step_up
        self._fixed: dict[tuple[str, str], Callable[[Scope, Receive, Send], Awaitable[None]]] = {}
        self.endpoints = tuple(endpoints)
        for endpoint in endpoints:
            self._add(endpoint)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        fixed = self._fixed.get((_handled_as(scope["method"]), scope["path"]))
        if fixed is not None:
            await fixed(scope, receive, send)
            return
        scope["app"] = self
        route = self._match(scope)
        await route.app(scope, receive, send)

    def document(self) -> dict[str, Any]:
        """The OpenAPI document of exactly these routes."""
        return write_document(self.routes, self.endpoints)

    def _match(self, scope: Scope) -> APIRoute:
        asked = {**scope, "method": _handled_as(scope["method"])}
        allowed: set[str] = set()
        for route in self.routes:
            if not isinstance(route, APIRoute):
                continue
            match, child_scope = route.matches(asked)
            if match is Match.FULL:
                scope.update(child_scope)
                return route
            if match is Match.PARTIAL:
                allowed |= set(route.methods or ())
        if allowed:
            allowed |= {"HEAD"} if "GET" in allowed else set()
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(allowed))})
        raise HTTPException(404)

    def _add(self, endpoint: Endpoint) -> None:
        route = APIRoute(endpoint.path, endpoint.handler, methods=[endpoint.method], **operation_of(endpoint))
        route.app = self._guarded(endpoint)
        self.router.routes.append(route)
        if "{" not in endpoint.path:
            self._fixed[endpoint.method, endpoint.path] = route.app

    def _guarded(self, endpoint: Endpoint) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
        policy = endpoint.policy
        takes_query = endpoint.query is not None
        takes_body = endpoint.body is not None
        urgency = endpoint.urgency

        async def run(scope: Scope, receive: Receive, send: Send) -> None:
            request = Request(scope, receive, send)
            facts = facts_of(request)
            facts.route, facts.urgency = endpoint.path, urgency
            self._shedder.require_room(urgency)
            headers = dict(scope["headers"])
            body = b""
            if await self._admission.needs_body(facts, headers, policy):
                # The signature covers it, so it is read before the limits are asked; in time and of bounded size.
                # Never a stranger's: slow bodies that anybody may send would take all places of requests at work.
                body = await read_bytes(request)
                request = Request(scope, _received(body), send)
            signed = SignedRequest(scope["method"], scope["raw_path"], scope["query_string"], body)
            token = await self._admission.let_in(facts, headers, request=signed, policy=policy)
            if token is not None and token.key is None and takes_body and has_body(request):
                begun = time.monotonic()
                body = await read_bytes(request)
                request = Request(scope, _received(body), send)
                if time.monotonic() - begun > PROMPT_BODY_SECONDS:
                    await self._admission.require_alive(token)
            if scope["query_string"] and not takes_query:
                read_query(request, NoQuery)
            caller = Caller(
                service="gateway",
                user_id=facts.user_id,
                session_id=facts.session_id,
                request_id=facts.request_id,
                address=facts.address,
                permissions=facts.permissions,
            )
            with use_caller(caller):
                # A key was made with a fresh second factor, for exactly what its scopes say.
                if policy.step_up and facts.key is None:
                    await self._require_step_up()
                response: Response = await endpoint.handler(request)
            await response(scope, receive, send)

        return run


def _handled_as(method: str) -> str:
    # HEAD is GET whose body the server keeps back (RFC 9110, section 9.3.2).
    return "GET" if method == "HEAD" else method


def _received(body: bytes) -> Receive:
    """A body that was read already, for who reads it again."""

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
