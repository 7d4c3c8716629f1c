"""A whole process: how it starts, how it says no, how it ends."""

import asyncio
import json
import os
import signal
import sys
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from chassis.embedded.ports import free_port_block
from chassis.errors import ErrorKind, RemoteBugError, RemoteError
from chassis.grpc_client import open_channel
from chassis.settings import EXIT_BAD_SETTINGS
from chassis.testing import eventually, serve
from chassis.testing.services import identity_of, key_settings
from chassis.testing.tcp_proxy import TcpProxy
from chassis.trust.call_table import CallTable
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_services import ask
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

# An exporter of traces knows no token.
COLLECTING = identity_of(
    "portfolio",
    table=CallTable(reads={}, commands={"/opentelemetry.proto.collector.trace.v1.TraceService/Export": ["anybody"]}),
)
START_SECONDS_MAX = 60.0  # a second alone; the machine may be building something else

PRELUDE = """
import asyncio
from chassis.crash_points import crash_point
from chassis.errors import Unavailable
from chassis.grpc_server import GrpcServer
from chassis.service import Runtime, run
from chassis.settings import ServiceSettings
from cryptovault.portfolio.v1 import portfolio_pb2, portfolio_pb2_grpc

class Servicer(portfolio_pb2_grpc.PortfolioServiceServicer):
    async def GetPortfolio(self, request, context):
        crash_point("while_answering")
        return portfolio_pb2.GetPortfolioResponse()

def serve(runtime):
    runtime.add_servicer(
        portfolio_pb2_grpc.add_PortfolioServiceServicer_to_server,
        Servicer(),
        "cryptovault.portfolio.v1.PortfolioService",
    )
"""


class Process:
    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.address = f"127.0.0.1:{port}"
        self.metrics_port = port + 1

    async def status(self) -> int:
        async with open_channel(
            self.address, to="portfolio", identity=identity_of("gateway"), deadline_seconds=30
        ) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            return int((await stub.Check(health_pb2.HealthCheckRequest())).status)

    async def serving(self) -> bool:
        return await self.status() == health_pb2.HealthCheckResponse.SERVING

    async def ended(self) -> tuple[int, list[dict[str, Any]], str]:
        """Exit code, log lines, stderr."""
        output, errors = await asyncio.wait_for(self.process.communicate(), START_SECONDS_MAX)
        assert self.process.returncode is not None
        return self.process.returncode, [json.loads(line) for line in output.splitlines()], errors.decode()


@asynccontextmanager
async def started(program: str, **environment: str) -> AsyncIterator[Process]:
    port = free_port_block()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PRELUDE + program,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={
            "PATH": os.environ["PATH"],
            "CRYPTOVAULT_PROFILE": "test",
            "CRYPTOVAULT_LISTEN": f"127.0.0.1:{port}",
            "CRYPTOVAULT_METRICS_PORT": str(port + 1),
            **{f"CRYPTOVAULT_{name.upper()}": value for name, value in key_settings("portfolio").items()},
            **environment,
        },
    )
    try:
        yield Process(process, port)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
async def test_a_service_serves_and_stops_in_order(signal_number: signal.Signals) -> None:
    program = """
async def compose(runtime):
    serve(runtime)
    async def say(word):
        print('{"message": "%s"}' % word, flush=True)
    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            await say("background ended")
    runtime.background("work", work)
    runtime.on_stop(lambda: say("opened first"))
    runtime.on_stop(lambda: say("opened last"))
run(ServiceSettings, compose)
"""
    async with started(program) as process:
        await eventually(process.serving, timeout_seconds=START_SECONDS_MAX)
        process.process.send_signal(signal_number)
        code, lines, _ = await process.ended()
    assert code == 0
    words = [line["message"] for line in lines]
    assert words[-3:] == ["background ended", "opened last", "opened first"]


async def test_a_missing_backend_is_named_in_one_line() -> None:
    async with started("""
async def compose(runtime):
    await runtime.mongo()
run(ServiceSettings, compose)
""") as process:
        code, _, errors = await process.ended()
    assert (code, errors) == (EXIT_BAD_SETTINGS, "refusing to start: CRYPTOVAULT_MONGO_URL is not set\n")


