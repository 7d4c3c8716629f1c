"""Channels to other services: identity, deadline and trace go along, errors come back as ours."""

import asyncio
import inspect
import random
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from chassis.circuit_breaker import CircuitBreaker
from chassis.clock import Clock, SystemClock
from chassis.deadlines import bounded
from chassis.errors import NoAnswer, RemoteBugError, RemoteError
from chassis.failures import translate
from chassis.identity import caller_metadata, current_caller
from chassis.logs import get_logger
from chassis.metrics import CALLS_REPEATED, STREAM_RECONNECTS
from chassis.retry_budget import RetryBudget
from chassis.tracing import TRACEPARENT_KEY, current_traceparent
from chassis.trust.call_tokens import AnotherProcess
from chassis.trust.service_identity import ServiceIdentity
from chassis.trust.transport import expecting

READ_DEADLINE_SECONDS = 1.0
_MESSAGE_BYTES_MAX = 4 * 1024 * 1024
_REPEAT_SECONDS_MAX = 0.05  # before a read is asked once more: all who lost one connection should not come at once
_BACKOFF_FIRST_SECONDS = 0.1
_BACKOFF_MAX_SECONDS = 3.0  # so that a service that came back is found within its 10 s

CHANNEL_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_receive_message_length", _MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", _MESSAGE_BYTES_MAX),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Whether a call may be repeated is for its caller to know.
    ("grpc.enable_retries", 0),
    # A proxy from the environment is for the internet, never for calls between services.
    ("grpc.enable_http_proxy", 0),
    # Two channels in one process (a test, a restart) must not share a connection's fate.
    ("grpc.use_local_subchannel_pool", 1),
]

_Write = Callable[[Any], bytes]
T = TypeVar("T")
log = get_logger(__name__)


def open_channel(
    address: str,
    *,
    to: str,
    identity: ServiceIdentity,
    deadline_seconds: float = READ_DEADLINE_SECONDS,
    clock: Clock | None = None,
) -> grpc.aio.Channel:
    """A channel for calls to the service `to`. Connects by itself at the first call; close it when done.

    Unary calls end after `deadline_seconds` unless they say `timeout=`, and never later than the deadline of the work
    they serve. They raise RemoteError (NoAnswer where nobody spoke), or RemoteBugError where the other side is broken.
    A read that nobody answered is asked once more, within a budget. Where nobody answers several calls in a row the
    next ones fail at once for a while (`circuit_breaker`). Streams have no deadline and do none of this.
    """
    if identity.certificates is None:
        channel = grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)
    else:
        channel = grpc.aio.secure_channel(
            address, identity.certificates.channel_credentials(), options=[*CHANNEL_OPTIONS, *expecting(to)]
        )
    return _Channel(channel, to, identity, deadline_seconds, clock or SystemClock())


async def follow(
    open_stream: Callable[[], AsyncIterable[T]],
    *,
    name: str,
    on_gap: Callable[[], Awaitable[None] | None] | None = None,
    jitter: random.Random | None = None,
) -> AsyncGenerator[T, None]:
    """The messages of a server stream, for ever: opened again, after a jittered pause, whenever it ends or fails.

    `on_gap` is told at each break, before the next message: what came in between may be lost.
    """
    dice = jitter or random.Random()  # noqa: S311 - spreads reconnects, guards nothing
    pause = _BACKOFF_FIRST_SECONDS
    while True:
        stream = open_stream()
        problem = "the stream ended"
        try:
            async for message in stream:
                pause = _BACKOFF_FIRST_SECONDS
                yield message
        except (RemoteError, RemoteBugError) as error:
            problem = str(error)
        finally:
            cancel = getattr(stream, "cancel", None)
            if cancel is not None:
                cancel()
        STREAM_RECONNECTS.labels(name).inc()
        log.warning("Stream broke, opening it again", event="stream_broken", stream=name, problem=problem)
        if on_gap is not None:
            told = on_gap()
            if inspect.isawaitable(told):
                await told
        await asyncio.sleep(dice.uniform(pause / 2, pause))
        pause = min(pause * 2, _BACKOFF_MAX_SECONDS)


