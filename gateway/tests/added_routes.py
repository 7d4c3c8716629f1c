"""Routes that the gateway does not have, for a test: behind its real door, with its real admission."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.admission.policy import Access
from gateway.routes.endpoint import API, Endpoint, Handler
from starlette.requests import Request
from starlette.responses import Response

if TYPE_CHECKING:
    from conftest import Running


@contextmanager
def added(up: "Running", endpoint: Endpoint) -> Iterator[Endpoint]:
    application = up.gateway.application
    application._add(endpoint)
    try:
        yield endpoint
    finally:
        application.router.routes.pop()
        del application._fixed[endpoint.method, endpoint.path]


@dataclass
class Waiting:
    """A route whose requests are answered when `go` is set."""

    path: str
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def request(self) -> bytes:
        return f"POST {self.path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nX-Request-ID: slow\r\n\r\n".encode()

    async def answer(self, request: Request) -> Response:
        await request.receive()  # the body; from here on what comes behind it is read
        self.begun.set()
        await self.go.wait()
        return Response(status_code=204)


@asynccontextmanager
async def waiting_route(up: "Running") -> AsyncIterator[Waiting]:
    waiting = Waiting(f"{API}/waiting")
    with added(up, public("POST", waiting.path, waiting.answer)):
        yield waiting


def public(method: str, path: str, handler: Handler) -> Endpoint:
    return Endpoint(
        method=method, path=path, handler=handler, access=Access.PUBLIC, limit=None, operation_id="added",
        summary="Added", tag="test",
    )  # fmt: skip
