"""Calls about webhooks and their deliveries, as those of `calls`."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from .call import Call
from .calls import json_receiver
from .receivers import MemoryReceiver
from .webhook_models import DeliveryDetails, DeliveryPage, DeliveryStatus, Webhook, WebhookList, WebhookWithSecret


def create_webhook(
    url: str,
    *,
    events: Sequence[str] | None = None,
    description: str = "",
    thin: bool = False,
    disabled: bool = False,
) -> Call[WebhookWithSecret]:
    """Have events sent to `url`, and return the new webhook with its secret, which is shown this once.

    `events` are types such as "job.done"; by default all but "rendition.done". A `thin` webhook gets the id, the status
    and the metadata of a job instead of all that its status shows.
    """
    document = {"url": url, "description": description, "thin": thin, "disabled": disabled}
    return Call(
        method="POST",
        path="/webhooks",
        document=document if events is None else document | {"events": list(events)},
        is_idempotent=False,
        receive=json_receiver(WebhookWithSecret),
    )


def webhooks() -> Call[list[Webhook]]:
    """Return all webhooks, newest first."""
    return Call(
        method="GET",
        path="/webhooks",
        receive=lambda answer: MemoryReceiver(
            answer, lambda _, content: WebhookList.model_validate_json(content).webhooks
        ),
    )


def webhook(webhook_id: str) -> Call[Webhook]:
    """Return a webhook, without its secret."""
    return Call(method="GET", path=_path(webhook_id), receive=json_receiver(Webhook))


def update_webhook(  # the fields of a webhook
    webhook_id: str,
    *,
    url: str | None = None,
    events: Sequence[str] | None = None,
    description: str | None = None,
    thin: bool | None = None,
    disabled: bool | None = None,
) -> Call[Webhook]:
    """Change what is given of a webhook, and return it. With `disabled=False`, pending deliveries are tried at once."""
    wanted = {
        "url": url,
        "events": None if events is None else list(events),
        "description": description,
        "thin": thin,
        "disabled": disabled,
    }
    document = {name: value for name, value in wanted.items() if value is not None}
    return Call(method="PATCH", path=_path(webhook_id), document=document, receive=json_receiver(Webhook))


def delete_webhook(webhook_id: str) -> Call[None]:
    """Remove a webhook with its deliveries."""
    return Call(
        method="DELETE",
        path=_path(webhook_id),
        is_idempotent=False,  # a second request would find nothing
        receive=lambda answer: MemoryReceiver(answer, lambda *_: None),
    )


def rotate_webhook_secret(webhook_id: str, *, expires_in: int | None = None) -> Call[WebhookWithSecret]:
    """Make a new secret, and return the webhook with it; it is shown this once.

    The old one signs as well for `expires_in` seconds, by default for a day.
    """
    return Call(
        method="POST",
        path=f"{_path(webhook_id)}/rotate",
        document={} if expires_in is None else {"expires_in": expires_in},
        is_idempotent=False,
        receive=json_receiver(WebhookWithSecret),
    )


def delivery_page(
    webhook_id: str, *, status: str | None = None, cursor: str | None = None, limit: int = 100
) -> Call[DeliveryPage]:
    """Return one page of deliveries, newest first. `cursor` is `next` of the page before; `limit` is at most 100."""
    parameters = {"status": status, "cursor": cursor, "limit": limit}
    query = {name: value for name, value in parameters.items() if value is not None}
    return Call(method="GET", path=f"{_path(webhook_id)}/deliveries", query=query, receive=json_receiver(DeliveryPage))


def delivery(webhook_id: str, delivery_id: str) -> Call[DeliveryDetails]:
    """Return a delivery with its payload."""
    return Call(method="GET", path=_path(webhook_id, delivery_id), receive=json_receiver(DeliveryDetails))


def redeliver(webhook_id: str, delivery_id: str) -> Call[DeliveryStatus]:
    """Send an event again, with the same id. `Problem` webhook_disabled if nothing is sent to the webhook."""
    path = f"{_path(webhook_id, delivery_id)}/redeliver"
    return Call(method="POST", path=path, receive=json_receiver(DeliveryStatus))


def test_webhook(webhook_id: str) -> Call[DeliveryStatus]:
    """Send an event of the type "webhook.test" to a webhook, and return its delivery, which is pending."""
    path = f"{_path(webhook_id)}/test"
    return Call(method="POST", path=path, is_idempotent=False, receive=json_receiver(DeliveryStatus))


def _path(webhook_id: str, delivery_id: str | None = None) -> str:
    path = f"/webhooks/{quote(webhook_id, safe='')}"
    return path if delivery_id is None else f"{path}/deliveries/{quote(delivery_id, safe='')}"
