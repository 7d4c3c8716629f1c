"""A flood of refusals is no flood of lines."""

from typing import Any

import grpc
import pytest
from chassis.grpc_server import GrpcServer
from chassis.metrics import RPC_NOT_ADMITTED
from chassis.sparing_log import SparingLog
from chassis.testing import FixedClock
from chassis.testing.services import identity_of

from chassis import grpc_server

METHOD = "/test.Echo/Echo"


def test_one_line_of_a_kind_now_and_then_says_how_many_were_left_out() -> None:
    clock = FixedClock()
    sparing = SparingLog(clock, pause_seconds=10)
    assert [sparing.turn("a") for _ in range(4)] == [0, None, None, None]
    assert sparing.turn("b") == 0
    clock.advance(9.9)
    assert sparing.turn("a") is None
    clock.advance(0.1)
    assert [sparing.turn("a"), sparing.turn("a")] == [4, None]
    clock.advance(10)
    assert sparing.turn("a") == 1
    assert sparing.turn("b") == 0


class Lines:
    """Takes the place of the server's log."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def warning(self, _message: str, **fields: Any) -> None:
        self.events.append(fields["event"])

    def debug(self, _message: str, **fields: Any) -> None:
        """Not for production."""


async def test_a_stranger_who_calls_a_hundred_times_is_counted_each_time_and_written_down_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = Lines()
    monkeypatch.setattr(grpc_server, "log", lines)
    counted = RPC_NOT_ADMITTED.labels("call_not_trusted")
    before = counted._value.get()

    async def echo(request: bytes, _context: Any) -> bytes:
        return request

    server = GrpcServer("127.0.0.1:0", identity_of("trading"))
    handler: Any = grpc.unary_unary_rpc_method_handler(echo)
    handlers = grpc.method_handlers_generic_handler("test.Echo", {"Echo": handler})
    server.add(lambda _servicer, at: at.add_generic_rpc_handlers((handlers,)), None, "test.Echo")
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        for number in range(100):
            with pytest.raises(grpc.aio.AioRpcError, match="did not prove"):
                await channel.unary_unary(METHOD)(b"", metadata=[("x-cv-service", f"mallory-{number}")])
    await server.stop(grace_seconds=0.1)
    assert lines.events == ["rpc_not_admitted"]
    assert counted._value.get() - before == 100
