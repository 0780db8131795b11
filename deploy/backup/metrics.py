"""Metrics and health of the backup service, over HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics, make_wsgi_app

from pipeline.metrics import NAMESPACE

disable_created_metrics()  # type: ignore[no-untyped-call]  # an extra series per counter, unused


class BackupMetrics:
    """When backups were made, and by when the next one must be complete."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, meaning: str) -> Gauge:
            return Gauge(name, meaning, namespace=NAMESPACE, registry=registry)

        self._deadline = gauge(
            "backup_deadline_timestamp_seconds", "When the next backup must be complete; in the past: it is missing."
        )
        self._success = gauge(
            "backup_last_success_timestamp_seconds", "When the newest complete backup was begun; 0: there is none."
        )
        self._size = gauge("backup_last_size_bytes", "Size of the newest complete backup.")
        self._seconds = gauge("backup_last_duration_seconds", "How long the last backup of this process took.")
        self._runs = Counter("backup_runs", "Backups by result.", ["result"], namespace=NAMESPACE, registry=registry)
        for result in ("saved", "failed"):
            self._runs.labels(result)
        self._deadline_seconds = float("inf")

    def record_deadline(self, deadline: datetime) -> None:
        """Export when the next one must be complete."""
        self._deadline_seconds = deadline.timestamp()
        self._deadline.set(self._deadline_seconds)

    def record_newest(self, begun: datetime, size: int) -> None:
        """Export the newest backup that there is."""
        self._success.set(begun.timestamp())
        self._size.set(size)

    def count_saved(self, seconds: float) -> None:
        """Count a backup that was made."""
        self._runs.labels("saved").inc()
        self._seconds.set(seconds)

    def count_failed(self) -> None:
        """Count one that failed."""
        self._runs.labels("failed").inc()

    @property
    def is_missing(self) -> bool:
        """Whether a backup is overdue."""
        return time.time() > self._deadline_seconds


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        """Log nothing."""


def serve(registry: CollectorRegistry, metrics: BackupMetrics, *, host: str, port: int) -> WSGIServer:
    """Serve `/metrics` and `/healthz` in a thread. 503 at `/healthz`: a backup is missing."""
    show_metrics: Any = make_wsgi_app(registry)

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/healthz":
            shown: Iterable[bytes] = show_metrics(environ, start_response)
            return shown
        status = "503 Service Unavailable" if metrics.is_missing else "200 OK"
        start_response(status, [("Content-Type", "text/plain")])
        return [b"a backup is missing\n" if metrics.is_missing else b"ok\n"]

    server = make_server(host, port, answer, server_class=_Server, handler_class=_Silent)
    Thread(target=server.serve_forever, daemon=True).start()
    return server
