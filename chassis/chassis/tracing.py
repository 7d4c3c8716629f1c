"""W3C trace context (https://www.w3.org/TR/trace-context/): always passed on; spans are exported only where an
endpoint is set, so that a platform without a collector pays next to nothing.
"""

import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

TRACEPARENT_KEY = "traceparent"
_EXPORT_TIMEOUT_SECONDS = 1  # a dead collector must not hold a stopping process
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

_traceparent: ContextVar[str | None] = ContextVar("cryptovault_traceparent", default=None)
_propagator = TraceContextTextMapPropagator()


class _Exporting:
    """Whether spans are made: set once at start, before anything runs."""

    enabled = False


def configure_tracing(service: str, endpoint: str | None) -> Callable[[], None]:
    """Export spans to an OTLP gRPC endpoint, where there is one. Returns what flushes and ends it."""
    if endpoint is None:
        return lambda: None
    # Only where spans are made: the exporter costs each process 0.2 s at start and 15 MB.
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    provider = TracerProvider(resource=Resource.create({"service.name": service, "service.namespace": "cryptovault"}))
    exporter = OTLPSpanExporter(
        endpoint=endpoint, insecure=not endpoint.startswith("https"), timeout=_EXPORT_TIMEOUT_SECONDS
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    _Exporting.enabled = True
    return provider.shutdown


def current_traceparent() -> str | None:
    """The `traceparent` that work started from here carries; None outside any request."""
    if _Exporting.enabled:
        carrier: dict[str, str] = {}
        _propagator.inject(carrier)
        if TRACEPARENT_KEY in carrier:
            return carrier[TRACEPARENT_KEY]
    return _traceparent.get()


def new_traceparent() -> str:
    """The start of a trace. Flagged as sampled: a service further on that has a collector would else record nothing."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def set_traceparent(traceparent: str | None) -> None:
    """Adopt a caller's trace for the rest of this task, or begin one where it sent none or nonsense."""
    valid = traceparent is not None and _TRACEPARENT.fullmatch(traceparent) is not None
    if valid:
        _traceparent.set(traceparent)
    else:
        # Where spans are made the first of them begins the trace, and has no parent that nobody knows.
        _traceparent.set(None if _Exporting.enabled else new_traceparent())


@contextmanager
def span(name: str) -> Iterator[None]:
    """A span under the current trace; nothing at all where nobody collects."""
    if not _Exporting.enabled:
        yield
        return
    traceparent = _traceparent.get()
    context = None
    if not trace.get_current_span().get_span_context().is_valid and traceparent is not None:
        context = _propagator.extract({TRACEPARENT_KEY: traceparent})
    with trace.get_tracer("cryptovault").start_as_current_span(name, context=context):
        yield
