"""EnterOrders: one long-lived stream per gateway, no task per order.

A request is parsed and queued where it arrives; its ticket puts the reply into the stream's outbox when the sequencer
answers it, and the stream sends what is there.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from chassis.errors import InvalidArgument, ServiceError
from chassis.failures import failure_of
from chassis.identity import NotSignedIn
from chassis.logs import get_logger
from cryptovault.trading.v1 import trading_pb2

from trading.api import parsing
from trading.api.messages import balance_message, fills_of, order_message
from trading.api.teaching import teach
from trading.domain.commands import Actor, CancelAll, Command
from trading.domain.errors import Rejection
from trading.domain.state import ExchangeState
from trading.sequencer.errors import DeadlinePassed, NotLeading, QueueFull
from trading.sequencer.journal_time import JournalTime
from trading.sequencer.sequencer import Sequencer
from trading.sequencer.tickets import Committed

# Of one message. Each of so many may tell of 500 fills, and gRPC still takes it: 4 MiB is its limit.
ANSWERS_PER_MESSAGE_MAX = 32
IN_FLIGHT_MAX = 4_096  # per stream; a gateway that has more unanswered gets refusals at once
DEADLINE_MILLISECONDS_MAX = 10_000  # a client without one, or with a wild one, still ends

_Request = trading_pb2.EnterOrdersRequest
_Response = trading_pb2.EnterOrdersResponse

log = get_logger(__name__)


class OrderEntry:
    """Serves any number of streams over one sequencer."""

    def __init__(self, sequencer: Sequencer, time: JournalTime) -> None:
        self._sequencer = sequencer
        self._time = time
        self._refusing: set[asyncio.Task[None]] = set()

    async def serve(self, requests: AsyncIterator[_Request]) -> AsyncIterator[_Response]:
        """The responses to `requests`, each as soon as it is known. Ends when the requests have, and are answered."""
        stream = _Stream()
        reader = asyncio.get_running_loop().create_task(self._read(requests, stream), name="order-entry")
        try:
            async for response in stream.responses():
                yield response
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _read(self, requests: AsyncIterator[_Request], stream: "_Stream") -> None:
        try:
            async for request in requests:
                self._take(request, stream)
                for further in request.further:
                    self._take(further, stream)
        finally:
            stream.no_more_requests()

    def _take(self, request: _Request, stream: "_Stream") -> None:
        stream.in_flight += 1
        ticket = _StreamTicket(request, stream, self._sequencer)
        try:
            self._sequencer.must_lead()
            ticket.deadline_milliseconds = self._deadline(request, stream)
            ticket.command = self._parse(request)
        except (Rejection, InvalidArgument) as error:
            task = asyncio.get_running_loop().create_task(self._refuse(ticket, error), name="refusal")
            self._refusing.add(task)
            task.add_done_callback(self._refusing.discard)
        except ServiceError as error:
            ticket.fail(error)
        except Exception as error:
            log.exception("Command could not be parsed", event="parse_failed")
            ticket.fail(error)
        else:
            self._sequencer.enter(ticket)

    async def _refuse(self, ticket: "_StreamTicket", refusal: Rejection | InvalidArgument) -> None:
        """Told like an answer: once what is taught beside it, of orders and balances, is durable."""
        try:
            await self._sequencer.read(lambda _: ticket.teach(refusal))
        except NotLeading as error:
            ticket.fail(error)
        else:
            ticket.fail(refusal)

    def _deadline(self, request: _Request, stream: "_Stream") -> int:
        if stream.in_flight > IN_FLIGHT_MAX:
            raise QueueFull
        now = self._time.wall()
        latest = now + DEADLINE_MILLISECONDS_MAX
        deadline = min(request.deadline_milliseconds or latest, latest)
        if deadline <= now:
            raise DeadlinePassed
        return deadline

    def _parse(self, request: _Request) -> Command:
        principal = request.principal
        if not principal.user_id:
            raise NotSignedIn
        if not (principal.session_id and principal.request_id):
            # M22: who asked, and in which request, stands beside every effect.
            raise InvalidArgument("A session and a request id are needed.", field="principal", rule="required")
        actor = _actor(request)
        kind = request.WhichOneof("command")
        if kind == "place_order":
            return parsing.place_order(request.place_order, self._sequencer.state, actor, request.idempotency_key)
        if kind == "amend_order":
            return parsing.amend_order(request.amend_order, actor, request.idempotency_key)
        if kind == "cancel_order":
            return parsing.cancel_order(request.cancel_order, actor, request.idempotency_key)
        if kind == "cancel_orders":
            return parsing.cancel_orders(request.cancel_orders, actor, request.idempotency_key)
        raise InvalidArgument("A command is needed.", field="command", rule="required")


def _actor(request: _Request) -> Actor:
    principal = request.principal
    return Actor(principal.user_id, principal.session_id, principal.request_id, principal.address)


class _Stream:
    """The outbox of one stream."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._outbox: deque[_Response] = deque()
        self._changed = asyncio.Event()
        self._reading = True

    def send(self, response: _Response) -> None:
        self.in_flight -= 1
        self._outbox.append(response)
        self._changed.set()

    def no_more_requests(self) -> None:
        self._reading = False
        self._changed.set()

    async def responses(self) -> AsyncIterator[_Response]:
        while True:
            while self._outbox:
                response = self._outbox.popleft()
                # What is ready goes in one message: sending one costs about as much as making the answer in it.
                for _ in range(min(len(self._outbox), ANSWERS_PER_MESSAGE_MAX - 1)):
                    response.further.append(self._outbox.popleft())
                yield response
            if not self._reading and self.in_flight == 0:
                return
            self._changed.clear()
            await self._changed.wait()


