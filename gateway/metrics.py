"""The gateway's metrics: what it answers and takes in, and what it sees of queues, jobs and stores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from fastapi import APIRouter, Request, Response
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
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.metrics import NAMESPACE, SweeperMetrics, build_info
from storage.documents import Kind

PATH = "/metrics"
UNMATCHED = "unmatched"
BROKEN = "internal_error"
REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
UPLOAD_BYTES = (2**16, 2**18, 2**20, 2**21, 2**22, 2**23, 2**24, 25 * 2**20)
SUBMISSIONS = ("accepted", "deduplicated", "replayed", "refused")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

router = APIRouter(tags=["health"])


class GatewayMetrics:
    """One gateway's registry: a container runs one process of it, so there is nothing to add up."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        build_info(self.registry)
        self.sweeper = SweeperMetrics(self.registry)
        self.requests = self._counter("http_requests", "Requests answered.", "method", "route", "status")
        self.seconds = self._histogram(
            "http_request_duration_seconds",
            "From a request's head to its answer's end.",
            REQUEST_SECONDS,
            "method",
            "route",
        )
        self.in_progress = self._gauge("http_requests_in_progress", "Requests being answered.")
        self.problems = self._counter("http_problems", "Answers that were problems.", "code")
        self.upload_bytes = self._histogram("upload_bytes", "Size of the files taken in.", UPLOAD_BYTES)
        self._submitted = self._counter("jobs_submitted", "Requests for a job, by what came of them.", "kind", "result")
        for kind in Kind:
            for result in SUBMISSIONS:
                self._submitted.labels(kind, result)

    @contextmanager
    def submission(self, kind: Kind) -> Iterator[Submission]:
        """Count one request for a job; the block sets `result` unless it is refused, that is, raises."""
        submission = Submission()
        try:
            yield submission
        finally:
            self._submitted.labels(kind, submission.result).inc()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, namespace=NAMESPACE, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, namespace=NAMESPACE, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, text, labels, namespace=NAMESPACE, registry=self.registry, buckets=buckets)


class Submission:
    """What came of a request for a job: one of SUBMISSIONS."""

    result = "refused"


class HttpMetrics:
    """Middleware that counts and times every request, by its route's template; the outermost."""

    def __init__(self, app: ASGIApp, *, metrics: GatewayMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what passes."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = perf_counter(), "500"

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            with self._metrics.in_progress.track_inprogress():
                await self._app(scope, receive, noted)
        except Exception:
            scope.setdefault("state", {})["problem"] = BROKEN  # its answer is made further out
            raise
        finally:
            self._count(scope, status, perf_counter() - start)

    def _count(self, scope: Scope, status: str, seconds: float) -> None:
        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        route = route_of(scope)
        self._metrics.requests.labels(method, route, status).inc()
        self._metrics.seconds.labels(method, route).observe(seconds)
        if code := scope.get("state", {}).get("problem"):
            self._metrics.problems.labels(code).inc()


def route_of(scope: Scope) -> str:
    """Return the template of the route that a request is for, also when a guard answered before it was found."""
    route = scope.get("route")
    if route is None and "app" in scope:
        matching = (each for each in scope["app"].routes if each.matches(scope)[0] is not Match.NONE)
        route = next(matching, None)
    return getattr(route, "path", UNMATCHED)


@router.get(PATH, include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Show every metric in Prometheus' text format."""
    registry = request.app.state.metrics.registry
    return Response(await run_in_threadpool(generate_latest, registry), media_type=CONTENT_TYPE_LATEST)
