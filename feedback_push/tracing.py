"""Trace requests, tasks and pushes with OpenTelemetry if OTEL_EXPORTER_OTLP_ENDPOINT is set; the library is an extra.

The id of a request is the id of its trace. So a push that a sweep sends hours later is in the trace of the request that
stored its notification. Spans have only the attributes named here: no address, no text, no endpoint.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from time import time_ns
from typing import Any

from flask import Flask, current_app, g, request
from flask.wrappers import Response
from structlog.contextvars import bound_contextvars

from feedback_push import request_ids
from feedback_push.config import current_settings
from feedback_push.error_reports import missing

Attributes = Mapping[str, str | int]
_SECONDS_TO_EXPORT = 5
_TRACEPARENT = "traceparent"
_LONGEST_TRACEPARENT = 55  # W3C Trace Context, version 00


def init_app(app: Flask) -> None:
    """Export spans over OTLP, from a thread of its own in each process."""
    endpoint = current_settings(app).otel_exporter_otlp_endpoint
    if not endpoint:
        return
    try:
        app.extensions["tracing"] = _Tracing(endpoint, app.config["VERSION"])
    except ImportError:
        raise missing("OTEL_EXPORTER_OTLP_ENDPOINT", "otel") from None
    app.before_request(_begin)
    app.after_request(_note_status)
    app.teardown_request(_end)


@contextmanager
def span(name: str, sent: Mapping[str, Any] | None = None, **attributes: str | int) -> Iterator[None]:
    """Trace the block; `sent` are the headers of a task's message, which may name the parent."""
    tracing: _Tracing | None = current_app.extensions.get("tracing")
    if tracing is None:
        yield
        return
    with tracing.start(name, sent, attributes) as started:
        try:
            yield
        except BaseException as error:
            tracing.fail(started, error)
            raise


def note(name: str, request_id: str | None, seconds: float, **attributes: str | int) -> None:
    """Add a span that ended now and took so long to the trace of a request."""
    tracing: _Tracing | None = current_app.extensions.get("tracing")
    if tracing is not None:
        with bound_contextvars(**({"request_id": request_id} if request_id else {})):
            tracing.note(name, seconds, attributes)


def headers() -> dict[str, str]:
    """Return the headers of a task's message, which name the current span as its parent."""
    tracing: _Tracing | None = current_app.extensions.get("tracing")
    return {} if tracing is None else tracing.headers()


def flush(app: Flask) -> None:
    """Export the finished spans now."""
    if tracing := app.extensions.get("tracing"):
        tracing.provider.force_flush()


class _Tracing:
    """The library, loaded when it is used; not its global tracer, which the site around this one may use."""

    def __init__(self, endpoint: str, version: str) -> None:
        self._api = import_module("opentelemetry.trace")
        self._context = import_module("opentelemetry.context")
        self._propagator = import_module("opentelemetry.trace.propagation.tracecontext").TraceContextTextMapPropagator()
        sdk, export = (import_module(f"opentelemetry.sdk.{name}") for name in ("trace", "trace.export"))
        otlp = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
        resource = import_module("opentelemetry.sdk.resources").Resource.create(
            {"service.name": "feedback-push", "service.version": version}
        )
        random_ids = import_module("opentelemetry.sdk.trace.id_generator").RandomIdGenerator

        class OurIds(random_ids):  # type: ignore[misc, valid-type]
            def generate_trace_id(self) -> int:
                found = request_ids.current()
                return int(found, 16) if found else super().generate_trace_id()

        self.provider = sdk.TracerProvider(resource=resource, id_generator=OurIds())
        exporter = otlp.OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces", timeout=_SECONDS_TO_EXPORT)
        self.provider.add_span_processor(export.BatchSpanProcessor(exporter))
        self._tracer = self.provider.get_tracer("feedback_push")

    def start(self, name: str, sent: Mapping[str, Any] | None, attributes: Attributes) -> Any:
        """Return a context manager that makes a new span the current one."""
        parent = (sent or {}).get(_TRACEPARENT)
        known = isinstance(parent, str) and len(parent) <= _LONGEST_TRACEPARENT
        context = self._propagator.extract({_TRACEPARENT: parent}) if known else None
        options: dict[str, Any] = {"record_exception": False, "set_status_on_exception": False}
        return self._tracer.start_as_current_span(name, context, attributes=attributes, **options)

    def note(self, name: str, seconds: float, attributes: Attributes) -> None:
        """Add a finished span without a parent: its trace is the one of the bound request."""
        ended = time_ns()
        started = ended - int(seconds * 1e9)
        span = self._tracer.start_span(name, self._context.Context(), attributes=attributes, start_time=started)
        span.end(ended)

    def fail(self, span: Any, error: BaseException) -> None:
        """Mark a span as failed; the error's text stays here."""
        span.set_attribute("error.type", type(error).__name__)
        span.set_status(self._api.StatusCode.ERROR)

    def headers(self) -> dict[str, str]:
        """Return the current span as W3C Trace Context."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return {name: value for name, value in carrier.items() if name == _TRACEPARENT}


def _begin() -> None:
    rule = str(request.url_rule or "unknown")
    attributes: Attributes = {"http.request.method": request.method[:20], "http.route": rule}
    tracing: _Tracing = current_app.extensions["tracing"]
    g.span = tracing.start(f"{request.method[:20]} {rule}", None, attributes)
    g.span_started = g.span.__enter__()


def _note_status(response: Response) -> Response:
    if started := g.get("span_started"):
        started.set_attribute("http.response.status_code", response.status_code)
    return response


def _end(error: BaseException | None) -> None:
    if (span := g.pop("span", None)) is None:
        return
    if error is not None:
        current_app.extensions["tracing"].fail(g.span_started, error)
    span.__exit__(None, None, None)
