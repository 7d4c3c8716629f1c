"""What the door counts. Routes are templates, never paths: labels hold no ids."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)

REQUESTS = Counter("cryptovault_http_requests", "HTTP requests answered", ["method", "route", "status"])
REQUEST_SECONDS = Histogram(
    "cryptovault_http_request_seconds", "Time to answer one HTTP request", ["route"], buckets=_SECONDS_BUCKETS
)
UNREADABLE = Counter("cryptovault_http_unreadable", "Requests that were no HTTP, or none that can be read in one way")
RATE_LIMITED = Counter("cryptovault_http_rate_limited", "Requests refused by a rate limit", ["limit"])
GATE_FALLBACKS = Counter("cryptovault_gate_fallbacks", "Requests admitted without Redis, by local limits")
SOCKETS = Gauge("cryptovault_websocket_connections", "Open WebSocket connections")
SOCKET_MESSAGES = Counter("cryptovault_websocket_messages", "WebSocket messages sent", ["channel"])
SOCKETS_CLOSED = Counter("cryptovault_websocket_closed", "WebSocket connections that we closed", ["code"])
ORDERS_UNKNOWN = Counter("cryptovault_orders_outcome_unknown", "Commands whose outcome a client had to ask for")

METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


def method_label(method: str) -> str:
    return method if method in METHODS else "OTHER"
