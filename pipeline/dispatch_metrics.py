"""Metrics of dispatches."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from pipeline.metrics import NAMESPACE


class DispatchMetrics:
    """Dispatches of one gateway: of jobs just accepted, and by its sweeper."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._count = Counter(
            "dispatches",
            "Attempts to publish the canvas of a job, by result.",
            ["result"],
            namespace=NAMESPACE,
            registry=registry,
        )
        for result in ("sent", "failed"):
            self._count.labels(result)

    def count(self, *, is_sent: bool) -> None:
        """Count one attempt."""
        self._count.labels("sent" if is_sent else "failed").inc()
