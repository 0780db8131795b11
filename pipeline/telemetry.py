"""The sender of traces, on OpenTelemetry's SDK and instrumentations. Imported where traces are on, and only there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from threading import Thread

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

FLUSH_SECONDS = 3.0  # a collector that is away must not hold up a worker's child that makes room for the next
PROBES = "/livez$,/readyz$,/metrics$"

_w3c = TraceContextTextMapPropagator()


class Telemetry:
    """Sends the spans of this process until it is closed; where to, and how many, say the OTEL_* variables."""

    def __init__(self, service: str) -> None:
        """Start to send; connections made from now on are followed."""
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
        """Trace the requests of an application, one span each."""
        FastAPIInstrumentor.instrument_app(
            app, tracer_provider=self._provider, excluded_urls=PROBES, exclude_spans=["receive", "send"]
        )

    def _instrument_tasks(self) -> None:
        """Trace tasks side by side, as children of the request that their job came with, linked to their messages.

        A task is sent by the one before it, so they would be nested one in the other, and finalize in one of several
        resizes, though it waits for all.
        """
        task_prerun.connect(self._attach_job_trace, weak=False)  # before the instrumentation, which begins a span then
        CeleryInstrumentor().instrument(tracer_provider=self._provider, use_span_links=True)  # type: ignore[no-untyped-call]
        task_postrun.connect(self._detach_job_trace, weak=False)  # after the instrumentation, which ends it

    def _attach_job_trace(self, **_: object) -> None:
        self._job_trace_stack.enter_context(self.continue_trace(job_traceparent()))

    def _detach_job_trace(self, **_: object) -> None:
        self._job_trace_stack.close()

    def annotate(self, attributes: Mapping[str, str | int | None]) -> None:
        """Set attributes of the current span, as `darkroom.*`."""
        known = {f"darkroom.{name}": value for name, value in attributes.items() if value is not None}
        trace.get_current_span().set_attributes(known)

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
        """Go on with this trace, unless there is none or it is the current one."""
        other = _w3c.extract({"traceparent": traceparent or ""})
        is_current = trace.get_current_span(other).get_span_context().trace_id == _current_trace_id()
        token = context.attach(context.get_current() if is_current else other)
        before = trace.get_current_span()
        try:
            yield
        except BaseException as error:
            _end_open_span(before, error)
            raise
        finally:
            context.detach(token)

    def close(self) -> None:
        """Send what is left, for as long as that is worth waiting for."""
        sending = Thread(target=self._provider.shutdown, daemon=True)
        sending.start()
        sending.join(FLUSH_SECONDS)


class BackgroundQueryFilter(BatchSpanProcessor):
    """Sends spans in batches, less the queries that nobody's request or message caused: loops ask all the time."""

    def on_end(self, span: ReadableSpan) -> None:
        """Take up a span that has ended."""
        if span.parent is not None or span.kind is not SpanKind.CLIENT:
            super().on_end(span)


def _current_trace_id() -> int:
    return trace.get_current_span().get_span_context().trace_id


def _end_open_span(before: trace.Span, error: BaseException) -> None:
    """End the span that an error left open: Celery tells when a message was sent, but not that it could not be."""
    left = trace.get_current_span()
    if left is not before:
        left.set_status(trace.StatusCode.ERROR, type(error).__name__)
        left.end()
