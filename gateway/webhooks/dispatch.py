"""Publishes the message about an endpoint, which has a worker send its due deliveries."""

from __future__ import annotations

import asyncio

import structlog

from pipeline import tasks
from pipeline.broker.transport import BROKER_ERRORS
from pipeline.queues.queues import Queues
from pipeline.routing import NOTIFY
from pipeline.step_errors import log_errors
from storage.clock import now_ms
from storage.stores import Stores
from storage.webhooks import WebhookEndpoint

RESERVED_MS = 20_000
"""No second message about an endpoint is published for so long, unless a worker takes the first one."""
PUBLISH_MS = 5_000
"""A message is published at most so long after it was reserved, as different clocks tell it."""
MAX_ENDPOINTS = 100
"""Endpoints that a round looks at."""

log = structlog.get_logger("webhooks")


async def dispatch_endpoint(endpoint: WebhookEndpoint) -> bool:
    """Publish a message about an endpoint; False when the broker does not accept it. It is found again then.

    Any number of messages does no harm, but waits in the queue if no worker takes it: `dispatch_once` publishes one.
    """
    try:
        await asyncio.to_thread(tasks.notify.apply_async, (endpoint.id,), retry=False)
    except BROKER_ERRORS as error:
        log.warning("webhook.undispatched", webhook_id=endpoint.id, error=repr(error))
        return False
    return True


async def dispatch_once(endpoint: WebhookEndpoint, stores: Stores) -> bool:
    """Publish a message about an endpoint, unless one is under way; False when the broker does not accept it."""
    is_reserved = endpoint.next_dispatch_ms > now_ms()
    if is_reserved or not await stores.webhooks.reserve_dispatch(endpoint, delay_ms=RESERVED_MS):
        return True
    return await dispatch_endpoint(endpoint)


async def dispatch_due(due: list[WebhookEndpoint], stores: Stores, queues: Queues) -> None:
    """Publish a message about each endpoint that is due, unless one may still wait in the queue.

    When the broker does not accept one, the rest waits for a later round.
    """
    oldest_ms = None
    if any(endpoint.next_dispatch_ms for endpoint in due):
        oldest_ms = await queues.read_oldest_message_ms(NOTIFY)
    for endpoint in due:
        with log_errors(log, "dispatch_endpoint", webhook_id=endpoint.id):
            if not _may_be_queued(endpoint, oldest_ms) and not await dispatch_once(endpoint, stores):
                return


def _may_be_queued(endpoint: WebhookEndpoint, oldest_ms: int | None) -> bool:
    """Whether the message about an endpoint may still wait: without a worker, there would be more and more of them.

    A worker that has taken one sets `next_dispatch_ms` to 0. `oldest_ms` is when the queue's next message was sent.
    """
    reserved_ms = endpoint.next_dispatch_ms - RESERVED_MS
    return bool(endpoint.next_dispatch_ms) and oldest_ms is not None and oldest_ms <= reserved_ms + PUBLISH_MS
