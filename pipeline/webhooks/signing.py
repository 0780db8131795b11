"""Signs events as Standard Webhooks does (https://www.standardwebhooks.com), with each secret that is valid."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks.webhooks import Webhook

from pipeline.outbound_settings import WebhookSettings
from storage.webhooks import FIXED_PREFIX, WebhookEndpoint

MS = 1000


def find_secrets(endpoint: WebhookEndpoint, settings: WebhookSettings, *, now_ms: int) -> list[str]:
    """Return the secrets of an endpoint that have not expired, the newest first; those of the settings do not.

    There are none for an endpoint that is not in the settings of this process any more, or not yet.
    """
    if endpoint.is_fixed:
        fixed = settings.fixed.get(endpoint.id.removeprefix(FIXED_PREFIX))
        return list(fixed.secrets) if fixed else []
    return [each.value for each in endpoint.secrets if each.expires_ms is None or each.expires_ms > now_ms]


def sign(secrets: Sequence[str], *, event_id: str, at_ms: int, payload: str) -> dict[str, str]:
    """Return the headers of a try at this time (epoch ms): one signature for each secret."""
    at = datetime.fromtimestamp(at_ms // MS, UTC)
    signatures = [Webhook(secret).sign(event_id, at, payload) for secret in secrets]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(at_ms // MS),
        "webhook-signature": " ".join(signatures),
    }
