"""Prometheus metrics. Names start with `cryptovault_`; labels never hold ids or personal data."""

from collections.abc import Callable

from prometheus_client import Counter, Gauge, Histogram, start_http_server

# From half a millisecond, the least a hop costs, to the longest deadline of an order.
_SECONDS_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)

RPC_SECONDS = Histogram(
    "cryptovault_rpc_seconds", "Time to answer one RPC", ["method", "code"], buckets=_SECONDS_BUCKETS
)
RPC_IN_FLIGHT = Gauge("cryptovault_rpc_in_flight", "RPCs being answered now", ["method"])
RPC_NOT_ADMITTED = Counter(
    "cryptovault_rpc_not_admitted",
    "RPCs refused because the calling service was not trusted or not allowed",
    ["reason"],
)
CIRCUITS_OPENED = Counter(
    "cryptovault_circuits_opened", "Times an upstream stopped answering and was left alone", ["upstream"]
)
CALLS_REPEATED = Counter("cryptovault_calls_repeated", "Reads asked once more because nobody answered", ["upstream"])
STREAM_RECONNECTS = Counter("cryptovault_stream_reconnects", "Times a followed stream was opened again", ["stream"])


def start_metrics(port: int, address: str = "127.0.0.1") -> Callable[[], None]:
    """Serve `/metrics` from a thread of its own, so that a busy loop still answers. Returns what stops it; 0 is off."""
    if port == 0:
        return lambda: None
    server, thread = start_http_server(port, addr=address)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop
