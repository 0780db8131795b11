"""Webhooks: the endpoints that events are sent to, and the deliveries, one for each event and endpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from enum import StrEnum
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pymongo import ASCENDING, IndexModel

from storage.clock import now_ms
from storage.errors import DeliveryUnreadable, UnreadableDocument, WebhookUnreadable

DocumentT = TypeVar("DocumentT")

ENDPOINTS, DELIVERIES = "webhooks", "webhook_deliveries"
"""The collections."""
ENDPOINT_INDEXES = [
    IndexModel([("owner", ASCENDING)], name="owner"),
    IndexModel([("due_ms", ASCENDING)], name="due"),
]
DELIVERY_INDEXES = [
    IndexModel([("endpoint_id", ASCENDING), ("state", ASCENDING), ("next_try_ms", ASCENDING)], name="due"),
    IndexModel([("endpoint_id", ASCENDING), ("created_ms", ASCENDING)], name="list"),
    IndexModel([("endpoint_id", ASCENDING), ("task_id", ASCENDING)], name="job"),
    IndexModel([("finished_ms", ASCENDING)], name="finished"),
    IndexModel([("next_try_ms", ASCENDING)], name="next_try"),
    IndexModel([("state", ASCENDING), ("created_ms", ASCENDING), ("endpoint_id", ASCENDING)], name="backlog"),
    IndexModel([("created_ms", ASCENDING)], name="created"),
]
"""The embedded server sorts by an index of that one field, or reads everything: `created` is its `list`."""
FIXED_PREFIX = "fixed-"
"""The ids of the endpoints of the settings begin with it; other ids are UUIDs."""
MAX_TRIES_KEPT = 12
"""Tries of a delivery that its document keeps, the last ones."""


class DisabledReason(StrEnum):
    """Why nothing is sent to an endpoint."""

    OWNER = "owner"
    GONE = "gone"
    FAILING = "failing"


class Secret(BaseModel):
    """A secret that events are signed with. The newest comes first; an earlier one ends."""

    value: str = Field(repr=False)
    """`whsec_` and the base64 of 24 to 64 bytes."""
    expires_ms: int | None = None
    """When it is no longer used (epoch ms); None: until it is replaced."""


class WebhookEndpoint(BaseModel):
    """Where events of one owner's jobs are sent."""

    model_config = ConfigDict(populate_by_name=True)

    id: str = Field(alias="_id")
    """A UUIDv7; `fixed-` and its name for one of the settings."""
    owner: str | None = None
    """Whose jobs; None where no API keys are configured."""
    url: str = Field(repr=False)
    """It may have a secret in its path or its query."""
    events: list[str] = Field(default_factory=list)
    """Types of events that are sent."""
    is_thin: bool = False
    """Whether the payload names the job only, instead of all that its status shows."""
    description: str = ""
    secrets: list[Secret] = Field(default_factory=list)
    """The newest first; empty for an endpoint of the settings, which have them."""
    disabled: DisabledReason | None = None
    disabled_ms: int | None = None
    failing_since_ms: int | None = None
    """When the first of the tries failed since one succeeded (epoch ms); None after a success."""
    due_ms: int | None = None
    """When the first of its pending deliveries is due (epoch ms); None if none is."""
    wakes: int = 0
    """Number of times that deliveries were added or made due: who empties the queue tells by it that more came."""
    next_dispatch_ms: int = 0
    """A message about the endpoint is sent no sooner than this (epoch ms): one is under way, or has been lost."""
    dispatched_ms: int = 0
    """When the first of the messages about it was sent that no worker has taken (epoch ms), if `next_dispatch_ms`."""
    holder: str | None = None
    """The run that sends its deliveries, or sent them last."""
    lease_ms: int = 0
    """When the lease of that run ends (epoch ms); 0 when none holds it."""
    created_ms: int = Field(default_factory=now_ms)
    updated_ms: int = Field(default_factory=now_ms)

    @property
    def is_fixed(self) -> bool:
        """Whether the endpoint is one of the settings."""
        return self.id.startswith(FIXED_PREFIX)


class DeliveryState(StrEnum):
    """State of a delivery. A redelivery moves it back to pending."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class Try(BaseModel):
    """One try to deliver an event."""

    at_ms: int
    duration_ms: int
    status: int | None = None
    """Status of the answer; None when there was none."""
    error: str | None = None
    """Why there was none: `refused`, `timeout`, `failed`; None when there was an answer."""
    detail: str = ""
    """A sentence about the error that the owner may read."""
    answer: str = ""
    """The first bytes of the answer, as text."""


class Delivery(BaseModel):
    """One event on its way to one endpoint."""

    model_config = ConfigDict(populate_by_name=True)

    id: str = Field(alias="_id")
    """`{event_id}.{endpoint_id}`: inserting it again is harmless."""
    endpoint_id: str
    owner: str | None = None
    event_id: str
    """The header `webhook-id`, the same on every try and at every endpoint."""
    type: str
    task_id: str
    order: str
    """Sorts the events of one job. One is not sent while an earlier one of the same job is pending."""
    payload: str
    """The body: JSON, the same on every try."""
    state: DeliveryState = DeliveryState.PENDING
    tries: int = 0
    """Number of tries since it became pending."""
    next_try_ms: int | None = Field(default_factory=now_ms)
    """When it is to be tried (epoch ms); None unless it is pending."""
    log: list[Try] = Field(default_factory=list)
    """The last `MAX_TRIES_KEPT` tries, the last one at the end."""
    created_ms: int = Field(default_factory=now_ms)
    finished_ms: int | None = None
    """When it was delivered or given up (epoch ms); None while it is pending."""


def read_endpoint(document: Mapping[str, Any]) -> WebhookEndpoint:
    """Return the endpoint. Raises `WebhookUnreadable`."""
    try:
        return WebhookEndpoint.model_validate(document)
    except ValidationError as error:
        raise WebhookUnreadable(str(document.get("_id"))) from error


def read_delivery(document: Mapping[str, Any]) -> Delivery:
    """Return the delivery. Raises `DeliveryUnreadable`."""
    try:
        return Delivery.model_validate(document)
    except ValidationError as error:
        raise DeliveryUnreadable(str(document.get("_id"))) from error


def read_all(documents: Iterable[Mapping[str, Any]], read: Callable[[Mapping[str, Any]], DocumentT]) -> list[DocumentT]:
    """Return what `read` makes of the documents that it can read."""
    found: list[DocumentT] = []
    for document in documents:
        with suppress(UnreadableDocument):
            found.append(read(document))
    return found
