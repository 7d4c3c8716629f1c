"""How any service runs: read settings, compose, serve, stop in order. A service's `__main__` calls `run` alone."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import redis.asyncio
import redis.exceptions
import uvloop
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from chassis.clock import Clock, SystemClock
from chassis.crash_points import arm_crash_point
from chassis.errors import MustEnd, ServiceError
from chassis.grpc_server import AddServicer, GrpcServer, Translation
from chassis.ids import Ids, RandomIds
from chassis.logs import configure_logging, get_logger
from chassis.metrics import start_metrics
from chassis.settings import MissingSetting, ServiceSettings, load_settings, refuse_to_start
from chassis.tracing import configure_tracing
from chassis.trust.service_identity import ServiceIdentity

if TYPE_CHECKING:
    from chassis.bus import Bus
    from chassis.mongo import MongoConnection

_HOOK_SECONDS_MAX = 5.0  # a hook that hangs must not keep the process: the supervisor would kill it anyway
_READINESS_SECONDS_MAX = 2.0
_READINESS_FIRST_INTERVAL_SECONDS = 0.1  # until ready once: a start waits for nothing longer than it must
_READINESS_INTERVAL_SECONDS = 1.0
_REDIS_CONNECTIONS_MAX = 64
EXIT_CRASHED = 1

S = TypeVar("S", bound=ServiceSettings)
Hook = Callable[[], Awaitable[None]]
Check = Callable[[], Awaitable[bool | None]]

log = get_logger(__name__)


class Runtime(Generic[S]):
    """What `compose` builds a service from. Connections are made once, shared, and closed after everything else."""

    def __init__(self, settings: S, *, clock: Clock | None = None, ids: Ids | None = None) -> None:
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self.ids: Ids = ids or RandomIds()
        # Set when the process was asked to stop: a loop that waits for work may wait for this too.
        self.stopping = asyncio.Event()
        self._mongo: MongoConnection | None = None
        self._redis: redis.asyncio.Redis | None = None
        self._bus: Bus | None = None
        self._servicers: list[tuple[AddServicer, Any, str]] = []
        self._translations: list[Translation] = []
        self._background: list[tuple[str, Hook]] = []
        self._hooks: list[Hook] = []
        self._checks: dict[str, Check] = {}
        self._serving: dict[str, Check] = {}

    @cached_property
    def identity(self) -> ServiceIdentity:
        """What the service calls others with, and knows its own callers by. Raises MissingSetting."""
        return ServiceIdentity.of(self.settings)

    async def mongo(self) -> "MongoConnection":
        """The service's own database; the service is not ready while it does not answer."""
        if self._mongo is None:
            # Here and in `bus`: a service that has no database or no bus does not load their drivers (0.5 s, 30 MB).
            from chassis.mongo import connect, lost_connection  # noqa: PLC0415

            self._mongo = connect(self.settings.required("mongo_url"), self.settings.database_name)
            self.on_stop(self._mongo.close)
            # Reads are not wrapped one by one: whatever a call was doing, it did not find the database.
            self._translations.append(lost_connection)
            self.readiness("mongo", self._mongo.ping)
        return self._mongo

    async def redis(self) -> redis.asyncio.Redis:
        """Bytes in, bytes out. Waits for a free connection instead of failing above the pool's size."""
        if self._redis is None:
            seconds = self.settings.redis_timeout_seconds
            pool = redis.asyncio.BlockingConnectionPool.from_url(
                self.settings.required("redis_url"),
                max_connections=_REDIS_CONNECTIONS_MAX,
                timeout=seconds,
                socket_timeout=seconds,
                socket_connect_timeout=seconds,
                # After a restart of Redis every pooled connection is dead; without this each costs somebody an error.
                # Not for timeouts: they have had their time.
                retry=Retry(NoBackoff(), 1, supported_errors=(redis.exceptions.ConnectionError,)),
            )
            self._redis = redis.asyncio.Redis.from_pool(pool)
            self.on_stop(self._redis.aclose)
        return self._redis

    async def bus(self) -> "Bus":
        if self._bus is None:
            from chassis.bus import Bus  # noqa: PLC0415

            self._bus = await Bus.connect(self.settings.required("amqp_url"), self.settings.bus_namespace)
            self.on_stop(self._bus.close)
        return self._bus

    def add_servicer(
        self, add_to_server: AddServicer, servicer: Any, name: str, *, serving: Check | None = None
    ) -> None:
        """`add_to_server` is the generated `add_..._to_server`, `name` the service's full name in its proto.

        Health, asked by that name, says SERVING while the process is ready and `serving`, where given, returns true:
        a process may be in good order and yet leave this service to another one of its kind.
        """
        self._servicers.append((add_to_server, servicer, name))
        if serving is not None:
            self._serving[name] = serving

    def background(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Runs beside the server, from after `compose` until the server has stopped. If it raises, the process ends:
        with one line in the log for `MustEnd`, with a traceback for anything else.
        """
        self._background.append((name, work))

    def on_stop(self, hook: Hook) -> None:
        """Runs after the server and the background work have ended; last registered, first run."""
        self._hooks.append(hook)

    def readiness(self, name: str, check: Check) -> None:
        """Health says SERVING only while every check returns (True or None) in time; False or an error is not ready."""
        self._checks[name] = check

    async def serve(self) -> int:
        """Serve until asked to stop or a background task dies; the exit code. Raises MissingSetting."""
        try:
            server = GrpcServer(self.settings.listen, self.identity, self._translations) if self._servicers else None
        except MissingSetting:
            await self.run_hooks()
            raise
        tasks = {asyncio.create_task(_named(work), name=name) for name, work in self._background}
        stop_asked = asyncio.create_task(self.stopping.wait())
        exit_code = 0
        try:
            if server is not None:
                for add_to_server, servicer, name in self._servicers:
                    server.add(add_to_server, servicer, name)
                port = await server.start()
                log.info("Service listens", event="service_listening", port=port)
            readiness = asyncio.create_task(self._watch_readiness(server), name="readiness")
            exit_code = await _until_over(stop_asked, {*tasks, readiness})
            tasks.add(readiness)
        finally:
            log.info("Service stops", event="service_stopping")
            self.stopping.set()
            if server is not None:
                await server.stop()
            await _cancel_all({*tasks, stop_asked})
            await self.run_hooks()
        return exit_code

    async def run_hooks(self) -> None:
        while self._hooks:
            hook = self._hooks.pop()
            try:
                async with asyncio.timeout(_HOOK_SECONDS_MAX):
                    await hook()
            except Exception:
                log.exception("Stop hook failed", event="stop_hook_failed")

    async def _watch_readiness(self, server: GrpcServer | None) -> None:
        ready: bool | None = None
        resting: frozenset[str] = frozenset()
        while True:
            failing = [name for name, check in self._checks.items() if not await _passes(check)]
            rested = resting
            resting = frozenset([name for name, check in self._serving.items() if not await _passes(check)])
            changed = ready is not (not failing)
            ready = not failing
            if server is not None and (changed or rested != resting):
                await server.set_serving(ready, except_services=resting)
            if changed:
                if ready:
                    log.info("Service is ready", event="service_ready")
                else:
                    log.warning("Service is not ready", event="service_not_ready", failing=failing)
            await asyncio.sleep(_READINESS_INTERVAL_SECONDS if ready else _READINESS_FIRST_INTERVAL_SECONDS)


Compose = Callable[[Runtime[S]], Awaitable[None]]


def run(settings_type: type[S], compose: Compose[S]) -> None:
    """Run a service until SIGTERM or SIGINT. Exits 0 after an orderly stop, 78 on bad settings, 1 on a crash."""
    settings = load_settings(settings_type)
    configure_logging(settings)
    arm_crash_point(settings.crash_point)
    stop_metrics = start_metrics(settings.metrics_port, settings.listen.rpartition(":")[0] or "0.0.0.0")  # noqa: S104 - as wide as the service itself listens
    stop_tracing = configure_tracing(settings.service_name, settings.otlp_endpoint)
    try:
        exit_code = uvloop.run(_main(settings, compose))
    except MissingSetting as missing:
        refuse_to_start(str(missing))
    finally:
        stop_tracing()
        stop_metrics()
    sys.exit(exit_code)


async def _main(settings: S, compose: Compose[S]) -> int:
    runtime = Runtime(settings)
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, runtime.stopping.set)
    composing = asyncio.ensure_future(compose(runtime))
    stop_asked = asyncio.create_task(runtime.stopping.wait())
    try:
        await asyncio.wait({composing, stop_asked}, return_when=asyncio.FIRST_COMPLETED)
        if not composing.done():
            await _cancel_all({composing})
            await runtime.run_hooks()
            return 0
        await composing
    except MissingSetting:
        await runtime.run_hooks()
        raise
    except ServiceError as error:
        # Our own error: its sentence says enough, a traceback would bury it.
        log.error(  # noqa: TRY400
            "Service cannot start", event="service_start_failed", reason=error.reason, problem=error.message
        )
        await runtime.run_hooks()
        return EXIT_CRASHED
    except Exception:
        log.exception("Service cannot start", event="service_start_failed")
        await runtime.run_hooks()
        return EXIT_CRASHED
    finally:
        stop_asked.cancel()
    return await runtime.serve()


async def _named(work: Callable[[], Awaitable[None]]) -> None:
    await work()


async def _until_over(stop_asked: asyncio.Task[Any], tasks: set[asyncio.Task[None]]) -> int:
    """Wait for the request to stop. A task that finishes has done its work; one that raises ends the process."""
    waiting: set[asyncio.Task[Any]] = {stop_asked, *tasks}
    while stop_asked not in (finished := (await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED))[0]):
        for task in finished:
            error = None if task.cancelled() else task.exception()
            if error is not None:
                _tell_the_end(task.get_name(), error)
                return EXIT_CRASHED
        waiting -= finished
    return 0


def _tell_the_end(task: str, error: BaseException) -> None:
    reasons = _leaves(error)
    if all(isinstance(reason, MustEnd) for reason in reasons):
        # Nothing went wrong in here: a traceback would look as if it had.
        problem = "; ".join(dict.fromkeys(str(reason) for reason in reasons))
        log.warning("Process must end", event="process_must_end", task=task, problem=problem)
    else:
        log.error("Background task crashed", event="background_crashed", task=task, exc_info=error)


def _leaves(error: BaseException) -> list[BaseException]:
    """What a task group wraps, however deep."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]


async def _cancel_all(tasks: set[Any]) -> None:
    for task in tasks:
        task.cancel()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_HOOK_SECONDS_MAX):
            await asyncio.gather(*tasks, return_exceptions=True)


async def _passes(check: Check) -> bool:
    try:
        async with asyncio.timeout(_READINESS_SECONDS_MAX):
            return await check() is not False
    except Exception:  # noqa: BLE001 - whatever a check raises, it means not ready
        return False
