"""The outermost layer: everything that is true of every request, in one pass, before and after the routes."""

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from chassis.identity import ADDRESS_KEY, PERMISSIONS_KEY, SERVICE_KEY, SESSION_KEY, USER_KEY, Caller, use_caller
from chassis.logs import get_logger
from chassis.tracing import set_traceparent
from prometheus_client import Counter, Histogram
from starlette.requests import ClientDisconnect

from gateway.edge.access_log import AccessLog
from gateway.edge.addresses import ClientAddresses
from gateway.edge.door_limits import BODY_BYTES_MAX, UNREAD_BYTES_MAX
from gateway.edge.facts import RequestFacts, attach_facts
from gateway.edge.metrics import REQUEST_SECONDS, REQUESTS, method_label
from gateway.edge.origins import Origins
from gateway.edge.request_ids import RequestIds
from gateway.edge.security_headers import DEFAULT_HEADERS, SECURITY_HEADERS
from gateway.edge.shedding import LoadShedder, Place, Urgency
from gateway.errors import PublicError, forbidden, internal, public_error_of, too_large
from gateway.prices.fast_lane import FastLane

_DISCONNECTED = 499  # the client went away: no status reaches anybody, but the log should not say 500
_SERVER_ERROR = 500
_HEALTH_PREFIX = "/health"
# Our own metadata between services; from outside it is a lie.
_IDENTITY_HEADERS = frozenset(
    key.encode() for key in (SERVICE_KEY, USER_KEY, SESSION_KEY, PERMISSIONS_KEY, ADDRESS_KEY)
)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

log = get_logger(__name__)


class Door:
    """Pure ASGI. Gives a request its id and address, answers prices by itself, shapes every error, logs and counts."""

    def __init__(
        self,
        *,
        routes: Application,
        sockets: Application,
        fast_lane: FastLane,
        addresses: ClientAddresses,
        origins: Origins,
        request_ids: RequestIds,
        access_log: AccessLog,
        shedder: LoadShedder,
    ) -> None:
        self._routes = routes
        self._sockets = sockets
        self._fast_lane = fast_lane
        self._addresses = addresses
        self._origins = origins
        self._request_ids = request_ids
        self._shedder = shedder
        self._access_log = access_log
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._timers: dict[str, Histogram] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            request_id = self._request_ids.adopt(headers.get(b"x-request-id"))
            if scope["method"] == "GET" and await self._fast_lane.answer(scope, headers, request_id, send):
                return
            await self._answer(scope, headers, request_id, receive, send)
        elif scope["type"] == "websocket":
            await self._connect(scope, receive, send)

    async def _answer(
        self, scope: Scope, headers: dict[bytes, bytes], request_id: bytes, receive: Receive, send: Send
    ) -> None:
        started = time.perf_counter()
        facts = RequestFacts(request_id=request_id.decode("latin-1"), address=self._addresses.of(scope, headers))
        attach_facts(scope, facts)
        place = Place(self._shedder)
        reply = _Reply(send, request_id, facts, self._origins.reply_headers(headers.get(b"origin")), place)
        caller = Caller(
            service="gateway", user_id=None, session_id=None, request_id=facts.request_id, address=facts.address
        )
        place.take()
        with use_caller(caller):
            set_traceparent(_text(headers.get(b"traceparent")))
            try:
                await self._let_in(scope, headers, facts, self._body_of(receive, place, facts), reply)
            except ClientDisconnect:
                reply.status = _DISCONNECTED
            except Exception as error:  # noqa: BLE001 - the one place where any error becomes a reply
                await _answer_error(error, facts, reply)
            finally:
                place.leave()
                self._record(scope, facts, reply.status, time.perf_counter() - started)

    async def _let_in(
        self, scope: Scope, headers: dict[bytes, bytes], facts: RequestFacts, receive: Receive, reply: "_Reply"
    ) -> None:
        if not scope["path"].startswith(_HEALTH_PREFIX):
            # The route, once found, may ask for more room than this.
            self._shedder.require_room(Urgency.CANCEL)
        length = headers.get(b"content-length")
        if length is not None and (not length.isdigit() or int(length) > BODY_BYTES_MAX):
            raise too_large(BODY_BYTES_MAX)
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            facts.route = "preflight"
            await self._answer_preflight(headers, reply)
            return
        if not _IDENTITY_HEADERS.isdisjoint(headers):
            scope["headers"] = [pair for pair in scope["headers"] if pair[0] not in _IDENTITY_HEADERS]
        await self._routes(scope, receive, reply.send)

    def _body_of(self, receive: Receive, place: Place, facts: RequestFacts) -> Receive:
        """`receive`, which leaves the request's place to others until the body is there."""
        complete = False

        async def receive_aside() -> MutableMapping[str, Any]:
            nonlocal complete
            if complete:
                # From here on it says when the client has gone, which is waited for while there is work.
                return await receive()
            message = await place.wait_for(receive())
            complete = not message.get("more_body", False)
            if complete:
                self._shedder.require_room(facts.urgency)
            return message

        return receive_aside

    async def _answer_preflight(self, headers: dict[bytes, bytes], reply: "_Reply") -> None:
        allowed = self._origins.preflight_headers(headers.get(b"origin", b""))
        if allowed is None:
            raise forbidden("This origin may not call the API from a browser.", reason="origin_not_allowed")
        reply.cors = []
        await reply.send({"type": "http.response.start", "status": 204, "headers": [*allowed, (b"vary", b"Origin")]})
        await reply.send({"type": "http.response.body", "body": b""})

    def _record(self, scope: Scope, facts: RequestFacts, status: int, seconds: float) -> None:
        method = method_label(scope["method"])
        labels = (method, facts.route, status)
        counter = self._counters.get(labels)
        if counter is None:
            # Methods, templates and statuses: a few hundred combinations at most.
            counter = self._counters[labels] = REQUESTS.labels(method, facts.route, str(status))
        counter.inc()
        timer = self._timers.get(facts.route)
        if timer is None:
            timer = self._timers[facts.route] = REQUEST_SECONDS.labels(facts.route)
        timer.observe(seconds)
        self._access_log.add(facts, method=method, path=scope["path"], status=status, seconds=seconds)

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        request_id = self._request_ids.adopt(headers.get(b"x-request-id"))
        address = self._addresses.of(scope, headers)
        attach_facts(scope, RequestFacts(request_id=request_id.decode("latin-1"), address=address))
        await self._sockets(scope, receive, send)


