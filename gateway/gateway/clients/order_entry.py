"""Order entry over one long-lived stream to trading: a message on it costs a third of a unary call or less."""

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from chassis.circuit_breaker import CircuitBreaker, CircuitOpen
from chassis.clock import Clock
from chassis.errors import ErrorKind, RemoteBugError, RemoteError
from chassis.failures import error_of
from chassis.leader_channel import NOT_LEADING
from chassis.logs import get_logger
from chassis.tracing import current_traceparent
from cryptovault.trading.v1 import trading_pb2 as pb

Command = pb.PlaceOrder | pb.AmendOrder | pb.CancelOrder | pb.CancelOrders

ORDER_DEADLINE_SECONDS = 2.0
_COMMANDS_PER_MESSAGE_MAX = 32
_WAITING_MAX = 4_096  # above the requests in flight
_BACKOFF_FIRST_SECONDS = 0.02  # a broken stream holds up orders that have two seconds
_BACKOFF_MAX_SECONDS = 0.5

# Refused before the exchange looked at the command's key (overloaded, late, changing hands).
_NOT_TAKEN = (ErrorKind.UNAVAILABLE, ErrorKind.EXHAUSTED)

log = get_logger(__name__)


class OutcomeUnknown(Exception):
    """The command went out and no answer came in time: it was carried out, or never will be. Only asking tells."""


class NotSent(Exception):
    """There was no way to trading within the deadline. Nothing happened."""


class OrderStream(Protocol):
    async def read(self) -> Any: ...
    async def write(self, request: pb.EnterOrdersRequest) -> None: ...
    def cancel(self) -> bool: ...

    def leave(self) -> None:
        """Who answers here does not lead: the next stream should go to another."""
        ...


@dataclass(slots=True, eq=False)
class _Pending:
    request: pb.EnterOrdersRequest
    answer: asyncio.Future[pb.EnterOrdersResponse]
    sent: bool = False  # and not answered
    in_doubt: bool = False  # an earlier sending was never answered


