"""The gRPC server every service runs: who calls, deadlines, errors, metrics, health, reflection, an orderly end."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Sequence
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection  # type: ignore[import-untyped] # ships none

from chassis.clock import SystemClock
from chassis.deadlines import set_deadline
from chassis.errors import ServiceError
from chassis.failures import INTERNAL_MESSAGE, internal_metadata, status_of, trailing_metadata
from chassis.identity import SERVICE_KEY, set_caller
from chassis.logs import get_logger
from chassis.metrics import RPC_IN_FLIGHT, RPC_NOT_ADMITTED, RPC_SECONDS
from chassis.sparing_log import SparingLog
from chassis.tracing import TRACEPARENT_KEY, set_traceparent, span
from chassis.trust.call_table import ServiceNotAllowed
from chassis.trust.call_tokens import CallNotTrusted
from chassis.trust.service_identity import ServiceIdentity

MESSAGE_BYTES_MAX = 4 * 1024 * 1024
GRACE_SECONDS = (
    5.0  # orders have 2 s; only a sign-in that waits for its turn may have more, and is then told to come again
)
_DRAIN_POLL_SECONDS = 0.02
_CLEAN_UP_SECONDS = 1.0

SERVER_OPTIONS: list[tuple[str, Any]] = [
    # Two processes on one port would share the calls in silence; the second must fail to start instead.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # Our clients ping every 20 s also on idle streams; less than 10 s would be a broken one.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
]

AddServicer = Callable[[Any, Any], None]
# Our word for an error that no adapter translated; None where it is a bug.
Translation = Callable[[Exception], ServiceError | None]
_Read = Callable[[bytes], Any]
_Handler = Any  # grpc.RpcMethodHandler, whose stubs name none of the fields a wrapper needs

log = get_logger(__name__)


class GrpcServer:
    """Add servicers, start, stop. Not serving (by health) until told so. Answers whom `identity` admits. Of the errors
    that are not ours, those for which a translation has a word are answered with that; any other is a bug.
    """

    def __init__(self, listen: str, identity: ServiceIdentity, translations: Sequence[Translation] = ()) -> None:
        self._identity = identity
        self._calls = _CallInterceptor(identity, translations)
        self._server = grpc.aio.server(interceptors=[self._calls], options=SERVER_OPTIONS)
        self._listen = listen
        self._names: list[str] = []
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)

    def add(self, add_servicer: AddServicer, servicer: Any, name: str) -> None:
        """`add_servicer` is the generated function, `name` the full name of the service in its proto."""
        add_servicer(servicer, self._server)
        self._names.append(name)

    async def start(self) -> int:
        """Listen; the port taken. OSError-like RuntimeError where the address is in use."""
        reflection.enable_server_reflection((*self._names, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)
        await self.set_serving(False)
        certificates = self._identity.certificates
        if certificates is None:
            port = self._server.add_insecure_port(self._listen)
        else:
            port = self._server.add_secure_port(self._listen, certificates.server_credentials())
        await self._server.start()
        return port

    async def set_serving(self, serving: bool, except_services: Collection[str] = ()) -> None:  # noqa: FBT001 - a state, not an option
        """Of the process as a whole and of each service by its name, but for those that are another process's now."""
        for name in ("", *self._names):
            serves = serving and name not in except_services
            status = health_pb2.HealthCheckResponse.SERVING if serves else health_pb2.HealthCheckResponse.NOT_SERVING
            await self._health.set(name, status)

    async def stop(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Say NOT_SERVING, take nothing new, finish what is in flight (bounded), end open streams once idle."""
        await self._health.enter_graceful_shutdown()
        drain = asyncio.create_task(self._calls.drain())
        try:
            await self._server.stop(grace_seconds)
            # A stream whose client does not read is cut off by the server itself: its servicer may still clean up.
            await asyncio.wait([drain], timeout=_CLEAN_UP_SECONDS)
        finally:
            drain.cancel()
            await asyncio.gather(drain, return_exceptions=True)


class _Stream:
    """One open stream."""

    __slots__ = ("answered", "closing", "sending", "taken", "task")

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.task = task
        self.taken = 0
        self.answered = 0
        self.sending = False
        self.closing = False

    @property
    def idle(self) -> bool:
        """Every request taken from it has been answered, as always in a subscription, and nothing is being sent: who
        cancels a task in there ends it without a word to the client.
        """
        return self.answered >= self.taken and not self.sending

    @property
    def ending(self) -> bool:
        """What it has open is being closed."""
        return self.closing or self.task.cancelling() > 0

    def end_if_idle(self) -> None:
        """Raises `CancelledError`: who polls from outside may never find it between two messages."""
        if self.idle:
            raise asyncio.CancelledError

    async def counted(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for request in requests:
            self.taken += _parts(request)
            yield request


def _parts(message: Any) -> int:
    """A message may carry further ones like itself in a field `further`; each of them is answered."""
    return 1 + len(getattr(message, "further", ()))


class _CallInterceptor(grpc.aio.ServerInterceptor):
    def __init__(self, identity: ServiceIdentity, translations: Sequence[Translation] = ()) -> None:
        self._identity = identity
        self._translations = translations
        self._refusals = SparingLog(SystemClock())
        self._handlers: dict[str, _Handler] = {}
        self._streams: set[_Stream] = set()
        self._stopping = False

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[_Handler]], handler_call_details: Any
    ) -> _Handler:
        method = handler_call_details.method
        wrapped = self._handlers.get(method)
        if wrapped is None:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None
            # Only methods that exist get here, so the cache is as large as the contract.
            wrapped = self._handlers[method] = self._wrap(handler, method)
        return wrapped

    async def drain(self) -> None:
        """End streams as soon as they owe no answer: else a gateway's open stream holds a stop for the whole grace."""
        self._stopping = True
        while self._streams:
            for stream in list(self._streams):
                if stream.idle and not stream.ending:
                    stream.task.cancel()
            await asyncio.sleep(_DRAIN_POLL_SECONDS)

    def _wrap(self, handler: _Handler, method: str) -> _Handler:
        # A single request is read here, once its caller is admitted: the caller signed its bytes.
        read = handler.request_deserializer or bytes
        serializers = (handler.request_deserializer if handler.request_streaming else None, handler.response_serializer)
        if handler.response_streaming:
            behaviour = handler.stream_stream if handler.request_streaming else handler.unary_stream
            make = (
                grpc.stream_stream_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_stream_rpc_method_handler
            )
            return make(self._streaming(behaviour, method, None if handler.request_streaming else read), *serializers)
        behaviour = handler.stream_unary if handler.request_streaming else handler.unary_unary
        make_unary = (
            grpc.stream_unary_rpc_method_handler if handler.request_streaming else grpc.unary_unary_rpc_method_handler
        )
        return make_unary(self._unary(behaviour, method, None if handler.request_streaming else read), *serializers)

    def _unary(
        self, behaviour: Callable[..., Awaitable[Any]], method: str, read: _Read | None
    ) -> Callable[..., Awaitable[Any]]:
        """`read` is None where a stream of requests comes."""

        async def answer(request: Any, context: Any) -> Any:
            call = _Call(method, context)
            try:
                call.admit(self._identity, self._refusals, None if read is None else request)
                if read is not None:
                    request = read(request)
                if call.expired:
                    await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "The deadline passed before work began.")
                with span(method):
                    return await behaviour(request, context)
            except BaseException as error:
                if not call.fail(self._in_our_words(error)):
                    raise
                return None
            finally:
                call.end()

        return answer

    def _streaming(self, behaviour: Callable[..., Any], method: str, read: _Read | None) -> Callable[..., Any]:
        """`read` is None where a stream of requests comes."""

        async def answer(request: Any, context: Any) -> AsyncIterator[Any]:
            call = _Call(method, context)
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 - grpc.aio runs every handler in a task
            stream = _Stream(task)
            self._streams.add(stream)
            try:
                call.admit(self._identity, self._refusals, None if read is None else request)
                result = behaviour(stream.counted(request) if read is None else read(request), context)
                if hasattr(result, "__aiter__"):
                    try:
                        async for response in result:
                            stream.sending = True
                            yield response
                            stream.sending = False
                            stream.answered += _parts(response)
                            if self._stopping:
                                stream.end_if_idle()
                    finally:
                        # What it has open ends with the call, where that ends between two messages too.
                        stream.closing = True
                        if isinstance(result, AsyncGenerator):
                            await result.aclose()
                else:
                    await result  # a coroutine that writes to the context itself
            except asyncio.CancelledError:
                call.code = "CANCELLED"
                if not self._stopping:
                    raise
                await context.abort(grpc.StatusCode.UNAVAILABLE, "The service is stopping.")
            except Exception as error:
                if not call.fail(self._in_our_words(error)):
                    raise
            finally:
                self._streams.discard(stream)
                call.end()

        return answer

    def _in_our_words(self, error: BaseException) -> BaseException:
        if isinstance(error, Exception) and not isinstance(error, ServiceError):
            for translation in self._translations:
                translated = translation(error)
                if translated is not None:
                    return translated
        return error


