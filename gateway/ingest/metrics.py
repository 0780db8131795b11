"""Metrics of events of buckets."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from gateway.ingest.outcomes import Outcome
from pipeline.metrics import NAMESPACE


class IngestMetrics:
    """What became of the events that one gateway has received."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._events = Counter(
            "ingest_events", "Events of buckets by outcome.", ["outcome"], namespace=NAMESPACE, registry=registry
        )
        for outcome in Outcome:
            self._events.labels(outcome)

    def count_event(self, outcome: Outcome) -> None:
        """Count one event."""
        self._events.labels(outcome).inc()
