"""Endpoints and deliveries for tests."""

from __future__ import annotations

from typing import Any

from storage.clock import now_ms
from storage.job_ids import new_job_id
from storage.webhooks import Delivery, DeliveryState, Secret, WebhookEndpoint

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105  # public: the specification's example


def new_endpoint(**fields: Any) -> WebhookEndpoint:
    """Return an endpoint that wants to know when jobs are done."""
    values: dict[str, Any] = {"id": new_job_id(), "url": "https://shop.example/hook", "events": ["job.done"]}
    return WebhookEndpoint(**values | {"secrets": [Secret(value=SECRET)]} | fields)


def new_delivery(endpoint: WebhookEndpoint, **fields: Any) -> Delivery:
    """Return a pending delivery of an event of a new job, or of the job `task_id`."""
    task_id, order = fields.pop("task_id", new_job_id()), fields.pop("order", "00000000-1")
    event_id = f"{task_id}-{order}"
    values: dict[str, Any] = {
        "id": f"{event_id}.{endpoint.id}",
        "endpoint_id": endpoint.id,
        "owner": endpoint.owner,
        "event_id": event_id,
        "type": "job.done",
        "task_id": task_id,
        "order": order,
        "payload": f'{{"type": "job.done", "data": {{"task_id": "{task_id}"}}}}',
    }
    return Delivery(**values | fields)


def ended_delivery(endpoint: WebhookEndpoint, state: DeliveryState = DeliveryState.FAILED, **fields: Any) -> Delivery:
    """Return a delivery that has ended after three tries."""
    ended: dict[str, Any] = {"state": state, "tries": 3, "next_try_ms": None, "finished_ms": now_ms()}
    return new_delivery(endpoint, **ended | fields)
