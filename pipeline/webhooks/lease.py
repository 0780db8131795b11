"""The lease of an endpoint: while a run has it, no other run sends to that endpoint."""

from __future__ import annotations

from time import monotonic
from uuid import uuid4

from storage.delivery_ledger import DeliveryLedger
from storage.webhooks import WebhookEndpoint

REST_SECONDS = 10
"""The lease is longer than a try by this much."""
RENEW_SECONDS = 5
"""It is renewed when this much of it has passed."""
MS = 1000


class Lease:
    """The lease of one run. It outlives every try that begins while it is kept."""

    def __init__(self, ledger: DeliveryLedger, *, try_seconds: float) -> None:
        self._ledger = ledger
        self._ms = int((try_seconds + REST_SECONDS) * MS)
        self._renew_at = 0.0

    def acquire(self, endpoint_id: str) -> WebhookEndpoint | None:
        """Take the lease; None if another run has it, or nothing can be sent to the endpoint."""
        asked_at = monotonic()
        endpoint = self._ledger.acquire(endpoint_id, uuid4().hex, lease_ms=self._ms)
        self._renew_at = asked_at + RENEW_SECONDS
        return endpoint

    def keep(self, endpoint: WebhookEndpoint) -> WebhookEndpoint | None:
        """Return the endpoint, renewed and read again if it is time; None when the run must begin no other try."""
        asked_at = monotonic()
        if asked_at < self._renew_at:
            return endpoint
        renewed = self._ledger.renew(endpoint, lease_ms=self._ms)
        if renewed:
            self._renew_at = asked_at + RENEW_SECONDS
        return renewed
