"""Models of the gateway's answers about webhooks, and of events."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from .models import Answer, Integer, JobStatus, Time

WebhookId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
DeliveryId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,256}$")]
"""Ids become part of addresses."""


class WebhookLinks(Answer):
    """Paths of a webhook on the gateway."""

    webhook: str = ""
    deliveries: str = ""


class Webhook(Answer):
    """A webhook, without its secret.

    `disabled_reason` is "owner", "gone" (it answered 410) or "failing" (for days). `failing_since` is when the first
    try failed since one was successful. `old_secret_expires_at` is until when events are signed with the secret before
    the present one as well. A `fixed` webhook is one of the gateway's settings: it cannot be changed.
    """

    webhook_id: WebhookId
    url: str = ""
    events: list[str] = Field(default_factory=list)
    description: str = ""
    thin: bool = False
    fixed: bool = False
    disabled: bool = False
    disabled_reason: str | None = None
    disabled_at: Time | None = None
    failing_since: Time | None = None
    next_delivery_at: Time | None = None
    old_secret_expires_at: Time | None = None
    created_at: Time | None = None
    updated_at: Time | None = None
    links: WebhookLinks = WebhookLinks()


class WebhookWithSecret(Webhook):
    """A webhook with its new secret, which the gateway does not show again."""

    secret: str = Field(repr=False)


class WebhookList(Answer):
    """All webhooks of the caller."""

    webhooks: list[Webhook] = Field(default_factory=list)


class TryStatus(Answer):
    """One try to deliver an event. It has either the `status` of the answer, or the `error` that kept it away."""

    at: Time | None = None
    duration_ms: Integer = 0
    status: Integer | None = None
    error: str | None = None
    detail: str = ""
    answer: str = ""


class DeliveryLinks(Answer):
    """Paths of a delivery on the gateway."""

    delivery: str = ""
    webhook: str = ""


class DeliveryStatus(Answer):
    """One event on its way to one webhook: `pending`, `delivered` or `failed`. `tries` are the last ones."""

    delivery_id: DeliveryId
    webhook_id: WebhookId
    event_id: str = ""
    type: str = ""
    task_id: str | None = None
    status: str
    try_count: Integer = 0
    next_try_at: Time | None = None
    created_at: Time | None = None
    finished_at: Time | None = None
    tries: list[TryStatus] = Field(default_factory=list)
    links: DeliveryLinks = DeliveryLinks()


class DeliveryDetails(DeliveryStatus):
    """A delivery with its payload."""

    payload: dict[str, Any] = Field(default_factory=dict)


class DeliveryPage(Answer):
    """A page of deliveries, newest first. `next` is the cursor of the next page; None on the last page."""

    deliveries: list[DeliveryStatus]
    next: str | None = None

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.next is not None and not self.deliveries:
            raise ValueError("A page without deliveries has a next page.")
        return self


class Event(Answer):
    """An event of a job, as webhooks get it: `type`, `timestamp` and `data`.

    `position` is what `events` takes to go on after it. `body` is the payload as it was sent.
    """

    type: str
    timestamp: Time | None = None
    data: dict[str, Any] = Field(default_factory=dict)
    position: str = ""
    body: str = Field("", exclude=True, repr=False)

    @property
    def event_id(self) -> str:
        """The id of the event, which is also the header `webhook-id` of its deliveries."""
        return self.position.partition(".")[2]

    @property
    def job(self) -> JobStatus:
        """The job, unless the events are thin. Raises pydantic's ValidationError."""
        return JobStatus.model_validate(self.data)
