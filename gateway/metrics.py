"""The gateway's metrics: requests, problems, uploads, submissions, and the route that serves them all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from fastapi import Request, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from starlette.concurrency import run_in_threadpool

from gateway.bulk.metrics import BulkMetrics
from gateway.ingest.metrics import IngestMetrics
from gateway.preset_metrics import PresetMetrics
from gateway.routing import Router
from gateway.webhooks.metrics import EventMetrics
from pipeline.dispatch_metrics import DispatchMetrics
from pipeline.metrics import (
    NAMESPACE,
    SweeperMetrics,
    TidierMetrics,
    UnreadableMessageMetrics,
    register_build_info,
)
from storage.documents import Kind

PATH = "/metrics"
REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
UPLOAD_BYTES = (2**16, 2**18, 2**20, 2**21, 2**22, 2**23, 2**24, 25 * 2**20)
SUBMISSIONS = ("accepted", "deduplicated", "replayed", "refused")
READ_SECONDS = 300.0
"""For so long after a scrape, another one is expected."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

router = Router(tags=["health"])


class GatewayMetrics:
    """The registry of one gateway; a container runs one gateway process, so there is nothing to aggregate."""

    _read_at = -READ_SECONDS

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        register_build_info(self.registry)
        self.sweeper = SweeperMetrics(self.registry)
        self.dispatches = DispatchMetrics(self.registry)
        self.unreadable_messages = UnreadableMessageMetrics(self.registry)
        self.tidier = TidierMetrics(self.registry)
        self.presets = PresetMetrics(self.registry)
        self.bulk = BulkMetrics(self.registry)
        self.events = EventMetrics(self.registry)
        self.ingest = IngestMetrics(self.registry)
        self._requests = self._counter(
            "http_requests", "Requests by method, route and status.", "method", "route", "status"
        )
        self._seconds = self._histogram(
            "http_request_duration_seconds",
            "Seconds from the head of a request to the end of its response.",
            REQUEST_SECONDS,
            "method",
            "route",
        )
        self.in_progress = self._gauge("http_requests_in_progress", "Requests in progress.")
        self._problems = self._counter("http_problems", "Problem responses by code.", "code")
        self.upload_bytes = self._histogram("upload_bytes", "Size of the uploaded files.", UPLOAD_BYTES)
        self._submissions = self._counter("jobs_submitted", "Submissions by kind and result.", "kind", "result")
        for kind in Kind:
            for result in SUBMISSIONS:
                self._submissions.labels(kind, result)

    @property
    def are_read(self) -> bool:
        """Whether somebody has read the metrics lately."""
        return monotonic() < self._read_at + READ_SECONDS

    async def render(self) -> bytes:
        """Return every metric in Prometheus' text format."""
        self._read_at = monotonic()
        return await run_in_threadpool(generate_latest, self.registry)

    @contextmanager
    def count_submission(self, kind: Kind) -> Iterator[SubmissionCount]:
        """Count one submission; the block sets `result`. A block that raises is counted as refused."""
        count = SubmissionCount()
        try:
            yield count
        finally:
            self._submissions.labels(kind, count.result).inc()

    def count_request(self, method: str, route: str, *, status: int, seconds: float, problem: str | None) -> None:
        """Count one request by its route template, and by problem code when the response is a problem."""
        method = method if method in METHODS else "OTHER"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)
        if problem:
            self._problems.labels(problem).inc()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, namespace=NAMESPACE, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, namespace=NAMESPACE, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, text, labels, namespace=NAMESPACE, registry=self.registry, buckets=buckets)


class SubmissionCount:
    """The result of one submission, one of SUBMISSIONS."""

    result = "refused"


@router.get(PATH, include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Return every metric in Prometheus' text format."""
    return Response(await request.app.state.metrics.render(), media_type=CONTENT_TYPE_LATEST)
