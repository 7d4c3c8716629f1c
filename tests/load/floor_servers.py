"""The bare servers that our figures are compared with, each started as a process of its own:
`raw-asgi PORT BYTES`, `echo-grpc PORT`, `hop PORT GRPC_PORT`.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import uvicorn
import uvloop
from fastapi import FastAPI

ECHO = "/bench.Echo/Echo"


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


def _serve(app: Any, port: int) -> None:
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", access_log=False, lifespan="off")
    uvloop.run(uvicorn.Server(config).serve())


SERVERS: dict[str, Callable[..., None]] = {"raw-asgi": raw_asgi, "echo-grpc": echo_grpc, "hop": hop}

if __name__ == "__main__":
    name, *numbers = sys.argv[1:]
    asyncio.set_event_loop_policy(None)
    SERVERS[name](*(int(number) for number in numbers))
