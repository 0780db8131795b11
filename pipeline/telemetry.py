"""Sends traces with OpenTelemetry's SDK and instrumentations. Imported only when traces are on."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from threading import Thread
from typing import Any

from celery.signals import task_postrun, task_prerun
from fastapi import FastAPI
from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.pymongo import PymongoInstrumentor
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from pipeline.context import job_traceparent
from pipeline.version import VERSION

FLUSH_SECONDS = 3.0  # a collector that is down must not delay a worker child that is being replaced
PROBES = "/livez$,/readyz$,/metrics$"

_QUERY_SECRET = re.compile(r"(?<![^?&])(token|sig)=[^&\s]*")
_w3c = TraceContextTextMapPropagator()


class Telemetry:
    """Sends the spans of this process until it is closed. The OTEL_* variables set the endpoint and the sampling."""

    def __init__(self, service: str) -> None:
        """Start to send. Only connections that are opened from now on are traced."""
        name = os.environ.get("OTEL_SERVICE_NAME") or service
        self._job_trace_stack = ExitStack()
        self._provider = TracerProvider(
            resource=Resource.create({SERVICE_NAME: name, SERVICE_VERSION: VERSION}), shutdown_on_exit=False
        )
        self._provider.add_span_processor(BackgroundQueryFilter(OTLPSpanExporter()))
        for instrumentor in (PymongoInstrumentor, RedisInstrumentor):
            instrumentor().instrument(tracer_provider=self._provider)
        self._instrument_tasks()

    def instrument_app(self, app: FastAPI) -> None:
        """Trace the requests of an application, one span for each."""
        FastAPIInstrumentor.instrument_app(
            app,
            tracer_provider=self._provider,
            excluded_urls=PROBES,
            exclude_spans=["receive", "send"],
            server_request_hook=_hide_tokens,
        )

    def _instrument_tasks(self) -> None:
        """Trace each task as a child of its job's POST, with a link to its message.

        Each task is sent by the one before it, so by default its span would be nested in that one's. finalize would be
        nested in one of several resizes, though it waits for all.
        """
        task_prerun.connect(self._attach_job_trace, weak=False)  # before the instrumentation's handler starts a span
        CeleryInstrumentor().instrument(tracer_provider=self._provider, use_span_links=True)  # type: ignore[no-untyped-call]
        task_postrun.connect(self._detach_job_trace, weak=False)  # after the instrumentation's handler ends it

    def _attach_job_trace(self, **_: object) -> None:
        self._job_trace_stack.enter_context(self.continue_trace(job_traceparent()))

    def _detach_job_trace(self, **_: object) -> None:
        self._job_trace_stack.close()

    def annotate(self, attributes: Mapping[str, str | int | None]) -> None:
        """Set attributes of the current span, as `darkroom.*`; those that are None are left out."""
        present = {f"darkroom.{name}": value for name, value in attributes.items() if value is not None}
        trace.get_current_span().set_attributes(present)

    def traceparent(self) -> str | None:
        """Return the current span as a W3C traceparent."""
        carrier: dict[str, str] = {}
        _w3c.inject(carrier)
        return carrier.get("traceparent")

    def trace_id(self) -> str | None:
        """Return the id of the current trace."""
        span = trace.get_current_span().get_span_context()
        return trace.format_trace_id(span.trace_id) if span.is_valid else None

    @contextmanager
    def continue_trace(self, traceparent: str | None) -> Iterator[None]:
        """Continue this trace in the block, unless it is the current one."""
        extracted = _w3c.extract({"traceparent": traceparent or ""})
        is_current = trace.get_current_span(extracted).get_span_context().trace_id == _current_trace_id()
        token = context.attach(context.get_current() if is_current else extracted)
        outer_span = trace.get_current_span()
        try:
            yield
        except BaseException as error:
            _end_open_span(outer_span, error)
            raise
        finally:
            context.detach(token)

    def close(self) -> None:
        """Send the remaining spans, for FLUSH_SECONDS at most."""
        flush = Thread(target=self._provider.shutdown, daemon=True)
        flush.start()
        flush.join(FLUSH_SECONDS)


class BackgroundQueryFilter(BatchSpanProcessor):
    """Sends spans in batches, without the frequent queries of background loops: no request or message causes them."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a span that has ended, unless it is a client call without a parent."""
        if span.parent is not None or span.kind is not SpanKind.CLIENT:
            super().on_end(span)


def _hide_tokens(span: trace.Span, _: Mapping[str, Any]) -> None:
    """Remove tokens and signatures in the query from the attributes of a request's span, whatever their names are."""
    attributes = span.attributes or {} if isinstance(span, ReadableSpan) else {}
    for name, value in list(attributes.items()):
        if isinstance(value, str) and ("token=" in value or "sig=" in value):
            span.set_attribute(name, _QUERY_SECRET.sub(r"\1=...", value))


def _current_trace_id() -> int:
    return trace.get_current_span().get_span_context().trace_id


def _end_open_span(outer_span: trace.Span, error: BaseException) -> None:
    """End the span that an error left open: Celery signals when a message is sent, but not when sending fails."""
    span = trace.get_current_span()
    if span is not outer_span:
        span.set_status(trace.StatusCode.ERROR, type(error).__name__)
        span.end()
