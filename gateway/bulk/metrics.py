"""Metrics of bulk actions."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge

from pipeline.metrics import NAMESPACE
from storage.bulk_actions import BulkKind

OUTCOMES = ("done", "skipped", "failed")


class BulkMetrics:
    """What the runner of one gateway does. All label values come from fixed sets."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._jobs = Counter(
            "bulk_jobs",
            "Jobs that bulk actions have looked at, by action and outcome. Dry runs do not count.",
            ["action", "outcome"],
            namespace=NAMESPACE,
            registry=registry,
        )
        self._active = Gauge(
            "bulk_actions_active",
            "Bulk actions that have not ended, of all owners; each gateway reports the same.",
            namespace=NAMESPACE,
            registry=registry,
        )
        for action in BulkKind:
            for outcome in OUTCOMES:
                self._jobs.labels(action, outcome)

    def count_jobs(self, action: BulkKind, outcomes: Mapping[str, int]) -> None:
        """Count jobs by outcome, one of OUTCOMES."""
        for outcome, jobs in outcomes.items():
            self._jobs.labels(action, outcome).inc(jobs)

    def set_active(self, actions: int) -> None:
        """Report how many bulk actions have not ended."""
        self._active.set(actions)