class _Call:
    """What surrounds one RPC. Context variables are set and never reset: each RPC is a task of its own."""

    __slots__ = ("_context", "_in_flight", "_metadata", "_method", "_started", "code", "expired")

    def __init__(self, method: str, context: Any) -> None:
        self._context = context
        self._method = method
        self._metadata = context.invocation_metadata() or ()
        set_traceparent(next((value for key, value in self._metadata if key == TRACEPARENT_KEY), None))
        remaining = context.time_remaining()
        set_deadline(remaining)
        self.expired = remaining is not None and remaining <= 0
        self.code = "OK"
        self._in_flight = RPC_IN_FLIGHT.labels(method)
        self._in_flight.inc()
        self._started = time.perf_counter()

    def admit(self, identity: ServiceIdentity, refusals: SparingLog, request: bytes | None) -> None:
        """From here on the work is its caller's. Raises what `identity` refuses with."""
        try:
            set_caller(identity.admit(self._method, self._metadata, self._context, request))
        except (CallNotTrusted, ServiceNotAllowed) as refusal:
            left_out = refusals.turn(refusal.reason)
            if left_out is not None:
                log.warning(
                    "Call by a stranger refused",
                    event="rpc_not_admitted",
                    method=self._method,
                    reason=refusal.reason,
                    claimed=next((value for key, value in self._metadata if key == SERVICE_KEY), ""),
                    left_out=left_out,
                )
            RPC_NOT_ADMITTED.labels(refusal.reason).inc()
            raise

    def fail(self, error: BaseException) -> bool:
        """Turn an error into the call's status; False for what must travel on as it is.

        Not by `context.abort`: the call keeps what that raises, which holds its frames and so the call. Only the
        collector of cycles ends that, and not where part of it is frozen.
        """
        if isinstance(error, grpc.aio.AbortError):
            status = self._context.code()
            self.code = status.name if isinstance(status, grpc.StatusCode) else _name_of(status)
        elif isinstance(error, ServiceError):
            status = status_of(error)
            self.code = status.name
            log.debug("Call refused", event="rpc_refused", method=self._method, reason=error.reason)
            self._end_with(status, error.message, trailing_metadata(error))
            return True
        elif isinstance(error, Exception):
            self.code = grpc.StatusCode.INTERNAL.name
            log.error(
                "Call failed",
                event="rpc_failed",
                method=self._method,
                duration_ms=self._milliseconds(),
                exc_info=error,
            )
            self._end_with(grpc.StatusCode.INTERNAL, INTERNAL_MESSAGE, internal_metadata())
            return True
        else:
            self.code = grpc.StatusCode.CANCELLED.name
        return False

    def end(self) -> None:
        self._in_flight.dec()
        RPC_SECONDS.labels(self._method, self.code).observe(time.perf_counter() - self._started)

    def _end_with(self, status: grpc.StatusCode, message: str, metadata: Any) -> None:
        self._context.set_code(status)
        self._context.set_details(message)
        self._context.set_trailing_metadata(metadata)

    def _milliseconds(self) -> float:
        return round((time.perf_counter() - self._started) * 1000, 1)


def _name_of(number: Any) -> str:
    return next((status.name for status in grpc.StatusCode if status.value[0] == number), "UNKNOWN")
