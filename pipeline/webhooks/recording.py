"""Records what came of a try: in the delivery and the endpoint, in metrics and in the log."""

from __future__ import annotations

import structlog

from pipeline.outbound_settings import WebhookSettings
from pipeline.webhooks.metrics import WebhookMetrics
from pipeline.webhooks.posting import DELIVERED, PostResult
from pipeline.webhooks.schedule import next_wait_ms
from storage.clock import now_ms
from storage.delivery_ledger import DeliveryLedger
from storage.webhooks import Delivery, DeliveryState, DisabledReason, WebhookEndpoint

MS = 1000

log = structlog.get_logger("webhooks")


class Recorder:
    """Records tries, and disables endpoints that want no more events, or have taken none for too long."""

    def __init__(self, ledger: DeliveryLedger, settings: WebhookSettings, metrics: WebhookMetrics) -> None:
        self._ledger, self._settings, self._metrics = ledger, settings, metrics
        self.failing_since_ms: int | None = None
        """That of the endpoint, as it was last read, and as the tries since then have changed it."""

    def record(self, endpoint: WebhookEndpoint, delivery: Delivery, result: PostResult) -> bool:
        """Record a try with the endpoint as it was then. Return whether more may be sent to it."""
        self._metrics.observe_try(result.outcome, result.record.duration_ms / MS)
        if result.outcome == DELIVERED:
            self._record_success(endpoint, delivery, result)
            return True
        self._record_failure(endpoint, delivery, result)
        reason = self._find_reason(result)
        if reason is None:
            return True
        if self._ledger.disable(endpoint, reason):
            self._metrics.count_disabled(reason)
            log.warning(
                "webhook.disabled", webhook_id=endpoint.id, owner=endpoint.owner, reason=reason.value,
                failing_since_ms=self.failing_since_ms,
            )  # fmt: skip
        return False

    def _record_success(self, endpoint: WebhookEndpoint, delivery: Delivery, result: PostResult) -> None:
        is_recorded = self._ledger.record_try(delivery, result.record, state=DeliveryState.DELIVERED, next_try_ms=None)
        if self.failing_since_ms is not None:
            self._ledger.record_success(endpoint)
            self.failing_since_ms = None
        if is_recorded:
            self._metrics.count_delivery("delivered")
        log.info("delivery.delivered", **_describe(delivery, result))

    def _record_failure(self, endpoint: WebhookEndpoint, delivery: Delivery, result: PostResult) -> None:
        wait_ms = next_wait_ms(delivery.tries + 1, self._settings.retry_waits, retry_after_ms=result.retry_after_ms)
        state = DeliveryState.FAILED if wait_ms is None else DeliveryState.PENDING
        next_try_ms = None if wait_ms is None else now_ms() + wait_ms
        is_recorded = self._ledger.record_try(delivery, result.record, state=state, next_try_ms=next_try_ms)
        if self.failing_since_ms is None:
            self._ledger.record_failure(endpoint, at_ms=result.record.at_ms)
            self.failing_since_ms = result.record.at_ms
        if is_recorded and wait_ms is None:
            self._metrics.count_delivery("given_up")
            log.warning("delivery.given_up", **_describe(delivery, result))
        else:
            log.info("delivery.postponed", wait_ms=wait_ms, **_describe(delivery, result))

    def _find_reason(self, result: PostResult) -> DisabledReason | None:
        """Return why nothing more is to be sent after a try that failed; None if more is."""
        if result.is_gone:
            return DisabledReason.GONE
        since_ms = self.failing_since_ms
        is_failing = since_ms is not None and now_ms() - since_ms >= self._settings.disable_after * MS
        return DisabledReason.FAILING if is_failing else None


def _describe(delivery: Delivery, result: PostResult) -> dict[str, object]:
    """Return what a log line says of a try. The endpoint's address and its answer may hold secrets."""
    return {
        "webhook_id": delivery.endpoint_id,
        "task_id": delivery.task_id,
        "event_id": delivery.event_id,
        "event_type": delivery.type,
        "number": delivery.tries + 1,
        "outcome": result.outcome,
        "status": result.record.status,
        "duration_ms": result.record.duration_ms,
    }