class OrderEntry:
    """`connect` waits until trading can be reached and opens a stream; it raises RemoteError where that fails.

    A command that was under way when a stream broke goes out again on the next one as it was: by its key, or without
    one by its client order id, trading knows a repeat and answers with the first result, so it takes effect at most
    once. Where several in a row had no answer the next ones are not sent for a while, but for one that tries. Whatever
    a process that does not lead refused goes out again too, wherever the leader is found before the deadline.
    """

    def __init__(
        self,
        connect: Callable[[], Any],
        clock: Clock,
        *,
        deadline_seconds: float = ORDER_DEADLINE_SECONDS,
        seed: int | None = None,
    ) -> None:
        self._connect = connect
        self._clock = clock
        self._breaker = CircuitBreaker("trading", clock)
        self._deadline_seconds = deadline_seconds
        self._dice = random.Random(seed)  # noqa: S311 - spreads reconnects, guards nothing
        self._count = 0
        self._pending: dict[int, _Pending] = {}
        self._outgoing: deque[_Pending] = deque()
        self._something_to_send = asyncio.Event()
        self._connected = False
        self._answered = False  # by a leader, on the present stream

    @property
    def connected(self) -> bool:
        return self._connected

    def is_under_way(self, user_id: str, client_order_id: str) -> bool:
        """True while this gateway does not know what became of the user's order with that id."""
        return any(
            pending.request.place_order.client_order_id == client_order_id
            and pending.request.principal.user_id == user_id
            for pending in self._pending.values()
        )

    async def enter(self, command: Command, principal: pb.Principal, *, key: str) -> pb.EnterOrdersResponse:
        """The answer to one command, whatever stream it came by; its failure raised as RemoteError. `key` may be empty
        where the command is an order with a client order id.

        OutcomeUnknown or NotSent after the deadline.
        """
        if len(self._pending) >= _WAITING_MAX:
            raise NotSent
        try:
            self._breaker.admit()
        except CircuitOpen:
            raise NotSent from None
        self._count += 1
        request = pb.EnterOrdersRequest(
            correlation_id=self._count,
            principal=principal,
            idempotency_key=key,
            deadline_milliseconds=int((self._clock.now().timestamp() + self._deadline_seconds) * 1000),
            traceparent=current_traceparent() or "",
        )
        _set_command(request, command)
        pending = _Pending(request, asyncio.get_running_loop().create_future())
        self._pending[request.correlation_id] = pending
        self._outgoing.append(pending)
        self._something_to_send.set()
        try:
            async with asyncio.timeout(self._deadline_seconds):
                answer = await pending.answer
            self._breaker.answered()
        except asyncio.CancelledError:
            self._breaker.abandoned()
            raise
        except TimeoutError:
            self._breaker.failed()
            raise (OutcomeUnknown if pending.sent or pending.in_doubt else NotSent) from None
        finally:
            del self._pending[request.correlation_id]
        if answer.WhichOneof("outcome") == "failure":
            error = error_of(answer.failure)
            if pending.in_doubt and isinstance(error, RemoteError) and error.kind in _NOT_TAKEN:
                # Trading says that nothing happened, and means this sending: the first may have been carried out.
                raise OutcomeUnknown from error
            raise error
        return answer

    async def run(self) -> None:
        """Keep one stream open for as long as the gateway lives."""
        pause = _BACKOFF_FIRST_SECONDS
        while True:
            try:
                stream: OrderStream = await self._connect()
                self._resend()
                self._connected = True
                self._answered = False
                await self._converse(stream)
                problem = "the stream ended"
            except (RemoteError, RemoteBugError, asyncio.InvalidStateError) as error:
                problem = str(error)
            finally:
                self._connected = False
            if self._answered:
                pause = _BACKOFF_FIRST_SECONDS
            log.warning("Order stream broke, opening it again", event="order_stream_broken", problem=problem)
            await asyncio.sleep(self._dice.uniform(pause / 2, pause))
            pause = min(pause * 2, _BACKOFF_MAX_SECONDS)

    async def _converse(self, stream: OrderStream) -> None:
        writer = asyncio.create_task(self._write(stream), name="order-entry-writer")
        reader = asyncio.create_task(self._read(stream), name="order-entry-reader")
        try:
            done, _ = await asyncio.wait({writer, reader}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            stream.cancel()
            for task in (writer, reader):
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(writer, reader, return_exceptions=True)

    async def _write(self, stream: OrderStream) -> None:
        while True:
            while (message := self._next_message()) is not None:
                await stream.write(message)
            self._something_to_send.clear()
            await self._something_to_send.wait()

    def _next_message(self) -> pb.EnterOrdersRequest | None:
        """What waits to be sent, in one message: it costs both ends about as much as a command in it."""
        requests: list[pb.EnterOrdersRequest] = []
        while self._outgoing and len(requests) < _COMMANDS_PER_MESSAGE_MAX:
            pending = self._outgoing.popleft()
            if pending.answer.done():
                continue  # its caller has stopped waiting
            # Before the write, not after: from here on it may arrive.
            pending.sent, pending.in_doubt = True, pending.in_doubt or pending.sent
            requests.append(pending.request)
        if len(requests) <= 1:
            return requests[0] if requests else None
        message = pb.EnterOrdersRequest()
        message.CopyFrom(requests[0])  # the request itself may have to go out again, in other company
        message.further.extend(requests[1:])
        return message

    async def _read(self, stream: OrderStream) -> None:
        while isinstance(message := await stream.read(), pb.EnterOrdersResponse):
            elsewhere: Exception | None = None
            for answer in (message, *message.further):
                pending = self._pending.get(answer.correlation_id)
                if answer.failure.reason == NOT_LEADING:
                    elsewhere = error_of(answer.failure)
                    if pending is not None:
                        pending.sent = False  # it did not count
                    continue
                self._answered = True
                if pending is not None and not pending.answer.done():
                    pending.answer.set_result(answer)
            if elsewhere is not None:
                stream.leave()
                raise elsewhere

    def _resend(self) -> None:
        """Everything unanswered goes out again, oldest first: one user's commands keep their order."""
        self._outgoing.clear()
        self._outgoing.extend(pending for pending in self._pending.values() if not pending.answer.done())
        self._something_to_send.set()


def _set_command(request: pb.EnterOrdersRequest, command: Command) -> None:
    if isinstance(command, pb.PlaceOrder):
        request.place_order.CopyFrom(command)
    elif isinstance(command, pb.AmendOrder):
        request.amend_order.CopyFrom(command)
    elif isinstance(command, pb.CancelOrder):
        request.cancel_order.CopyFrom(command)
    else:
        request.cancel_orders.CopyFrom(command)
