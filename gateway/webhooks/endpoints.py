"""What becomes of an endpoint when its owner changes it."""

from __future__ import annotations

from base64 import b64encode
from secrets import token_bytes
from typing import Any

from gateway.problems import InvalidRequest, WebhookFixed
from gateway.webhooks.schemas import WebhookChange, WebhookRequest
from pipeline.outbound.errors import OutboundRefused
from pipeline.outbound.guard import check_url
from pipeline.outbound.urls import parse_url
from pipeline.outbound_settings import OutboundSettings
from storage.job_ids import new_job_id
from storage.webhooks import DisabledReason, Secret, WebhookEndpoint

SECRET_PREFIX = "whsec_"  # noqa: S105  # of every secret, as Standard Webhooks says
SECRET_BYTES = 32
MAX_LOGGED_CHARACTERS = 100


def new_secret() -> str:
    """Return a new secret that events are signed with."""
    return SECRET_PREFIX + b64encode(token_bytes(SECRET_BYTES)).decode()


def new_endpoint(wanted: WebhookRequest, *, owner: str | None, secret: str, now: int) -> WebhookEndpoint:
    """Return a new endpoint. `now` is in epoch ms."""
    return WebhookEndpoint(
        id=new_job_id(),
        owner=owner,
        url=wanted.url,
        events=[*wanted.events],
        is_thin=wanted.thin,
        description=wanted.description,
        secrets=[Secret(value=secret)],
        disabled=DisabledReason.OWNER if wanted.disabled else None,
        disabled_ms=now if wanted.disabled else None,
        created_ms=now,
        updated_ms=now,
    )


def build_changes(change: WebhookChange, endpoint: WebhookEndpoint) -> dict[str, Any]:
    """Return the fields of an endpoint that its owner changes; those that already are as wanted are left out."""
    given = change.model_dump(exclude_unset=True)
    if "thin" in given:
        given["is_thin"] = given.pop("thin")
    if "disabled" in given:
        given["disabled"] = (endpoint.disabled or DisabledReason.OWNER) if given["disabled"] else None
    return {name: value for name, value in given.items() if value != getattr(endpoint, name)}


def rotate_secrets(endpoint: WebhookEndpoint, secret: str, *, expires_in: int, now: int) -> list[Secret]:
    """Return the secrets of an endpoint with a new one, and with the newest so far if that is still to be used.

    `expires_in` is in seconds, `now` in epoch ms.
    """
    old = [Secret(value=each.value, expires_ms=now + expires_in * 1000) for each in endpoint.secrets[:1]]
    return [Secret(value=secret), *(old if expires_in else [])]


def check_address(url: str, settings: OutboundSettings) -> None:
    """Raise `InvalidRequest` for an address that events may not be sent to."""
    try:
        check_url(url, settings)
    except OutboundRefused as error:
        errors = [{"pointer": "/body/url", "rule": "refused", "message": error.reason}]
        detail = "The request breaks the rules that errors lists. Correct it and send it again."
        raise InvalidRequest(detail, errors=errors) from error


def check_not_fixed(endpoint: WebhookEndpoint) -> None:
    """Raise `WebhookFixed` for an endpoint of the settings."""
    if endpoint.is_fixed:
        raise WebhookFixed("The webhook is one of the gateway's settings, DARKROOM_WEBHOOKS__FIXED. Change it there.")


def loggable_host(url: str) -> str:
    """Return the host of an address for a log line: its path and its query may hold a secret."""
    return parse_url(url).authority[:MAX_LOGGED_CHARACTERS]
