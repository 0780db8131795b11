"""The endpoints of the settings: they are stored when a gateway starts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import structlog
from pymongo.errors import PyMongoError

from gateway.webhooks.schemas import JOB_EVENTS
from pipeline.outbound.errors import OutboundRefused
from pipeline.outbound.guard import check_url
from pipeline.outbound_settings import WebhookSettings
from pipeline.settings import Settings
from storage.stores import Stores
from storage.webhooks import FIXED_PREFIX, WebhookEndpoint

RETRY_SECONDS = 5.0

log = structlog.get_logger("webhooks")


async def store_fixed_endpoints(stores: Stores, settings: Settings) -> None:
    """Store the endpoints of the settings, and remove those that are no longer in them. Errors are tried again.

    An address that nothing may be sent to is logged: its deliveries fail. So is an owner who has no jobs.
    """
    endpoints = list(fixed_endpoints(settings.webhooks))
    owners: set[str | None] = {*settings.api_keys} or {None}
    for endpoint in endpoints:
        if endpoint.owner not in owners:
            log.warning("webhook.owner_unknown", webhook_id=endpoint.id, owner=endpoint.owner)
        try:
            check_url(endpoint.url, settings.outbound)
        except OutboundRefused as error:
            log.warning("webhook.refused", webhook_id=endpoint.id, reason=error.reason)
    while True:
        try:
            await stores.webhooks.put_fixed(endpoints)
        except PyMongoError as error:
            log.warning("webhook.not_stored", error=repr(error))
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return


def fixed_endpoints(settings: WebhookSettings) -> Iterator[WebhookEndpoint]:
    """Return the endpoints of the settings, without their secrets."""
    for name, fixed in settings.fixed.items():
        yield WebhookEndpoint(
            id=f"{FIXED_PREFIX}{name}",
            owner=fixed.owner,
            url=fixed.url,
            events=[*(fixed.events or JOB_EVENTS)],
            is_thin=fixed.is_thin,
            description="Of the settings of the gateway",
        )
