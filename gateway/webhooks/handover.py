"""Hands the events of jobs over: each becomes one delivery for each endpoint that wants it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gateway.webhooks.payload import JobPayloads
from pipeline.settings import Settings
from storage.clock import now_ms
from storage.documents import Job
from storage.events import OutboxEvent
from storage.outbox import sort_events
from storage.stores import Stores
from storage.webhooks import Delivery, WebhookEndpoint


def is_wanted(events: Collection[OutboxEvent], endpoints: Collection[WebhookEndpoint]) -> bool:
    """Whether some endpoint wants one of the events."""
    return any(event.type in endpoint.events for event in events for endpoint in endpoints)


def build_deliveries(job: Job, endpoints: Collection[WebhookEndpoint], settings: Settings) -> list[Delivery]:
    """Return the deliveries of all events in the outbox of a job, in the order in which these happened."""
    payloads, now = JobPayloads(job, settings), now_ms()
    return [
        Delivery(
            id=f"{event.event_id(job.id)}.{endpoint.id}",
            endpoint_id=endpoint.id,
            owner=endpoint.owner,
            event_id=event.event_id(job.id),
            type=event.type,
            task_id=job.id,
            order=event.order,
            payload=payloads.build(event, endpoint),
            next_try_ms=now,
            created_ms=now,
        )
        for event in sort_events(job.outbox)
        for endpoint in endpoints
        if event.type in endpoint.events
    ]


async def insert_deliveries(stores: Stores, deliveries: Sequence[Delivery]) -> None:
    """Insert deliveries, then wake their endpoints. Done again, it inserts none twice.

    The outbox must not be cleared before: whoever dies in between leaves the events there for the next one.
    """
    if deliveries:
        await stores.deliveries.insert_new(deliveries)
        await stores.webhooks.wake({delivery.endpoint_id for delivery in deliveries}, now=now_ms())
