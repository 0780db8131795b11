"""The event that tests a webhook."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from gateway.webhooks.delivery_schemas import TEST_EVENT
from storage.job_ids import new_job_id
from storage.webhooks import Delivery, WebhookEndpoint

MESSAGE = "This is a test. The event is signed and sent like any other."


def build_test_delivery(endpoint: WebhookEndpoint, *, now: int) -> Delivery:
    """Return the delivery of a new test event, which has no job: it waits for no other event. `now` is in epoch ms."""
    test_id = new_job_id()
    event_id = f"{test_id}-test"
    payload = {
        "type": TEST_EVENT,
        "timestamp": datetime.fromtimestamp(now / 1000, UTC).isoformat().replace("+00:00", "Z"),
        "data": {"webhook_id": endpoint.id, "message": MESSAGE},
    }
    return Delivery(
        id=f"{event_id}.{endpoint.id}",
        endpoint_id=endpoint.id,
        owner=endpoint.owner,
        event_id=event_id,
        type=TEST_EVENT,
        task_id=test_id,
        order="",
        payload=json.dumps(payload, separators=(",", ":")),
        next_try_ms=now,
        created_ms=now,
    )
