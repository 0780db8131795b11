"""Publishes the message about an endpoint, which has a worker send its due deliveries."""

from __future__ import annotations

import asyncio

import structlog

from pipeline import tasks
from pipeline.broker.transport import BROKER_ERRORS
from pipeline.step_errors import log_errors
from storage.stores import Stores
from storage.webhooks import WebhookEndpoint

RESERVED_MS = 20_000
"""After so long without a worker that takes it, the message about an endpoint counts as lost, and is sent again."""
MAX_ENDPOINTS = 100
"""Endpoints that a round looks at."""

log = structlog.get_logger("webhooks")


async def dispatch_endpoint(endpoint: WebhookEndpoint) -> bool:
    """Publish a message about an endpoint; False when the broker does not accept it. It is found again then."""
    try:
        await asyncio.to_thread(tasks.notify.apply_async, (endpoint.id,), retry=False)
    except BROKER_ERRORS as error:
        log.warning("webhook.undispatched", webhook_id=endpoint.id, error=repr(error))
        return False
    return True


async def dispatch_due(stores: Stores, due: list[WebhookEndpoint]) -> None:
    """Publish a message about each endpoint that is due, unless another gateway has reserved that.

    When the broker does not accept one, the rest waits for a later round.
    """
    for endpoint in due:
        with log_errors(log, "dispatch_endpoint", webhook_id=endpoint.id):
            is_reserved = await stores.webhooks.reserve_dispatch(endpoint, delay_ms=RESERVED_MS)
            if is_reserved and not await dispatch_endpoint(endpoint):
                return
