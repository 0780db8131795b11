"""The models of webhooks in requests and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, StringConstraints

from gateway.times import to_datetime
from storage.clock import now_ms
from storage.events import EventType
from storage.webhooks import DisabledReason, WebhookEndpoint

MAX_URL_CHARACTERS = 2048
MAX_DESCRIPTION_CHARACTERS = 200
MAX_EVENTS = 20
DAY_SECONDS = 86_400
MAX_EXPIRY_SECONDS = 30 * DAY_SECONDS
JOB_EVENTS: list[EventType] = [each for each in EventType if each is not EventType.RENDITION_DONE]
"""The events of a webhook that names none: a job has one or two of them, but one for each rendition."""
LEFT_OUT: Any = None
"""The default of a field that may be left out, but is not null."""
URL_EXAMPLE = "https://shop.example/hooks/darkroom"


def _sort_events(events: list[EventType]) -> list[EventType]:
    return [each for each in EventType if each in events]


def _drop_default(schema: dict[str, Any]) -> None:
    """Remove a default that only says that the field may be left out: its type does not allow null."""
    schema.pop("default", None)


WebhookUrl = Annotated[str, StringConstraints(min_length=1, max_length=MAX_URL_CHARACTERS)]
Events = Annotated[list[EventType], Field(min_length=1, max_length=MAX_EVENTS), AfterValidator(_sort_events)]
Flag = Annotated[bool, Strict()]
Description = Annotated[str, StringConstraints(max_length=MAX_DESCRIPTION_CHARACTERS)]
URL_TEXT = "Where events are sent, by POST. It may have no user name and no password. It is not called before an event."
EVENTS_TEXT = "The events to send. `rendition.done` is one for each rendition of a job."
THIN_TEXT = "Send the id, the status and the metadata of the job, instead of all that its status shows."
DISABLED_TEXT = "Send nothing. Events that happen meanwhile are not sent later."


class WebhookRequest(BaseModel):
    """A new webhook."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"url": URL_EXAMPLE, "events": ["job.done", "job.failed"]}]}
    )

    url: WebhookUrl = Field(description=URL_TEXT, examples=[URL_EXAMPLE])
    events: Events = Field(default=JOB_EVENTS, description=EVENTS_TEXT)
    description: Description = Field("", description="A note for people.")
    thin: Flag = Field(default=False, description=THIN_TEXT)
    disabled: Flag = Field(default=False, description=DISABLED_TEXT)


class WebhookChange(BaseModel):
    """What is to change about a webhook. A field that is left out stays as it is."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"disabled": True}]})

    url: WebhookUrl = Field(LEFT_OUT, description=URL_TEXT, json_schema_extra=_drop_default)
    events: Events = Field(LEFT_OUT, description=EVENTS_TEXT, json_schema_extra=_drop_default)
    description: Description = Field(LEFT_OUT, description="A note for people.", json_schema_extra=_drop_default)
    thin: Flag = Field(LEFT_OUT, description=THIN_TEXT, json_schema_extra=_drop_default)
    disabled: Flag = Field(
        LEFT_OUT,
        description=f"{DISABLED_TEXT} false: send again, also to a webhook that was disabled because it failed; "
        "deliveries that are pending are tried at once.",
        json_schema_extra=_drop_default,
    )


class RotationRequest(BaseModel):
    """How a secret is replaced."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"expires_in": DAY_SECONDS}]})

    expires_in: Annotated[int, Field(ge=0, le=MAX_EXPIRY_SECONDS), Strict()] = Field(
        DAY_SECONDS, description="For how many seconds events are signed with the old secret as well. 0: no longer."
    )


class WebhookLinks(BaseModel):
    """Where to find the webhook and its deliveries."""

    webhook: str = Field(examples=["/webhooks/019392f0-7c1e-7d4a-b4d8-0f5e2c9a1b77"])
    deliveries: str = Field(examples=["/webhooks/019392f0-7c1e-7d4a-b4d8-0f5e2c9a1b77/deliveries"])

    @classmethod
    def of(cls, webhook_id: str, *, root_path: str) -> WebhookLinks:
        """Return the links of a webhook."""
        webhook = f"{root_path}/webhooks/{webhook_id}"
        return cls(webhook=webhook, deliveries=f"{webhook}/deliveries")


class Webhook(BaseModel):
    """A webhook."""

    webhook_id: str = Field(examples=["019392f0-7c1e-7d4a-b4d8-0f5e2c9a1b77"])
    url: str = Field(examples=[URL_EXAMPLE])
    events: list[str] = Field(description=EVENTS_TEXT, examples=[["job.done", "job.failed"]])
    description: str
    thin: bool = Field(description=THIN_TEXT)
    fixed: bool = Field(description="Whether it is one of the gateway's settings: the API does not change it.")
    disabled: bool = Field(description=DISABLED_TEXT)
    disabled_reason: DisabledReason | None = Field(
        description="Why nothing is sent: `owner` disabled it, it answered 410 (`gone`), or it has been `failing` for "
        "days. null if it is not disabled."
    )
    disabled_at: datetime | None
    failing_since: datetime | None = Field(
        description="When the first try failed since one was successful. null if the last one was."
    )
    next_delivery_at: datetime | None = Field(description="When the next delivery is due. null if none is pending.")
    old_secret_expires_at: datetime | None = Field(
        description="Until when events are signed with the secret before the present one as well. null: they are not."
    )
    created_at: datetime
    updated_at: datetime
    links: WebhookLinks

    @classmethod
    def of(cls, endpoint: WebhookEndpoint, *, root_path: str, **more: Any) -> Self:
        """Build the public view of a webhook, without its secrets. `more` are the fields of a narrower model."""
        expiries = [ms for secret in endpoint.secrets if (ms := secret.expires_ms) and ms > now_ms()]
        return cls(
            webhook_id=endpoint.id,
            url=endpoint.url,
            events=endpoint.events,
            description=endpoint.description,
            thin=endpoint.is_thin,
            fixed=endpoint.is_fixed,
            disabled=endpoint.disabled is not None,
            disabled_reason=endpoint.disabled,
            disabled_at=to_datetime(endpoint.disabled_ms),
            failing_since=to_datetime(endpoint.failing_since_ms),
            next_delivery_at=to_datetime(endpoint.due_ms),
            old_secret_expires_at=to_datetime(max(expiries, default=None)),
            created_at=to_datetime(endpoint.created_ms),
            updated_at=to_datetime(endpoint.updated_ms),
            links=WebhookLinks.of(endpoint.id, root_path=root_path),
            **more,
        )


class WebhookWithSecret(Webhook):
    """A webhook with its new secret, which no other answer shows again."""

    secret: str = Field(
        repr=False,
        description="The secret that events are signed with (Standard Webhooks). Keep it: it is shown this once.",
        examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )


class WebhookList(BaseModel):
    """All webhooks of the caller, newest first."""

    webhooks: list[Webhook]
