"""`/ws`: who connects, what they ask for, and why a connection ends."""

import asyncio
import contextlib
from collections.abc import MutableMapping
from typing import Any

from chassis.clock import Clock
from chassis.logs import get_logger

from gateway.admission.admission import Admission
from gateway.admission.signatures import SignedRequest
from gateway.edge.door import Receive, Scope, Send
from gateway.edge.facts import facts_in
from gateway.edge.metrics import SOCKETS_CLOSED
from gateway.errors import AUTHORIZATION_ERROR, RATE_LIMIT_EXCEEDED, PublicError, internal, public_error_of
from gateway.websocket.connection import CloseReason, SocketConnection
from gateway.websocket.market_channels import MarketChannels
from gateway.websocket.messages import error_message
from gateway.websocket.price_channel import PriceChannel
from gateway.websocket.private_channels import PrivateFeeds
from gateway.websocket.registry import SocketRegistry

SWEEP_SECONDS = 0.5  # a revoked session's sockets close within a second
_CLOSE_SECONDS_MAX = 1.0  # for the last words to somebody who may not be reading
_CLOSED_FOR = {AUTHORIZATION_ERROR: CloseReason.FORBIDDEN, RATE_LIMIT_EXCEEDED: CloseReason.TOO_OFTEN}

log = get_logger(__name__)


class SocketEndpoint:
    def __init__(
        self,
        *,
        admission: Admission,
        registry: SocketRegistry,
        prices: PriceChannel,
        market_channels: MarketChannels,
        feeds: PrivateFeeds,
        clock: Clock,
        outbox_max: int,
    ) -> None:
        self._admission = admission
        self._registry = registry
        self._prices = prices
        self._market_channels = market_channels
        self._feeds = feeds
        self._clock = clock
        self._outbox_max = outbox_max
        self._connections: set[SocketConnection] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        facts = facts_in(scope)
        await receive()  # websocket.connect
        # Accepted even where it is refused: a browser shows a refused handshake as 1006 and nothing else.
        await send({"type": "websocket.accept", "headers": [(b"x-request-id", facts.request_id.encode("latin-1"))]})
        if not self._registry.enter(facts.address):
            await _close(send, CloseReason.TOO_MANY_CONNECTIONS)
            return
        try:
            await self._serve(scope, receive, send)
        finally:
            self._registry.leave(facts.address)

    async def sweep(self) -> None:
        """Close the sockets of sessions that have ended, and of tokens whose key was taken back."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            by_session: dict[str, list[SocketConnection]] = {}
            for connection in self._connections:
                if connection.token is None:
                    continue
                if self._admission.may_go_on(connection.token):
                    by_session.setdefault(connection.token.session_id, []).append(connection)
                else:
                    connection.close(CloseReason.TOKEN_EXPIRED)
            if not by_session:
                continue
            for session_id in await self._admission.ended_sessions(list(by_session)):
                for connection in by_session[session_id]:
                    connection.close(CloseReason.SESSION_ENDED)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        facts = facts_in(scope)
        try:
            token = await self._admission.authenticate_socket(
                facts,
                dict(scope["headers"]),
                request=SignedRequest("GET", scope["raw_path"], scope["query_string"], b""),
            )
        except Exception as error:  # noqa: BLE001 - any error here is told to the client, as the door does
            public = _public(error)
            await send({"type": "websocket.send", "text": error_message(public, facts.request_id)})
            await _close(send, _CLOSED_FOR.get(public.code, CloseReason.UNAUTHENTICATED))
            return
        connection = SocketConnection(
            send=send,
            facts=facts,
            admission=self._admission,
            prices=self._prices,
            market_channels=self._market_channels,
            feeds=self._feeds,
            clock=self._clock,
            outbox_max=self._outbox_max,
        )
        if token is not None:
            connection.sign_in(token)
        self._connections.add(connection)
        try:
            await _converse(connection, receive, send)
        finally:
            self._connections.discard(connection)
            connection.end()


async def _converse(connection: SocketConnection, receive: Receive, send: Send) -> None:
    """Until the client goes, or there is a reason to close."""
    reader = asyncio.create_task(_read(connection, receive), name="socket-reader")
    writer = asyncio.create_task(connection.outbox.run(), name="socket-writer")
    closing = connection.closing
    try:
        waiting: set[asyncio.Future[Any]] = {reader, writer, closing}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in (reader, writer):
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                _report(error)
        if reader.done() and not closing.done():
            return
        reason = closing.result() if closing.done() else CloseReason.INTERNAL
        await _stop(writer)
        await _close(send, reason, last_words=connection.last_words)
    finally:
        await _stop(reader)
        await _stop(writer)


async def _read(connection: SocketConnection, receive: Receive) -> None:
    while True:
        message: MutableMapping[str, Any] = await receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text")
        if text is None:
            connection.close(CloseReason.NOT_TEXT)
            return
        try:
            await connection.take(text)
        except Exception as error:  # noqa: BLE001 - the one place where a message's error becomes an answer
            connection.refuse(_public(error))


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _close(send: Send, reason: CloseReason, *, last_words: str | None = None) -> None:
    SOCKETS_CLOSED.labels(str(reason.code)).inc()
    # A client that is gone, or reads nothing, is closed without its last words.
    with contextlib.suppress(TimeoutError, Exception):
        async with asyncio.timeout(_CLOSE_SECONDS_MAX):
            if last_words is not None:
                await send({"type": "websocket.send", "text": last_words})
            await send({"type": "websocket.close", "code": reason.code, "reason": reason.text})


def _public(error: Exception) -> PublicError:
    public = public_error_of(error)
    if public is None:
        log.error("WebSocket message failed by a bug", event="socket_message_failed", exc_info=error)
        return internal()
    return public


def _report(error: BaseException) -> None:
    # uvicorn raises an error of its own where the client has gone while we wrote; that is no event.
    if type(error).__name__ != "ClientDisconnected":
        log.error("WebSocket failed by a bug", event="socket_failed", exc_info=error)
