"""Metrics of the events of jobs."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter

from pipeline.metrics import NAMESPACE
from storage.events import EventType, OutboxEvent

OTHER = "other"
"""The label of a type that only a newer version knows."""


class EventMetrics:
    """The events that one gateway has handled. All label values come from a fixed set."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._events = Counter(
            "events",
            "Events of jobs by type, whether a webhook wants them or not. One that is handled again, as a gateway died "
            "or the job changed meanwhile, counts again.",
            ["type"],
            namespace=NAMESPACE,
            registry=registry,
        )
        for each in (*EventType, OTHER):
            self._events.labels(each)

    def count(self, events: Iterable[OutboxEvent]) -> None:
        """Count events."""
        for event in events:
            self._events.labels(event.type if event.type in set(EventType) else OTHER).inc()
