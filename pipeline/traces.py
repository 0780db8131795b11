"""Traces: sent where OTEL_EXPORTER_OTLP_ENDPOINT says; where it is not set, nothing of OpenTelemetry is imported here.

What sends them is in `pipeline/telemetry.py`. Until `start`, and for ever where traces are off, the rest does nothing.
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
    """Return what sends traces: None where they are off, and, after a warning, where their packages are missing.

    Asked in a worker's parent, which sends none, it warns once and saves each of its children the imports.
    """
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if disabled or not any(os.environ.get(name) for name in ENDPOINTS):
        return None
    try:
        from pipeline.telemetry import Telemetry  # noqa: PLC0415  # only where it is wanted
    except ImportError as error:
        log.warning("traces.unavailable", missing=error.name, install="the dependency group tracing")
        return None
    return Telemetry


def start(service: str) -> None:
    """Send traces from this process, under this name. It starts a thread: a worker's child does so, not its parent."""
    if (telemetry := telemetry_class()) and not _active_telemetry:
        _active_telemetry.append(telemetry(service))


def stop() -> None:
    """Send what is left, within seconds, and no more."""
    while _active_telemetry:
        _active_telemetry.pop().close()


def instrument_app(app: FastAPI) -> None:
    """Trace the requests of an application that has not answered any yet."""
    for telemetry in _active_telemetry:
        telemetry.instrument_app(app)


def annotate(**attributes: str | int | None) -> None:
    """Describe what is being done, in the span that stands for it."""
    for telemetry in _active_telemetry:
        telemetry.annotate(attributes)


def traceparent() -> str | None:
    """Return what names the current span to those who go on with its trace (W3C Trace Context, section 3.2)."""
    return _active_telemetry[-1].traceparent() if _active_telemetry else None


def trace_id() -> str | None:
    """Return the id of the current trace, 32 hexadecimal digits."""
    return _active_telemetry[-1].trace_id() if _active_telemetry else None


def continue_trace(traceparent: str | None) -> AbstractContextManager[None]:
    """Go on with a trace in this block; one that is being followed already is."""
    return _active_telemetry[-1].continue_trace(traceparent) if _active_telemetry else nullcontext()
