"""Gauges of pending deliveries and of disabled webhooks."""

from __future__ import annotations

from time import monotonic

from prometheus_client import CollectorRegistry, Gauge

from pipeline.metrics import NAMESPACE
from storage.clock import now_ms
from storage.stores import Stores
from storage.webhooks import DisabledReason


class WebhookGauges:
    """What the database holds of webhooks: each gateway exports the same."""

    def __init__(self, registry: CollectorRegistry, stores: Stores, *, interval: float) -> None:
        """Read the database at most every `interval` seconds: up to 10,000 deliveries are read."""

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, namespace=NAMESPACE, registry=registry)

        self._stores, self._interval, self._due = stores, interval, 0.0
        self._pending = gauge("webhook_deliveries_pending", "Pending deliveries of enabled webhooks, at most 10,000.")
        self._oldest = gauge("webhook_oldest_pending_age_seconds", "Age of the oldest pending delivery; 0 without one.")
        self._disabled = gauge("webhook_endpoints_disabled", "Disabled webhooks by reason.", "reason")
        for reason in DisabledReason:
            self._disabled.labels(reason.value)

    async def update(self) -> None:
        """Update the gauges if they are due."""
        if monotonic() < self._due:
            return
        pending, oldest_ms = await self._stores.deliveries.read_backlog()
        self._pending.set(pending)
        self._oldest.set(0 if oldest_ms is None else max(0, now_ms() - oldest_ms) / 1000)
        for reason, count in (await self._stores.webhooks.count_disabled()).items():
            self._disabled.labels(reason.value).set(count)
        self._due = monotonic() + self._interval
