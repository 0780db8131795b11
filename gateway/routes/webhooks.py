"""The routes of webhooks: where events of the caller's jobs are sent."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Any

import structlog
from fastapi import BackgroundTasks, Body, Request, Response, status

from gateway.conditional_requests import evaluate_preconditions
from gateway.dependencies import AnnouncerDep, PermissionDep, RootPathDep, SettingsDep, StoresDep
from gateway.openapi.errors import errors
from gateway.openapi.headers import answer_headers, request_headers
from gateway.openapi.status_answers import describe_status
from gateway.permission import Permission
from gateway.problems import TooManyWebhooks
from gateway.routing import Router
from gateway.webhooks.dispatch import dispatch_once
from gateway.webhooks.endpoints import (
    build_changes,
    check_address,
    check_not_fixed,
    loggable_host,
    new_endpoint,
    new_secret,
    rotate_secrets,
)
from gateway.webhooks.schemas import (
    RotationRequest,
    Webhook,
    WebhookChange,
    WebhookList,
    WebhookRequest,
    WebhookWithSecret,
)
from storage.clock import now_ms
from storage.stores import Stores
from storage.webhooks import WebhookEndpoint

CHANGES: dict[str, Any] = {"openapi_extra": {"parameters": request_headers("If-Match")}}
NOT_STORED = {"Cache-Control": "no-store"}
"""Of an answer with a secret."""

log = structlog.get_logger("webhooks")
router = Router(tags=["webhooks"])


@router.post(
    "/webhooks",
    summary="Create a webhook",
    status_code=status.HTTP_201_CREATED,
    operation_id="create_webhook",
    responses={201: {"headers": answer_headers("Location", "ETag", "Cache-Control")}, **errors(409, 504)},
)
async def create(  # noqa: PLR0913, PLR0917  # FastAPI injects by parameter
    wanted: WebhookRequest,
    response: Response,
    stores: StoresDep,
    announcer: AnnouncerDep,
    settings: SettingsDep,
    permission: PermissionDep,
    root_path: RootPathDep,
) -> WebhookWithSecret:
    """Have events of the caller's jobs sent to an address, as Standard Webhooks says.

    The answer shows the secret that events are signed with, this once. Each event is sent at least once: a receiver
    recognizes one that comes again by its `webhook-id`.
    """
    check_address(wanted.url, settings.outbound)
    limit = settings.webhooks.max_per_owner
    if await stores.webhooks.count(permission.owner) >= limit:
        raise _too_many(limit)
    endpoint = new_endpoint(wanted, owner=permission.owner, secret=new_secret(), now=now_ms())
    await stores.webhooks.insert(endpoint)
    if await stores.webhooks.count(permission.owner) > limit:  # others were created meanwhile
        await stores.webhooks.remove(endpoint.id, owner=permission.owner)
        raise _too_many(limit)
    announcer.renditions.forget(permission.owner)
    _log("webhook.created", endpoint, permission, host=loggable_host(endpoint.url), events=endpoint.events)
    answer = _show_secret(endpoint, response, root_path=root_path)
    response.headers["Location"] = answer.links.webhook
    return answer


@router.get("/webhooks", summary="List webhooks", operation_id="list_webhooks")
async def list_webhooks(stores: StoresDep, permission: PermissionDep, root_path: RootPathDep) -> WebhookList:
    """List the webhooks of the caller, newest first, those of the gateway's settings included."""
    found = await stores.webhooks.list(permission.owner)
    return WebhookList(webhooks=[Webhook.of(endpoint, root_path=root_path) for endpoint in found])


@router.get(
    "/webhooks/{webhook_id}",
    summary="Get a webhook",
    response_model=Webhook,
    operation_id="get_webhook",
    **describe_status("webhook"),
)
async def show(
    webhook_id: str, request: Request, stores: StoresDep, permission: PermissionDep, root_path: RootPathDep
) -> Response:
    """Return a webhook, without its secret."""
    content = Webhook.of(
        await stores.webhooks.get(webhook_id, owner=permission.owner), root_path=root_path
    ).model_dump_json()
    headers = {"ETag": _build_etag(content), "Cache-Control": "no-cache"}
    if evaluate_preconditions(request, headers["ETag"]):
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    return Response(content, media_type="application/json", headers=headers)


