"""Metrics of the deliveries that a worker sends."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from storage.webhooks import DisabledReason

TRY_OUTCOMES = ("delivered", "rejected", "timeout", "failed", "refused")
DELIVERY_OUTCOMES = ("delivered", "given_up")
DISABLED_REASONS = (DisabledReason.GONE, DisabledReason.FAILING)
TRY_SECONDS_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30)


class WebhookMetrics:
    """Metrics of webhooks. Label values come from fixed sets."""

    def __init__(self, registry: CollectorRegistry, *, namespace: str) -> None:
        def counter(name: str, text: str, label: str) -> Counter:
            return Counter(name, text, [label], namespace=namespace, registry=registry)

        self._tries = counter("webhook_tries", "Tries to deliver an event, by outcome.", "outcome")
        self._deliveries = counter("webhook_deliveries", "Deliveries that have ended, by outcome.", "outcome")
        self._disabled = counter("webhook_endpoints_disabled", "Endpoints disabled because they failed.", "reason")
        self._seconds = Histogram(
            "webhook_try_duration_seconds",
            "Seconds from the start of a try to the end of its answer, or to its failure.",
            namespace=namespace,
            buckets=TRY_SECONDS_BUCKETS,
            registry=registry,
        )

    def create_series(self) -> None:
        """Create all series with zeros: `rate` misses the first event of a series that is new."""
        for outcome in TRY_OUTCOMES:
            self._tries.labels(outcome)
        for outcome in DELIVERY_OUTCOMES:
            self._deliveries.labels(outcome)
        for reason in DISABLED_REASONS:
            self._disabled.labels(reason.value)

    def observe_try(self, outcome: str, seconds: float) -> None:
        """Count and time a try, with one of TRY_OUTCOMES."""
        self._tries.labels(outcome).inc()
        self._seconds.observe(seconds)

    def count_delivery(self, outcome: str) -> None:
        """Count a delivery that has ended, with one of DELIVERY_OUTCOMES."""
        self._deliveries.labels(outcome).inc()

    def count_disabled(self, reason: DisabledReason) -> None:
        """Count an endpoint that was disabled."""
        self._disabled.labels(reason.value).inc()
