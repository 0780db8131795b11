"""Metrics of the files of presets: whether the last load was right, when one was, and how many presets there are."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge

from pipeline.metrics import NAMESPACE
from storage.clock import now_ms


class PresetMetrics:
    """Gauges of one gateway. Without a file of presets, nothing sets them after the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._count = Gauge("presets", "Presets in force.", namespace=NAMESPACE, registry=registry)
        self._is_right = Gauge(
            "presets_last_load_successful",
            "1 if the presets in force are those of their files, 0 if the files have mistakes or could not be loaded.",
            namespace=NAMESPACE,
            registry=registry,
        )
        self._time = Gauge(
            "presets_last_load_success_timestamp_seconds",
            "When presets were put in force last; 0 without a file of presets.",
            namespace=NAMESPACE,
            registry=registry,
        )
        self._count.set(1)
        self._is_right.set(1)

    def count_success(self, presets: int) -> None:
        """Record that so many presets have been put in force."""
        self._count.set(presets)
        self._is_right.set(1)
        self._time.set(now_ms() / 1000)

    def count_failure(self) -> None:
        """Record that the presets in force are older than their files."""
        self._is_right.set(0)
