"""The task notify: one run sends the due deliveries of one endpoint, a few at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from math import inf
from time import monotonic

import structlog
from billiard.exceptions import SoftTimeLimitExceeded

from pipeline.settings import Settings
from pipeline.stage_run import INFRASTRUCTURE_ERRORS
from pipeline.time_limit import enforce_soft_time_limit
from pipeline.webhooks.lease import Lease
from pipeline.webhooks.metrics import WebhookMetrics
from pipeline.webhooks.posting import Client, PostResult, post_delivery
from pipeline.webhooks.recording import Recorder
from pipeline.webhooks.signing import find_secrets
from pipeline.worker_child import WorkerChild
from storage.clock import now_ms
from storage.delivery_ledger import DeliveryLedger
from storage.webhooks import Delivery, WebhookEndpoint

MAX_RUN_SECONDS = 20
"""A run begins no try after this long: other endpoints wait for a process of the pool, too."""
RUN_SHARE, TRY_SHARE = 0.4, 0.5
"""Shares of the soft time limit: of the time in which tries begin, and of the longest try."""
POLL_SECONDS = 1
"""While a try is under way and nothing else is due, new deliveries are looked for this often."""
READ_AHEAD = 32
"""Deliveries that are read at once."""
UNSIGNED_WAIT_MS = 60_000
"""An endpoint without a secret is looked at again after this long."""

log = structlog.get_logger("webhooks")


def send_due_deliveries(child: WorkerChild, endpoint_id: str) -> None:
    """Send what is due, until nothing is or the time is over; then record when the next delivery is due.

    After an infrastructure error the message is not retried: the gateway finds the endpoint once the lease has ended.
    """
    try:
        with enforce_soft_time_limit():
            EndpointRun(child.deliveries, child.outbound, child.settings, child.metrics.webhooks).send(endpoint_id)
    except (*INFRASTRUCTURE_ERRORS, SoftTimeLimitExceeded) as error:
        log.warning("webhook.interrupted", webhook_id=endpoint_id, error=f"{type(error).__name__}: {error}")


class EndpointRun:
    """One run. Requests are sent in threads; everything is recorded in the calling one.

    `clock` returns seconds: it says when the time of the run is over.
    """

    def __init__(
        self,
        ledger: DeliveryLedger,
        client: Client,
        settings: Settings,
        metrics: WebhookMetrics,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        soft_seconds = settings.work.soft_time_limit
        self._ledger, self._client, self._settings = ledger, client, settings.webhooks
        self._recorder = Recorder(ledger, settings.webhooks, metrics)
        self._try_seconds = min(settings.webhooks.timeout, soft_seconds * TRY_SHARE)
        self._clock = clock
        self._stop_at = clock() + min(MAX_RUN_SECONDS, soft_seconds * RUN_SHARE)
        self._lease = Lease(ledger, try_seconds=self._try_seconds)
        self._ready: deque[Delivery] = deque()
        self._busy: dict[Future[PostResult], tuple[WebhookEndpoint, Delivery]] = {}

    def send(self, endpoint_id: str) -> None:
        """Send deliveries, unless another run has the endpoint. Raises the errors of the database."""
        endpoint = self._lease.acquire(endpoint_id)
        if endpoint is None:
            return
        if not find_secrets(endpoint, self._settings, now_ms=now_ms()):
            log.warning("webhook.unsigned", webhook_id=endpoint.id)
            self._ledger.release(endpoint, not_before_ms=now_ms() + UNSIGNED_WAIT_MS)
            return
        self._recorder.failing_since_ms = endpoint.failing_since_ms
        pool = ThreadPoolExecutor(self._settings.max_in_flight, "webhook")
        try:
            endpoint = self._send_all(pool, endpoint)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        self._ledger.release(endpoint)

    def _send_all(self, pool: ThreadPoolExecutor, endpoint: WebhookEndpoint) -> WebhookEndpoint:
        """Begin and record tries until nothing is left to do; return the endpoint as it was last read."""
        while True:
            endpoint = self._begin_tries(pool, endpoint)
            if not self._busy:
                return endpoint
            done, _ = wait(self._busy, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                if not self._recorder.record(*self._busy.pop(future), future.result()):
                    self._stop_at = -inf

    def _begin_tries(self, pool: ThreadPoolExecutor, endpoint: WebhookEndpoint) -> WebhookEndpoint:
        """Begin as many tries as may be under way; return the endpoint as it was last read."""
        while len(self._busy) < self._settings.max_in_flight and self._clock() < self._stop_at:
            renewed = self._lease.keep(endpoint)
            if renewed is None:
                self._stop_at = -inf
                break
            if renewed is not endpoint:
                endpoint = renewed
                self._recorder.failing_since_ms = endpoint.failing_since_ms
            if not self._ready:
                busy_jobs = {delivery.task_id for _, delivery in self._busy.values()}
                self._ready.extend(self._ledger.read_due(endpoint, busy_jobs=busy_jobs, limit=READ_AHEAD))
            if not self._ready:
                break
            delivery = self._ready.popleft()
            self._busy[pool.submit(self._post, endpoint, delivery)] = (endpoint, delivery)
        return endpoint

    def _post(self, endpoint: WebhookEndpoint, delivery: Delivery) -> PostResult:
        secrets = find_secrets(endpoint, self._settings, now_ms=now_ms())
        return post_delivery(self._client, endpoint.url, delivery, secrets, seconds=self._try_seconds)