async def test_a_read_that_loses_the_database_is_unavailable_and_no_bug(mongo_url: str) -> None:
    server, port = urlsplit(mongo_url), free_port_block()
    proxy = TcpProxy(server.port or 27_017)
    # Without the driver's own second try the first lost answer is an error.
    url = f"mongodb://127.0.0.1:{port}/?retryReads=false&{server.query}"
    async with (
        proxy.serving(port),
        started(
            """
class Reads(Servicer):
    def __init__(self, mongo):
        self._mongo = mongo
    async def GetPortfolio(self, request, context):
        await self._mongo.database["anything"].find_one({})
        return portfolio_pb2.GetPortfolioResponse()

async def compose(runtime):
    add = portfolio_pb2_grpc.add_PortfolioServiceServicer_to_server
    runtime.add_servicer(add, Reads(await runtime.mongo()), "cryptovault.portfolio.v1.PortfolioService")
run(ServiceSettings, compose)
""",
            CRYPTOVAULT_MONGO_URL=url,
        ) as process,
    ):
        await eventually(process.serving, timeout_seconds=START_SECONDS_MAX)
        await ask(process.address)

        async def refusal() -> Exception | None:
            proxy.lose_answers()  # the check of readiness may have met the loss before us
            try:
                await ask(process.address)
            except (RemoteError, RemoteBugError) as error:
                return error
            return None

        error = await eventually(refusal)
        assert isinstance(error, RemoteError)
        assert (error.kind, error.reason) == (ErrorKind.UNAVAILABLE, "database_unavailable")
        await ask(process.address)


async def test_a_crash_of_a_background_task_ends_the_process() -> None:
    async with started("""
async def compose(runtime):
    serve(runtime)
    async def finishes():
        return None
    async def crashes():
        await asyncio.sleep(0.1)
        raise ValueError("boom")
    runtime.background("finishes", finishes)
    runtime.background("folding", crashes)
run(ServiceSettings, compose)
""") as process:
        code, lines, _ = await process.ended()
    assert code == 1
    (crash,) = [line for line in lines if line.get("event") == "background_crashed"]
    assert crash["task"] == "folding"
    assert "boom" in crash["exception"]


async def test_work_that_is_anothers_now_ends_the_process_with_one_line() -> None:
    async with started("""
from chassis.errors import MustEnd
async def compose(runtime):
    async def one(sentence):
        await asyncio.sleep(0.1)
        raise MustEnd(sentence)
    async def leads():
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(one("somebody else leads"))
            tasks.create_task(one("the lease is gone"))
    runtime.background("leadership", leads)
run(ServiceSettings, compose)
""") as process:
        code, lines, errors = await process.ended()
    assert code == 1
    (end,) = [line for line in lines if line.get("event") in {"process_must_end", "background_crashed"}]
    assert (end["event"], end["task"]) == ("process_must_end", "leadership")
    assert end["problem"] == "somebody else leads; the lease is gone"
    assert "Traceback" not in "".join((*map(str, lines), errors))


async def test_a_mere_mention_of_an_end_hides_no_crash() -> None:
    async with started("""
from chassis.errors import MustEnd
async def compose(runtime):
    async def crashes():
        raise ExceptionGroup("both", [MustEnd("somebody else leads"), ValueError("boom")])
    runtime.background("leadership", crashes)
run(ServiceSettings, compose)
""") as process:
        code, lines, _ = await process.ended()
    assert code == 1
    (crash,) = [line for line in lines if line.get("event") == "background_crashed"]
    assert "boom" in crash["exception"]


async def test_a_service_that_cannot_compose_says_why_and_closes_what_it_opened() -> None:
    async with started("""
async def compose(runtime):
    async def closed():
        print('{"message": "closed"}', flush=True)
    runtime.on_stop(closed)
    raise Unavailable("No trading today.")
run(ServiceSettings, compose)
""") as process:
        code, lines, _ = await process.ended()
    assert code == 1
    assert lines[0]["problem"] == "No trading today."
    assert lines[1]["message"] == "closed"


async def test_a_stop_during_start_is_obeyed() -> None:
    async with started("""
async def compose(runtime):
    print('{"message": "composing"}', flush=True)
    await asyncio.Event().wait()
run(ServiceSettings, compose)
""") as process:
        assert process.process.stdout is not None
        await process.process.stdout.readline()
        process.process.terminate()
        code, _, _ = await process.ended()
    assert code == 0