class _StreamTicket:
    __slots__ = (
        "_correlation_id",
        "_request",
        "_response",
        "_sequencer",
        "_stream",
        "cleared_batch",
        "command",
        "deadline_milliseconds",
    )

    command: Command

    def __init__(self, request: _Request, stream: _Stream, sequencer: Sequencer) -> None:
        self.deadline_milliseconds = 0
        self.cleared_batch = -1
        self._request = request  # for what its caller is taught where it is refused
        self._correlation_id = request.correlation_id
        self._stream: _Stream | None = stream
        self._sequencer = sequencer
        self._response: _Response | None = None

    def prepare(self, outcome: Committed) -> None:
        if isinstance(self.command, CancelAll):
            kept = [trading_pb2.NotCancelled(**one._asdict()) for one in outcome.not_cancelled]
            cancelled = trading_pb2.CancelOrdersResult(
                order_ids=outcome.order_ids, not_cancelled=kept, batch=outcome.batch, replayed=outcome.replayed
            )
            self._response = _Response(correlation_id=self._correlation_id, cancelled=cancelled)
        else:
            self._response = _Response(correlation_id=self._correlation_id)
            fill_order_result(self._response.result, outcome, self._sequencer.state)

    def answer(self) -> None:
        if self._response is not None:
            self._send(self._response)

    def refuse(self, error: BaseException) -> None:
        if isinstance(error, Rejection | InvalidArgument):
            self.teach(error)
        self.fail(error)

    def fail(self, error: BaseException) -> None:
        """As `refuse`, with nothing more beside it."""
        self._send(_Response(correlation_id=self._correlation_id, failure=failure_of(error)))

    def teach(self, refusal: Rejection | InvalidArgument) -> None:
        request, actor = self._request, _actor(self._request)
        kind = request.WhichOneof("command")
        if kind == "place_order":
            teach(refusal, request.place_order, self._sequencer.as_next_batch(request.place_order.market), actor)
        elif kind == "amend_order":
            order = self._sequencer.state.orders.get(request.amend_order.order_id)
            symbol = "" if order is None else order.market
            teach(refusal, request.amend_order, self._sequencer.as_next_batch(symbol), actor)

    def _send(self, response: _Response) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.send(response)


def fill_order_result(result: trading_pb2.OrderResult, outcome: Committed, state: ExchangeState) -> None:
    """In place: a message that is made elsewhere and put into another is copied."""
    view = outcome.order
    if view is None:
        raise AssertionError("an order's outcome names the order")
    market = state.markets[view.market].market
    result.order.CopyFrom(order_message(view, market))
    result.fills.extend(fills_of(view.order_id, outcome.events, market, outcome.time_milliseconds))
    result.balances.extend(balance_message(balance, state.assets) for balance in outcome.balances)
    result.batch = outcome.batch
    result.replayed = outcome.replayed