class _Reply:
    """Adds what every reply carries at the moment it starts, and remembers how it went."""

    def __init__(
        self, send: Send, request_id: bytes, facts: RequestFacts, cors: list[tuple[bytes, bytes]], place: Place
    ) -> None:
        self._send = send
        self._place = place
        self._request_id = request_id
        self._facts = facts
        self.cors = cors
        self.status = _SERVER_ERROR
        self.started = False

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
            headers = list(message.get("headers", ()))
            present = {name for name, _ in headers}
            headers += [pair for pair in DEFAULT_HEADERS if pair[0] not in present]
            headers += SECURITY_HEADERS
            headers += self._facts.reply_headers
            headers.append((b"x-request-id", self._request_id))
            if b"vary" not in present:
                headers.append((b"vary", b"Origin"))
            headers += self.cors
            message["headers"] = headers
        elif len(message.get("body", b"")) > UNREAD_BYTES_MAX:
            await self._send_in_pieces(message)
            return
        await self._place.wait_for(self._send(message))

    async def _send_in_pieces(self, message: MutableMapping[str, Any]) -> None:
        """What is written in one piece is copied for each who does not read, a document of half a megabyte too."""
        body: bytes = message["body"]
        for start in range(0, len(body), UNREAD_BYTES_MAX):
            end = start + UNREAD_BYTES_MAX
            more = end < len(body) or message.get("more_body", False)
            piece = {"type": "http.response.body", "body": body[start:end], "more_body": more}
            await self._place.wait_for(self._send(piece))


async def _answer_error(error: Exception, facts: RequestFacts, reply: _Reply) -> None:
    public = public_error_of(error)
    if public is None:
        log.error(
            "Request failed by a bug", event="request_failed", route=facts.route, user_id=facts.user_id, exc_info=error
        )
        public = internal()
    if reply.started:
        raise error  # half a reply is out: only a closed connection tells the client
    await send_error(public, facts.request_id, reply.send)


async def send_error(error: PublicError, request_id: str, send: Send) -> None:
    body = error.document(request_id=request_id)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in error.reply_headers()),
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")
