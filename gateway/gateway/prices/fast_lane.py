"""Price reads, answered before the framework sees them: routing alone would cost four times the reply."""

import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from gateway.admission.admission import limit_headers
from gateway.admission.limits import rate_limited
from gateway.edge.addresses import ClientAddresses
from gateway.edge.metrics import RATE_LIMITED, REQUEST_SECONDS, REQUESTS
from gateway.edge.origins import Origins
from gateway.edge.security_headers import DEFAULT_HEADERS, SECURITY_HEADERS
from gateway.prices.board import QUOTE_ASSET, PriceBoard, ReadyReply
from gateway.prices.limiter import PriceLimiter

PRICES_PATH = "/api/v1/prices"
_TICKER_PREFIX = "/api/v1/markets/"
_TICKER_SUFFIX = f"-{QUOTE_ASSET}/ticker"
TICKER_ROUTE = "/api/v1/markets/{symbol}/ticker"
BEHIND_HEADER = (b"x-data-behind", b"true")
_COMMON = (*(pair for pair in DEFAULT_HEADERS if pair[0] != b"cache-control"), *SECURITY_HEADERS, (b"vary", b"Origin"))

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class FastLane:
    """Answers what is certain and cheap; leaves the rest (no prices yet, an unknown market, an error) to the routes.

    Writes no access log line: at 10,000 a second the log would cost more than the answers. The metrics count them.
    """

    def __init__(
        self,
        *,
        board: PriceBoard,
        is_market: Callable[[str], bool],
        limiter: PriceLimiter,
        addresses: ClientAddresses,
        origins: Origins,
    ) -> None:
        self._board = board
        self._is_market = is_market
        self._limiter = limiter
        self._addresses = addresses
        self._origins = origins
        self._counters = {
            (route, status): REQUESTS.labels("GET", route, str(status))
            for route in (PRICES_PATH, TICKER_ROUTE)
            for status in (200, 304, 429)
        }
        self._seconds = {route: REQUEST_SECONDS.labels(route) for route in (PRICES_PATH, TICKER_ROUTE)}

    async def answer(
        self, scope: MutableMapping[str, Any], headers: Mapping[bytes, bytes], request_id: bytes, send: Send
    ) -> bool:
        """True where the request has been answered."""
        path: str = scope["path"]
        if path == PRICES_PATH:
            route, ready = PRICES_PATH, self._board.document()
        elif path.startswith(_TICKER_PREFIX) and path.endswith(_TICKER_SUFFIX):
            base = path[len(_TICKER_PREFIX) : -len(_TICKER_SUFFIX)]
            if not self._is_market(f"{base}-{QUOTE_ASSET}"):
                return False
            route, ready = TICKER_ROUTE, self._board.ticker(base)
        else:
            return False
        if ready is None or scope["query_string"]:
            return False
        started = time.perf_counter()
        status = await self._send(ready, scope, headers, request_id, send)
        self._counters[route, status].inc()
        self._seconds[route].observe(time.perf_counter() - started)
        return True

    async def _send(
        self,
        ready: ReadyReply,
        scope: MutableMapping[str, Any],
        headers: Mapping[bytes, bytes],
        request_id: bytes,
        send: Send,
    ) -> int:
        verdict = self._limiter.take(self._addresses.of(scope, headers))
        common = [
            *_COMMON,
            (b"x-request-id", request_id),
            *limit_headers(verdict),
            *self._origins.reply_headers(headers.get(b"origin")),
        ]
        if not verdict.allowed:
            RATE_LIMITED.labels("market_data").inc()
            error = rate_limited(verdict)
            body = error.document(request_id=request_id.decode("latin-1"))
            common += [
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(body)),
                (b"cache-control", b"no-store"),
                (b"retry-after", b"%d" % verdict.retry_after_seconds),
            ]
            status = error.status
        else:
            if self._board.may_be_old:
                common.append(BEHIND_HEADER)
            if headers.get(b"if-none-match") == ready.etag:
                status, body = 304, b""
                common += (pair for pair in ready.headers if pair[0] in {b"etag", b"cache-control"})
            else:
                status, body = 200, ready.body
                common += ready.headers
        await send({"type": "http.response.start", "status": status, "headers": common})
        await send({"type": "http.response.body", "body": body})
        return status