class _Channel(grpc.aio.Channel):
    """Wraps instead of intercepting: grpc.aio's interceptors cost a task and a second call object for every call."""

    def __init__(
        self, channel: grpc.aio.Channel, to: str, identity: ServiceIdentity, deadline_seconds: float, clock: Clock
    ) -> None:
        self._channel = channel
        self._table = identity.table
        self._breaker = CircuitBreaker(to, clock)
        self._budget = RetryBudget()
        self._repeated = CALLS_REPEATED.labels(to)
        self._dice = random.Random()  # noqa: S311 - spreads repeats, guards nothing
        self._service = identity.name
        self._signer = identity.signer_to(to)
        self._deadline_seconds = deadline_seconds

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        await self._channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: FBT001, FBT002 - grpc's own
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._channel.channel_ready()

    # A single request is written here and not by grpc: its bytes are signed with the call.

    def unary_unary(self, method: str, request_serializer: _Write | None = None, *rest: Any, **options: Any) -> Any:
        ask: Any = self._channel.unary_unary(method, None, *rest, **options)
        return self._answering(method, ask, request_serializer or bytes)

    def stream_unary(self, method: str, *arguments: Any, **options: Any) -> Any:
        raise NotImplementedError("none of our calls is of this kind")

    def unary_stream(self, method: str, request_serializer: _Write | None = None, *rest: Any, **options: Any) -> Any:
        opened: Any = self._channel.unary_stream(method, None, *rest, **options)
        return self._streaming(method, opened, request_serializer or bytes)

    def stream_stream(self, method: str, *arguments: Any, **options: Any) -> Any:
        return self._streaming(method, self._channel.stream_stream(method, *arguments, **options), None)

    def _answering(self, name: str, method: Any, write: _Write) -> Callable[..., Awaitable[Any]]:
        is_read = self._table.is_read(name)

        async def ask(request: bytes, seconds: float, *, wait_for_ready: bool | None) -> Any:
            deadline = bounded(seconds)
            if deadline <= 0:
                # gRPC would send it all the same, and the other side might even do it.
                raise NoAnswer("deadline_exceeded", "No time is left to ask.")
            self._breaker.admit()
            try:
                answer = await method(
                    request, timeout=deadline, metadata=self._metadata(name, request), wait_for_ready=wait_for_ready
                )
            except grpc.aio.AioRpcError as error:
                translated = translate(error)
                self._note(translated, had_its_time=deadline >= seconds)
                raise translated from error
            except BaseException:
                self._breaker.abandoned()
                raise
            self._breaker.answered()
            return answer

        async def call(request: Any, *, timeout: float | None = None, wait_for_ready: bool | None = None) -> Any:  # noqa: ASYNC109 - grpc's own word
            seconds = self._deadline_seconds if timeout is None else timeout
            written = write(request)
            self._budget.earn()
            begun = time.monotonic()
            try:
                return await ask(written, seconds, wait_for_ready=wait_for_ready)
            except RemoteError as error:
                pause = self._pause_before_repeating(error, is_read=is_read)
                if pause is None:
                    raise
            await asyncio.sleep(pause)
            return await ask(written, seconds - (time.monotonic() - begun), wait_for_ready=wait_for_ready)

        return call

    def _pause_before_repeating(self, error: RemoteError, *, is_read: bool) -> float | None:
        """In seconds; None where the call is not to be made once more."""
        if error.reason == AnotherProcess.reason:
            # Nothing was done, and the next token names who answers now.
            self._signer.process = error.details["process"]
            return 0.0
        # A silence only where there was nobody: who took too long has no time for a second question.
        silent = isinstance(error, NoAnswer) and error.reason == "unavailable"
        if not (is_read and silent and self._budget.spend()):
            return None
        self._repeated.inc()
        return self._dice.uniform(0, _REPEAT_SECONDS_MAX)

    def _note(self, error: RemoteError | RemoteBugError, *, had_its_time: bool) -> None:
        """What a failed call says about the other side. Any answer of its own, a refusal too, says that it is there."""
        if not isinstance(error, NoAnswer):
            self._breaker.answered()
        elif error.reason == "unavailable" or had_its_time:
            self._breaker.failed()
        else:
            self._breaker.abandoned()

    def _streaming(self, name: str, method: Any, write: _Write | None) -> Callable[..., "_StreamCall"]:
        """`write` is None where a stream of requests goes."""

        def call(
            request: Any = None,
            *,
            timeout: float | None = None,
            wait_for_ready: bool | None = None,
        ) -> _StreamCall:
            sent = request if write is None else write(request)
            metadata = self._metadata(name, b"" if write is None else sent)
            return _StreamCall(method(sent, timeout=timeout, metadata=metadata, wait_for_ready=wait_for_ready))

        return call

    def _metadata(self, method: str, request: bytes) -> tuple[tuple[str, str], ...]:
        metadata = caller_metadata(current_caller(), service=self._service)
        metadata.append(self._signer.token(method, metadata, request))
        traceparent = current_traceparent()
        if traceparent is not None:
            metadata.append((TRACEPARENT_KEY, traceparent))
        return tuple(metadata)


class _StreamCall:
    """An open stream whose errors are ours. Offers grpc.aio's reading, writing and ending."""

    def __init__(self, call: Any) -> None:
        self._call = call

    async def __aiter__(self) -> AsyncIterator[Any]:
        try:
            async for message in self._call:
                yield message
        except grpc.aio.AioRpcError as error:
            raise translate(error) from error

    async def read(self) -> Any:
        try:
            return await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise translate(error) from error

    async def write(self, request: Any) -> None:
        """Raises the stream's own error where it is over; asyncio.InvalidStateError where we ended it."""
        try:
            await self._call.write(request)
        except grpc.aio.AioRpcError as error:
            raise translate(error) from error

    async def done_writing(self) -> None:
        await self._call.done_writing()

    async def wait_for_connection(self) -> None:
        """Until the other side has accepted the call."""
        try:
            await self._call.wait_for_connection()
        except grpc.aio.AioRpcError as error:
            raise translate(error) from error

    def cancel(self) -> bool:
        return bool(self._call.cancel())

    def leave(self) -> None:
        """What was heard here says that another process leads; there is only this one to ask (`leader_channel`)."""

    def done(self) -> bool:
        return bool(self._call.done())
