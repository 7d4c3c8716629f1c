import re

from chassis.embedded.ports import free_port_block
from chassis.grpc_server import GrpcServer
from chassis.testing.services import identity_of
from local_stack.output import Tail
from local_stack.readiness import GrpcHealth, HttpOk, PortOpen, SaysLine
from pytest_httpserver import HTTPServer


async def test_a_grpc_server_is_ready_when_it_says_serving() -> None:
    server = GrpcServer("127.0.0.1:0", identity_of("trading"))
    probe = GrpcHealth(await server.start())
    try:
        assert not await probe(Tail())
        await server.set_serving(serving=True)
        assert await probe(Tail())
        await server.set_serving(serving=False)
        assert not await probe(Tail())
    finally:
        await server.stop(grace_seconds=0)
    assert not await probe(Tail())


async def test_an_http_server_is_ready_when_it_answers_200(httpserver: HTTPServer) -> None:
    httpserver.expect_oneshot_request("/health/ready").respond_with_data(status=503)
    httpserver.expect_oneshot_request("/health/ready").respond_with_data(status=200)
    probe = HttpOk(httpserver.port, "/health/ready")
    assert not await probe(Tail())
    assert await probe(Tail())


async def test_where_nobody_listens_nothing_is_ready() -> None:
    port = free_port_block()
    assert not await PortOpen(port)(Tail())
    assert not await HttpOk(port, "/")(Tail())


async def test_a_worker_is_ready_when_it_says_so() -> None:
    tail = Tail()
    tail.add("celery@host starts")
    probe = SaysLine(r"celery@\S+ ready")
    assert not await probe(tail)
    tail.add("[INFO] celery@host ready.")
    assert await probe(tail)
    assert tail.has(re.compile("starts"))
