"""The models of deliveries in answers."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field

from gateway.openapi.numbers import Count, Milliseconds
from gateway.times import to_datetime
from storage.webhooks import MAX_TRIES_KEPT, Delivery, DeliveryState, Try

TEST_EVENT = "webhook.test"
HttpStatus = Annotated[int, Field(json_schema_extra={"minimum": 100, "maximum": 599})]


class TryStatus(BaseModel):
    """One try to deliver an event."""

    at: datetime
    duration_ms: Milliseconds
    status: HttpStatus | None = Field(description="The status of the answer. null if there was none.")
    error: str | None = Field(
        description="Why there was no answer: `refused` (the address is not allowed), `timeout` or `failed`.",
        examples=["timeout"],
    )
    detail: str = Field(
        description="The same in a sentence; empty if there was an answer.",
        examples=["The other side took too long."],
    )
    answer: str = Field(description="The first bytes of the answer, as text.")

    @classmethod
    def of(cls, made: Try) -> TryStatus:
        """Build the public view of a try."""
        return cls(
            at=to_datetime(made.at_ms),
            duration_ms=made.duration_ms,
            status=made.status,
            error=made.error,
            detail=made.detail,
            answer=made.answer,
        )


class DeliveryLinks(BaseModel):
    """Where to find the delivery and its webhook."""

    delivery: str
    webhook: str

    @classmethod
    def of(cls, delivery: Delivery, *, root_path: str) -> DeliveryLinks:
        """Return the links of a delivery."""
        webhook = f"{root_path}/webhooks/{delivery.endpoint_id}"
        return cls(delivery=f"{webhook}/deliveries/{delivery.id}", webhook=webhook)


class DeliveryStatus(BaseModel):
    """One event on its way to one webhook."""

    delivery_id: str
    webhook_id: str
    event_id: str = Field(description="The header `webhook-id`: the same on every try, and at every webhook.")
    type: str = Field(examples=["job.done"])
    task_id: str | None = Field(description="The job. null for an event of a test.")
    status: DeliveryState = Field(
        description="`pending`: it is tried at `next_try_at`, again and again for days. `failed`: no more."
    )
    try_count: Count = Field(description="How often it was tried since it was created, or redelivered last.")
    next_try_at: datetime | None = Field(description="null unless it is pending.")
    created_at: datetime
    finished_at: datetime | None
    tries: list[TryStatus] = Field(description=f"The last {MAX_TRIES_KEPT} tries, the last one at the end.")
    links: DeliveryLinks

    @classmethod
    def of(cls, delivery: Delivery, *, root_path: str, **more: Any) -> Self:
        """Build the public view of a delivery. `more` are the fields of a narrower model."""
        return cls(
            delivery_id=delivery.id,
            webhook_id=delivery.endpoint_id,
            event_id=delivery.event_id,
            type=delivery.type,
            task_id=None if delivery.type == TEST_EVENT else delivery.task_id,
            status=delivery.state,
            try_count=delivery.tries,
            next_try_at=to_datetime(delivery.next_try_ms),
            created_at=to_datetime(delivery.created_ms),
            finished_at=to_datetime(delivery.finished_ms),
            tries=[TryStatus.of(made) for made in delivery.log],
            links=DeliveryLinks.of(delivery, root_path=root_path),
            **more,
        )


class DeliveryDetails(DeliveryStatus):
    """One event on its way to one webhook, with what is sent."""

    payload: dict[str, Any] = Field(
        description="The body, which is the same on every try: `type`, `timestamp`, `data`."
    )

    @classmethod
    def with_payload(cls, delivery: Delivery, *, root_path: str) -> DeliveryDetails:
        """Build the public view of a delivery with its payload."""
        return cls.of(delivery, root_path=root_path, payload=json.loads(delivery.payload))


class DeliveryPage(BaseModel):
    """A page of deliveries, newest first. `next` is the cursor of the next page; it is null on the last page."""

    deliveries: list[DeliveryStatus]
    next: str | None