@router.patch(
    "/webhooks/{webhook_id}",
    summary="Change a webhook",
    operation_id="update_webhook",
    responses={200: {"headers": answer_headers("ETag")}, **errors(404, 409, 412)},
    **CHANGES,
)
async def change(  # noqa: PLR0913, PLR0917  # FastAPI injects by parameter
    webhook_id: str,
    wanted: WebhookChange,
    request: Request,
    response: Response,
    background: BackgroundTasks,
    stores: StoresDep,
    announcer: AnnouncerDep,
    settings: SettingsDep,
    permission: PermissionDep,
    root_path: RootPathDep,
) -> Webhook:
    """Change a webhook, or disable it, or enable it again. Deliveries that are pending go to the new address.

    A webhook of the gateway's settings can be disabled and enabled, and not changed in any other way.
    """
    endpoint = await _get_found(webhook_id, request, stores, permission, root_path=root_path)
    if wanted.model_fields_set != {"disabled"}:
        check_not_fixed(endpoint)
    changes = build_changes(wanted, endpoint)
    if "url" in changes:
        check_address(changes["url"], settings.outbound)
    if changes:
        endpoint = await stores.webhooks.change(webhook_id, changes, owner=permission.owner)
        announcer.renditions.forget(permission.owner)
        _log("webhook.changed", endpoint, permission, fields=sorted(changes), host=loggable_host(endpoint.url))
    if "disabled" in changes and endpoint.disabled is None:
        await stores.deliveries.make_due(webhook_id)
        await stores.webhooks.wake([webhook_id], now=now_ms())
        background.add_task(dispatch_once, endpoint, stores)
    answer = Webhook.of(endpoint, root_path=root_path)
    response.headers["ETag"] = _build_etag(answer.model_dump_json())
    return answer


@router.delete(
    "/webhooks/{webhook_id}",
    summary="Remove a webhook",
    status_code=status.HTTP_204_NO_CONTENT,
    operation_id="delete_webhook",
    responses=errors(404, 409, 412),
    **CHANGES,
)
async def delete(
    webhook_id: str, request: Request, stores: StoresDep, permission: PermissionDep, root_path: RootPathDep
) -> None:
    """Remove a webhook with its deliveries: what is pending is not sent any more."""
    endpoint = await _get_own(webhook_id, request, stores, permission, root_path=root_path)
    await stores.webhooks.remove(webhook_id, owner=permission.owner)
    _log("webhook.deleted", endpoint, permission, host=loggable_host(endpoint.url))


@router.post(
    "/webhooks/{webhook_id}/rotate",
    summary="Replace the secret of a webhook",
    operation_id="rotate_webhook_secret",
    responses={200: {"headers": answer_headers("ETag", "Cache-Control")}, **errors(404, 409, 412, 504)},
    **CHANGES,
)
async def rotate(  # noqa: PLR0913, PLR0917  # FastAPI injects by parameter
    webhook_id: str,
    request: Request,
    response: Response,
    stores: StoresDep,
    permission: PermissionDep,
    root_path: RootPathDep,
    wanted: Annotated[RotationRequest | None, Body()] = None,
) -> WebhookWithSecret:
    """Make a new secret, and show it this once. For a day, or `expires_in` seconds, both sign: receivers take either.

    At most two secrets are kept: one that was replaced before is dropped.
    """
    expires_in = (wanted or RotationRequest()).expires_in
    rotated: WebhookEndpoint | None = None
    while rotated is None:  # of two rotations at a time, the second one is of what the first one has made
        endpoint = await _get_own(webhook_id, request, stores, permission, root_path=root_path)
        secrets = rotate_secrets(endpoint, new_secret(), expires_in=expires_in, now=now_ms())
        rotated = await stores.webhooks.replace_secrets(endpoint, secrets)
    _log("webhook.rotated", rotated, permission, expires_in=expires_in)
    return _show_secret(rotated, response, root_path=root_path)


async def _get_own(
    webhook_id: str, request: Request, stores: Stores, permission: Permission, *, root_path: str
) -> WebhookEndpoint:
    """Return an endpoint that the caller may change, if the conditions of the request hold."""
    endpoint = await _get_found(webhook_id, request, stores, permission, root_path=root_path)
    check_not_fixed(endpoint)
    return endpoint


async def _get_found(
    webhook_id: str, request: Request, stores: Stores, permission: Permission, *, root_path: str
) -> WebhookEndpoint:
    """Return an endpoint of the caller, if the conditions of the request hold."""
    endpoint = await stores.webhooks.get(webhook_id, owner=permission.owner)
    content = Webhook.of(endpoint, root_path=root_path).model_dump_json()
    evaluate_preconditions(request, _build_etag(content))
    return endpoint


def _show_secret(endpoint: WebhookEndpoint, response: Response, *, root_path: str) -> WebhookWithSecret:
    """Return the answer with the newest secret, which is never stored on its way."""
    etag = _build_etag(Webhook.of(endpoint, root_path=root_path).model_dump_json())
    response.headers.update(NOT_STORED | {"ETag": etag})
    return WebhookWithSecret.of(endpoint, root_path=root_path, secret=endpoint.secrets[0].value)


def _build_etag(content: str) -> str:
    """Return the ETag of what is shown of a webhook."""
    return f'"{sha256(content.encode()).hexdigest()[:32]}"'


def _too_many(limit: int) -> TooManyWebhooks:
    return TooManyWebhooks(f"You have {limit} webhooks, and may have no more. Remove or change one of them.")


def _log(event: str, endpoint: WebhookEndpoint, permission: Permission, **facts: object) -> None:
    """Log who has done what. Never a secret, nor more of an address than its host."""
    log.info(event, webhook_id=endpoint.id, owner=permission.owner, **facts)
