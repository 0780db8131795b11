"""Traces, sent to OTEL_EXPORTER_OTLP_ENDPOINT. Without it, traces are off and OpenTelemetry is not imported.

`pipeline/telemetry.py` sends them. Before `start`, and when traces are off, all other functions do nothing.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from fastapi import FastAPI

    from pipeline.telemetry import Telemetry

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

log = structlog.get_logger("traces")
_active_telemetry: list[Telemetry] = []


@cache
def telemetry_class() -> type[Telemetry] | None:
    """Return the class that sends traces. None when traces are off, or, with a warning, when packages are missing.

    A worker's parent sends no traces but calls this too: it warns once, and its children inherit the imports.
    """
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if disabled or not any(os.environ.get(name) for name in ENDPOINTS):
        return None
    try:
        from pipeline.telemetry import Telemetry  # noqa: PLC0415  # only when traces are on
    except ImportError as error:
        log.warning("traces.unavailable", missing=error.name, install="the dependency group tracing")
        return None
    return Telemetry


def start(service: str) -> None:
    """Send traces from this process under this service name. Starts a thread, so call it in a child, after the fork."""
    if (telemetry := telemetry_class()) and not _active_telemetry:
        _active_telemetry.append(telemetry(service))


def stop() -> None:
    """Send the remaining spans, which takes a few seconds at most, and stop."""
    while _active_telemetry:
        _active_telemetry.pop().close()


def instrument_app(app: FastAPI) -> None:
    """Trace the requests of an application. Call it before the first request."""
    for telemetry in _active_telemetry:
        telemetry.instrument_app(app)


def annotate(**attributes: str | int | None) -> None:
    """Set attributes of the current span."""
    for telemetry in _active_telemetry:
        telemetry.annotate(attributes)


def traceparent() -> str | None:
    """Return the current span as a traceparent, to continue its trace elsewhere (W3C Trace Context, section 3.2)."""
    return _active_telemetry[-1].traceparent() if _active_telemetry else None


def trace_id() -> str | None:
    """Return the id of the current trace, 32 hexadecimal digits."""
    return _active_telemetry[-1].trace_id() if _active_telemetry else None


def continue_trace(traceparent: str | None) -> AbstractContextManager[None]:
    """Continue a trace in this block. Changes nothing when it is the current trace already."""
    return _active_telemetry[-1].continue_trace(traceparent) if _active_telemetry else nullcontext()