async def test_health_follows_readiness(tmp_path: Path) -> None:
    flag = tmp_path / "ready"
    async with started(f"""
import pathlib
async def compose(runtime):
    serve(runtime)
    async def check():
        return pathlib.Path({str(flag)!r}).exists()
    async def broken():
        if not pathlib.Path({str(flag)!r}).exists():
            raise OSError("no")
    runtime.readiness("flag", check)
    runtime.readiness("broken", broken)
run(ServiceSettings, compose)
""") as process:
        status = await eventually(process.status, timeout_seconds=START_SECONDS_MAX)
        assert status == health_pb2.HealthCheckResponse.NOT_SERVING
        flag.touch()
        await eventually(process.serving)
        flag.unlink()

        async def not_serving() -> bool:
            return not await process.serving()

        await eventually(not_serving)


async def test_metrics_have_a_port_of_their_own() -> None:
    async with started("""
async def compose(runtime):
    serve(runtime)
run(ServiceSettings, compose)
""") as process:
        await eventually(process.serving, timeout_seconds=START_SECONDS_MAX)
        url = f"http://127.0.0.1:{process.metrics_port}/metrics"
        body = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=30).read().decode())
    assert 'cryptovault_rpc_seconds_count{code="OK",method="/grpc.health.v1.Health/Check"}' in body


async def test_spans_go_to_the_collector_and_a_dead_collector_does_not_hold_a_stop() -> None:
    received: list[Any] = []

    class Collector(trace_service_pb2_grpc.TraceServiceServicer):  # type: ignore[misc] # untyped upstream
        async def Export(self, request: Any, context: Any) -> Any:  # noqa: N802
            received.append(request)
            return trace_service_pb2.ExportTraceServiceResponse()

    program = """
async def compose(runtime):
    serve(runtime)
run(ServiceSettings, compose)
"""
    collector = (trace_service_pb2_grpc.add_TraceServiceServicer_to_server, Collector(), "collector")
    async with (
        serve([collector], plays=COLLECTING) as address,
        started(program, CRYPTOVAULT_OTLP_ENDPOINT=f"http://{address}") as process,
    ):
        await eventually(process.serving, timeout_seconds=START_SECONDS_MAX)
        process.process.terminate()
        assert (await process.ended())[0] == 0
    spans = [span for request in received for spans in request.resource_spans for span in spans.scope_spans[0].spans]
    assert "/grpc.health.v1.Health/Check" in {span.name for span in spans}
    async with started(program, CRYPTOVAULT_OTLP_ENDPOINT=f"http://{address}") as process:
        await eventually(process.serving, timeout_seconds=START_SECONDS_MAX)
        process.process.terminate()
        assert (await process.ended())[0] == 0


async def test_a_crash_point_kills_at_the_named_pass() -> None:
    from cryptovault.portfolio.v1 import portfolio_pb2, portfolio_pb2_grpc  # noqa: PLC0415

    async with started(
        """
async def compose(runtime):
    serve(runtime)
run(ServiceSettings, compose)
""",
        CRYPTOVAULT_CRASH_POINT="while_answering:2",
    ) as process:
        await eventually(process.serving, timeout_seconds=START_SECONDS_MAX)
        async with open_channel(
            process.address, to="portfolio", identity=identity_of("gateway"), deadline_seconds=30
        ) as channel:
            stub = portfolio_pb2_grpc.PortfolioServiceStub(channel)
            await stub.GetPortfolio(portfolio_pb2.GetPortfolioRequest())
            with pytest.raises(RemoteError):
                await stub.GetPortfolio(portfolio_pb2.GetPortfolioRequest())
        code, _, _ = await process.ended()
    assert code == -signal.SIGKILL


async def test_a_crash_point_is_refused_in_production() -> None:
    async with started(
        "run(ServiceSettings, serve)", CRYPTOVAULT_PROFILE="production", CRYPTOVAULT_CRASH_POINT="while_answering"
    ) as process:
        code, _, errors = await process.ended()
    assert code == EXIT_BAD_SETTINGS
    assert "crash_point" in errors
