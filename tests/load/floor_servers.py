"""The bare servers that our figures are compared with, each started as a process of its own:
`raw-asgi PORT BYTES`, `echo-grpc PORT`, `hop PORT GRPC_PORT`, `gateway PORT OPEN`.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import uvicorn
import uvloop
from chassis.clock import SystemClock
from chassis.ids import RandomIds
from chassis.logs import configure_logging
from chassis.settings import load_settings
from chassis.trust.service_identity import ServiceIdentity
from fastapi import FastAPI
from gateway.admission.policy import Policy
from gateway.bootstrap import build, connection_limits, run
from gateway.edge.facts import RequestFacts
from gateway.edge.http_server import HttpServer
from gateway.settings import GatewaySettings

ECHO = "/bench.Echo/Echo"
_KEEP_ALIVE_SECONDS = 60  # a floor is measured by turns with what it is the floor of


def raw_asgi(port: int, body_bytes: int) -> None:
    """The cheapest reply that uvicorn can give: no routing, no middleware, a ready-made body."""
    body = b"x" * body_bytes
    headers = [(b"content-type", b"application/json"), (b"content-length", str(body_bytes).encode())]

    async def app(
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    _serve(app, port)


def echo_grpc(port: int) -> None:
    """One unary method that answers its own bytes."""

    async def echo(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        return request

    async def main() -> None:
        server = grpc.aio.server()
        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(echo)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Echo", {"Echo": handler}),))
        server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        await server.wait_for_termination()

    uvloop.run(main())


def hop(port: int, grpc_port: int) -> None:
    """A bare FastAPI route that makes one unary gRPC call."""
    app = FastAPI()
    calls: dict[str, Any] = {}

    @app.post("/hop")
    async def hop_route(body: dict[str, str]) -> dict[str, str]:
        if not calls:
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{grpc_port}")
            calls["echo"] = channel.unary_unary(ECHO)
        answer: bytes = await calls["echo"](body["text"].encode())
        return {"text": answer.decode()}

    _serve(app, port)


def gateway(port: int, is_open: int) -> None:
    """The real gateway before the platform that the environment names; open: everybody is BENCH_USER, whatever they
    send and however often.
    """
    settings = load_settings(GatewaySettings)
    configure_logging(settings)

    async def main() -> None:
        built = build(settings, identity=ServiceIdentity.of(settings), clock=SystemClock(), ids=RandomIds())
        if is_open:
            built.application._admission = _OpenDoor(os.environ["BENCH_USER"])  # type: ignore[assignment]
        connections = connection_limits(settings)
        server = HttpServer(built.door, host="127.0.0.1", port=port, connections=connections, stop_seconds=1)
        await run(built, server)

    uvloop.run(main())


class _OpenDoor:
    def __init__(self, user_id: str) -> None:
        self._user_id = user_id

    async def let_in(self, facts: RequestFacts, *_: Any, policy: Policy, **__: Any) -> None:
        facts.user_id = self._user_id
        facts.permissions = frozenset({policy.permission} if policy.permission else ())

    async def needs_body(self, *_: Any) -> bool:
        return False


def _serve(app: Any, port: int) -> None:
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, log_level="warning", access_log=False, lifespan="off",
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
    )  # fmt: skip
    uvloop.run(uvicorn.Server(config).serve())


SERVERS: dict[str, Callable[..., None]] = {"raw-asgi": raw_asgi, "echo-grpc": echo_grpc, "hop": hop, "gateway": gateway}

if __name__ == "__main__":
    name, *numbers = sys.argv[1:]
    asyncio.set_event_loop_policy(None)
    SERVERS[name](*(int(number) for number in numbers))
