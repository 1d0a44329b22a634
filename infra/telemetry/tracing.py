"""Traces from the HTTP request through the log to the effect and back, by W3C traceparent in record headers.

    with start_span("append", parent, stream=stream) as traceparent:   # bytes, or None when tracing is off
        headers = (*headers, ("t", traceparent)) if traceparent else headers

Off (no LINKFLOW_OTEL_ENDPOINT) it costs one attribute read and OpenTelemetry is not imported.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from infra.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace.export import SpanExporter


class _Off:
    """A span that is not there."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


_OFF = _Off()
_span: Callable[[str, bytes | None, dict[str, Any]], AbstractContextManager[bytes | None]] | None = None
_shutdown: Callable[[], None] | None = None


def start_span(name: str, parent: bytes | None = None, **attributes: Any) -> AbstractContextManager[bytes | None]:
    """A span around a block; gives its traceparent (bytes), or None when tracing is off.

    `parent`: the traceparent that came with the request or record; None continues the span around this one, if any.
    An exception that leaves the block is recorded on the span.
    """
    if _span is None:
        return _OFF
    return _span(name, parent, attributes)


def configure_tracing(settings: Settings, role: str, *, exporter: "SpanExporter | None" = None) -> None:
    """Start tracing if LINKFLOW_OTEL_ENDPOINT is set (`exporter`: another way out, for tests)."""
    global _span, _shutdown
    if not settings.otel_endpoint and exporter is None:
        return
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    resource = Resource.create({"service.name": "linkflow", "service.instance.id": role})
    provider = TracerProvider(resource=resource, sampler=ParentBasedTraceIdRatio(settings.otel_sample))
    provider.add_span_processor(BatchSpanProcessor(exporter or _otlp_exporter(settings.otel_endpoint)))
    tracer = provider.get_tracer("linkflow")
    propagator = TraceContextTextMapPropagator()

    @contextmanager
    def span(name: str, parent: bytes | None, attributes: dict[str, Any]) -> "Iterator[bytes | None]":
        import structlog

        context = propagator.extract({"traceparent": parent.decode("ascii", "replace")}) if parent else None
        with tracer.start_as_current_span(name, context=context, attributes=attributes) as current:
            ids = current.get_span_context()
            flags = int(ids.trace_flags)
            trace_id = trace.format_trace_id(ids.trace_id)
            with structlog.contextvars.bound_contextvars(trace_id=trace_id):
                yield f"00-{trace_id}-{trace.format_span_id(ids.span_id)}-{flags:02x}".encode()

    _span, _shutdown = span, provider.shutdown


def shutdown_tracing() -> None:
    """Send what is waiting and stop tracing (bounded by the exporter's time-out)."""
    global _span, _shutdown
    stop, _span, _shutdown = _shutdown, None, None
    if stop is not None:
        stop()


def _otlp_exporter(endpoint: str) -> "SpanExporter":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    url = endpoint if endpoint.endswith("/v1/traces") else f"{endpoint.rstrip('/')}/v1/traces"
    return OTLPSpanExporter(endpoint=url, timeout=5)
