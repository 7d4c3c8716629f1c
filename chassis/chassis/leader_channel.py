"""Calls to a service of which several processes run and one leads: a channel that finds out which."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection
from types import TracebackType
from typing import Any, Self

import grpc

from chassis.deadlines import bounded
from chassis.errors import ErrorKind, RemoteError
from chassis.grpc_client import READ_DEADLINE_SECONDS, open_channel
from chassis.logs import get_logger
from chassis.trust.service_identity import ServiceIdentity

# The word by which a process says that another one decides, and that nothing happened.
NOT_LEADING = "not_leading"
# What may mean that the leader is gone. That it is not: the next address says `not_leading`, and we come back.
_DOUBTS = frozenset({NOT_LEADING, "unavailable", "deadline_exceeded"})
# Of a stream that speaks every second while its leader lives: one that stands still keeps its connections, for ever.
SILENCE_SECONDS_MAX = 3.0
_CONNECT_SECONDS = 0.3  # then the next address; one that was only slow has its turn again

log = get_logger(__name__)


def open_leader_channel(
    addresses: str,
    *,
    to: str,
    identity: ServiceIdentity,
    deadline_seconds: float = READ_DEADLINE_SECONDS,
    beating: Collection[str] = (),
) -> grpc.aio.Channel:
    """As `open_channel`, but for one or several addresses, separated by commas, of which one leads.

    Every call must be one that may be sent twice: a read, or a command with a key of its own. A unary call that finds
    no leader goes to each other address once. A stream fails, and the next one is opened elsewhere. `beating` names the
    methods ("/package.Service/Method") whose server streams are never silent for `SILENCE_SECONDS_MAX` while the leader
    lives: where one is, all streams move.
    """
    known = [address.strip() for address in addresses.split(",")]
    channels = [open_channel(address, to=to, identity=identity, deadline_seconds=deadline_seconds) for address in known]
    return channels[0] if len(channels) == 1 else _LeaderChannel(channels, deadline_seconds, beating)


class _LeaderChannel(grpc.aio.Channel):
    def __init__(self, channels: list[grpc.aio.Channel], deadline_seconds: float, beating: Collection[str]) -> None:
        self._channels = channels
        self._deadline_seconds = deadline_seconds
        self._beating = beating
        self._streams: list[set[_LeaderStream]] = [set() for _ in channels]
        self._current = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        await asyncio.gather(*(channel.close(grace) for channel in self._channels))

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: FBT001, FBT002 - grpc's own
        return self._channels[self._current].get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._channels[self._current].wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Returns when one of the addresses can be reached; it is the one that the next call goes to."""
        while True:
            index = self._current
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CONNECT_SECONDS):
                    await self._channels[index].channel_ready()
                    return
            self.doubt(index)

    def unary_unary(self, *arguments: Any, **options: Any) -> Any:
        return self._answering([channel.unary_unary(*arguments, **options) for channel in self._channels])

    def stream_unary(self, *arguments: Any, **options: Any) -> Any:
        raise NotImplementedError("a stream of requests cannot be sent to the next address")

    def unary_stream(self, method: str, *arguments: Any, **options: Any) -> Any:
        silence_seconds = SILENCE_SECONDS_MAX if method in self._beating else None
        methods = [channel.unary_stream(method, *arguments, **options) for channel in self._channels]
        return self._streaming(methods, silence_seconds)

    def stream_stream(self, *arguments: Any, **options: Any) -> Any:
        return self._streaming([channel.stream_stream(*arguments, **options) for channel in self._channels], None)

    def doubt(self, index: int) -> None:
        """That address does not lead: the next is tried, and what is open there ends."""
        if index != self._current:
            return
        self._current = (index + 1) % len(self._channels)
        log.info("Looking for the leader", event="leader_doubted", address=index, next=self._current)
        for stream in tuple(self._streams[index]):
            stream.move()

    def opened(self, stream: "_LeaderStream", index: int) -> None:
        self._streams[index].add(stream)

    def ended(self, stream: "_LeaderStream", index: int) -> None:
        self._streams[index].discard(stream)

    def _answering(self, methods: list[Any]) -> Callable[..., Any]:
        async def call(
            request: Any,
            *,
            timeout: float | None = None,  # noqa: ASYNC109 - grpc's own word
            wait_for_ready: bool | None = None,
        ) -> Any:
            loop = asyncio.get_running_loop()
            deadline = loop.time() + bounded(self._deadline_seconds if timeout is None else timeout)
            for others in reversed(range(len(methods))):
                index = self._current
                # A process that stands still answers nothing: the time is shared with the addresses not asked yet.
                share = (deadline - loop.time()) / (1 + others)
                try:
                    return await methods[index](request, timeout=share, wait_for_ready=wait_for_ready)
                except RemoteError as error:
                    if error.reason not in _DOUBTS:
                        raise
                    self.doubt(index)
                    if not others:
                        raise
            raise AssertionError("there is at least one address")

        return call

    def _streaming(self, methods: list[Any], silence_seconds: float | None) -> Callable[..., "_LeaderStream"]:
        def call(request: Any = None, **options: Any) -> _LeaderStream:
            index = self._current
            return _LeaderStream(self, index, methods[index](request, **options), silence_seconds)

        return call


class _LeaderStream:
    """A stream to the process that leads, as far as is known. Fails when that is doubted."""

    def __init__(self, channel: _LeaderChannel, index: int, call: Any, silence_seconds: float | None) -> None:
        self._channel = channel
        self._index = index
        self._call = call
        self._silence_seconds = silence_seconds
        self._moved = False
        channel.opened(self, index)

    async def __aiter__(self) -> AsyncIterator[Any]:
        while (message := await self.read()) is not grpc.aio.EOF:
            yield message

    async def read(self) -> Any:
        try:
            async with asyncio.timeout(self._silence_seconds):
                return await self._call.read()
        except TimeoutError:
            self._channel.doubt(self._index)
            raise _lost("The leader says nothing.") from None
        except (RemoteError, asyncio.CancelledError) as error:
            raise self._meaning(error) from error

    async def write(self, request: Any) -> None:
        try:
            await self._call.write(request)
        except (RemoteError, asyncio.CancelledError) as error:
            raise self._meaning(error) from error

    async def done_writing(self) -> None:
        await self._call.done_writing()

    async def wait_for_connection(self) -> None:
        await self._call.wait_for_connection()

    def cancel(self) -> bool:
        self._channel.ended(self, self._index)
        return bool(self._call.cancel())

    def done(self) -> bool:
        return bool(self._call.done())

    def leave(self) -> None:
        """What was heard here says that another process leads."""
        self._channel.doubt(self._index)

    def move(self) -> None:
        self._moved = True
        self.cancel()

    def _meaning(self, error: RemoteError | asyncio.CancelledError) -> BaseException:
        """GRPC tells the reader of a stream that was ended here by a cancellation, as if its task had been asked to."""
        if isinstance(error, RemoteError):
            if error.reason in _DOUBTS:
                self._channel.doubt(self._index)
            return error
        task = asyncio.current_task()
        asked = task is not None and task.cancelling() > 0
        return error if asked or not self._moved else _lost("Another process leads.")


def _lost(message: str) -> RemoteError:
    return RemoteError(kind=ErrorKind.UNAVAILABLE, reason=NOT_LEADING, message=message)
