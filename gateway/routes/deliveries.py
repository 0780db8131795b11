"""The routes of deliveries: what became of each event at a webhook, and how to send it again, or a test."""

from __future__ import annotations

from typing import Annotated, Any

import structlog
from fastapi import BackgroundTasks, Query, Response, status

from gateway.cursors import LimitQuery
from gateway.dependencies import PermissionDep, RootPathDep, StoresDep
from gateway.openapi.errors import errors
from gateway.openapi.headers import answer_headers
from gateway.problems import WebhookDisabled
from gateway.routing import Router
from gateway.webhooks.delivery_cursors import DeliveryCursorQuery, decode_cursor, encode_cursor
from gateway.webhooks.delivery_schemas import DeliveryDetails, DeliveryPage, DeliveryStatus
from gateway.webhooks.dispatch import dispatch_once
from gateway.webhooks.testing import build_test_delivery
from storage.clock import now_ms
from storage.errors import DeliveryNotFound
from storage.stores import Stores
from storage.webhooks import Delivery, DeliveryState, WebhookEndpoint

StatusQuery = Annotated[DeliveryState | None, Query(description="Only deliveries with this status.")]
ACCEPTED: dict[int | str, dict[str, Any]] = {202: {"headers": answer_headers("Location")}}

log = structlog.get_logger("webhooks")
router = Router(tags=["webhooks"])


@router.get(
    "/webhooks/{webhook_id}/deliveries",
    summary="List deliveries",
    operation_id="list_deliveries",
    responses=errors(400, 404),
)
async def list_deliveries(  # noqa: PLR0913, PLR0917  # FastAPI injects by parameter
    webhook_id: str,
    stores: StoresDep,
    permission: PermissionDep,
    root_path: RootPathDep,
    status: StatusQuery = None,
    cursor: DeliveryCursorQuery = None,
    limit: LimitQuery = 20,
) -> DeliveryPage:
    """List the deliveries of a webhook, newest first, with what was answered.

    Those that ended long ago are forgotten.
    """
    await stores.webhooks.get(webhook_id, owner=permission.owner)
    before = decode_cursor(cursor) if cursor else None
    page = await stores.deliveries.page(webhook_id, state=status, before=before, limit=limit)
    return DeliveryPage(
        deliveries=[DeliveryStatus.of(delivery, root_path=root_path) for delivery in page.deliveries],
        next=encode_cursor(page.next_before) if page.next_before else None,
    )


@router.get(
    "/webhooks/{webhook_id}/deliveries/{delivery_id}",
    summary="Get a delivery",
    operation_id="get_delivery",
    responses=errors(404),
)
async def show(
    webhook_id: str, delivery_id: str, stores: StoresDep, permission: PermissionDep, root_path: RootPathDep
) -> DeliveryDetails:
    """Return a delivery with its payload."""
    _, delivery = await _get_delivery(webhook_id, delivery_id, stores, owner=permission.owner)
    return DeliveryDetails.with_payload(delivery, root_path=root_path)


@router.post(
    "/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver",
    summary="Send a delivery again",
    status_code=status.HTTP_202_ACCEPTED,
    operation_id="redeliver",
    responses={**ACCEPTED, **errors(404, 409)},
)
async def redeliver(  # noqa: PLR0913, PLR0917  # FastAPI injects by parameter
    webhook_id: str,
    delivery_id: str,
    response: Response,
    background: BackgroundTasks,
    stores: StoresDep,
    permission: PermissionDep,
    root_path: RootPathDep,
) -> DeliveryStatus:
    """Send an event again, at once, with the same `webhook-id`. It is tried as often as a new one.

    One that is pending already is tried at once.
    """
    endpoint, delivery = await _get_delivery(webhook_id, delivery_id, stores, owner=permission.owner)
    _check_enabled(endpoint)
    if await stores.deliveries.redeliver(delivery):
        log.info("delivery.redelivered", webhook_id=webhook_id, delivery_id=delivery_id, owner=permission.owner)
    await _wake(endpoint, stores, background)
    return await _accept(delivery_id, response, stores, owner=permission.owner, root_path=root_path)


@router.post(
    "/webhooks/{webhook_id}/test",
    summary="Send a test event",
    status_code=status.HTTP_202_ACCEPTED,
    operation_id="test_webhook",
    responses={**ACCEPTED, **errors(404, 409)},
)
async def test(  # FastAPI injects by parameter
    webhook_id: str,
    response: Response,
    background: BackgroundTasks,
    stores: StoresDep,
    permission: PermissionDep,
    root_path: RootPathDep,
) -> DeliveryStatus:
    """Send an event of the type `webhook.test` to this webhook alone, whatever its events are.

    It is signed, tried and shown like any other: follow the delivery that the answer names.
    """
    endpoint = await stores.webhooks.get(webhook_id, owner=permission.owner)
    _check_enabled(endpoint)
    delivery = build_test_delivery(endpoint, now=now_ms())
    await stores.deliveries.insert_new([delivery])
    log.info("webhook.tested", webhook_id=webhook_id, delivery_id=delivery.id, owner=permission.owner)
    await _wake(endpoint, stores, background)
    return await _accept(delivery.id, response, stores, owner=permission.owner, root_path=root_path)


async def _get_delivery(
    webhook_id: str, delivery_id: str, stores: Stores, *, owner: str | None
) -> tuple[WebhookEndpoint, Delivery]:
    endpoint = await stores.webhooks.get(webhook_id, owner=owner)
    delivery = await stores.deliveries.get(delivery_id, owner=owner)
    if delivery.endpoint_id != webhook_id:
        raise DeliveryNotFound(delivery_id)
    return endpoint, delivery


def _check_enabled(endpoint: WebhookEndpoint) -> None:
    if endpoint.disabled is not None:
        raise WebhookDisabled("The webhook is disabled, so nothing is sent to it. Enable it first.")


async def _wake(endpoint: WebhookEndpoint, stores: Stores, background: BackgroundTasks) -> None:
    """Have the deliveries of an endpoint sent that are due."""
    await stores.webhooks.wake([endpoint.id], now=now_ms())
    background.add_task(dispatch_once, endpoint, stores)


async def _accept(
    delivery_id: str, response: Response, stores: Stores, *, owner: str | None, root_path: str
) -> DeliveryStatus:
    shown = DeliveryStatus.of(await stores.deliveries.get(delivery_id, owner=owner), root_path=root_path)
    response.headers["Location"] = shown.links.delivery
    return shown
