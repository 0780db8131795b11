"""The routes of bulk actions: accept one, show one, list them, cancel one."""

from __future__ import annotations

import structlog
from fastapi import Request, Response, status

from gateway.bulk.presets import store_presets
from gateway.bulk.schemas import BulkAccepted, BulkLinks, BulkPage, BulkRequest, BulkStatus
from gateway.conditional_requests import evaluate_preconditions
from gateway.cursors import CursorQuery, LimitQuery, decode_cursor, encode_cursor
from gateway.dependencies import PermissionDep, PresetsDep, RootPathDep, SettingsDep, StoresDep
from gateway.openapi.errors import errors
from gateway.openapi.headers import answer_headers
from gateway.openapi.status_answers import describe_status
from gateway.problems import (
    POLL_SECONDS,
    RETRY_AFTER_SECONDS,
    InvalidRequest,
    TooManyBulkActions,
)
from gateway.routing import Router
from pipeline.presets.preset import DEFAULT, Preset
from pipeline.presets.registry import Presets, PresetUnknown
from storage.bulk_actions import BulkAction, BulkKind
from storage.job_ids import new_job_id
from storage.stores import Stores

log = structlog.get_logger("bulk")
router = Router(tags=["bulk actions"])


@router.post(
    "/bulk",
    summary="Retry, cancel, delete or reprocess many jobs",
    status_code=status.HTTP_202_ACCEPTED,
    operation_id="create_bulk_action",
    responses={202: {"headers": answer_headers("Location", "Retry-After")}, **errors(429)},
)
async def create(  # noqa: PLR0913, PLR0917  # FastAPI injects by parameter
    wanted: BulkRequest,
    response: Response,
    stores: StoresDep,
    settings: SettingsDep,
    presets: PresetsDep,
    permission: PermissionDep,
    root_path: RootPathDep,
) -> BulkAccepted:
    """Do with many jobs of the caller what the routes of one job do. It begins at once, and is followed by its status.

    It goes on with a bounded rate, waits while the queues are long, and what it starts takes the bulk lane, so that
    uploads do not queue behind it. Jobs that are submitted later are not touched. Each job is changed at most once;
    one that needs nothing is skipped, so the same bulk action may be sent again.
    """
    if len(wanted.task_ids or ()) > settings.bulk.max_task_ids:
        raise _invalid("/body/task_ids", "max_length", f"Name at most {settings.bulk.max_task_ids} jobs, or a filter.")
    limit = settings.bulk.max_active_per_owner
    if await stores.bulk_actions.count_active(owner=permission.owner, limit=limit) >= limit:
        detail = f"{limit} bulk actions have not ended yet. Wait for one of them, or cancel it."
        raise TooManyBulkActions(detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
    if wanted.preset is not None:
        permission.choose_preset(wanted.preset)
    action = BulkAction(
        id=new_job_id(),
        owner=permission.owner,
        action=wanted.action,
        preset=wanted.preset,
        presets=store_presets(_needed_presets(wanted, presets)),
        filter=wanted.filter and wanted.filter.build(wanted.action, wanted.preset),
        task_ids=sorted(set(wanted.task_ids or ())),
        dry_run=wanted.dry_run,
    )
    action = action.model_copy(update={"total": await _count(action, stores)})
    await stores.bulk_actions.insert(action)
    log.info("bulk.accepted", bulk_id=action.id, action=action.action, dry_run=action.dry_run, total=action.total)
    links = BulkLinks.of(action.id, root_path=root_path)
    response.headers["Location"], response.headers["Retry-After"] = links.status, str(POLL_SECONDS)
    return BulkAccepted(bulk_id=action.id, status=action.state, total=action.total, links=links)


@router.get(
    "/bulk/{bulk_id}",
    summary="Get a bulk action",
    operation_id="get_bulk_action",
    response_model=BulkStatus,
    **describe_status("bulk action"),
)
async def show(
    bulk_id: str, request: Request, stores: StoresDep, permission: PermissionDep, root_path: RootPathDep
) -> Response:
    """Return a bulk action: how many jobs it has looked at, and what came of them."""
    action = await stores.bulk_actions.get(bulk_id, owner=permission.owner)
    headers = {"ETag": f'W/"{action.version}-{action.state}"', "Cache-Control": "no-cache"}
    if action.is_active:
        headers["Retry-After"] = str(POLL_SECONDS)
    if evaluate_preconditions(request, headers["ETag"]):
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    content = BulkStatus.of(action, root_path=root_path).model_dump_json()
    return Response(content, media_type="application/json", headers=headers)


@router.get("/bulk", summary="List bulk actions", operation_id="list_bulk_actions", responses=errors(400))
async def list_bulk_actions(
    stores: StoresDep,
    permission: PermissionDep,
    root_path: RootPathDep,
    cursor: CursorQuery = None,
    limit: LimitQuery = 20,
) -> BulkPage:
    """List bulk actions, newest first. Those that ended long ago are forgotten."""
    before_id = decode_cursor(cursor) if cursor else None
    page = await stores.bulk_actions.page(owner=permission.owner, before_id=before_id, limit=limit)
    return BulkPage(
        bulk_actions=[BulkStatus.of(action, root_path=root_path) for action in page.actions],
        next=encode_cursor(page.next_before_id) if page.next_before_id else None,
    )


@router.delete(
    "/bulk/{bulk_id}",
    summary="Cancel a bulk action",
    operation_id="cancel_bulk_action",
    responses=errors(404),
)
async def cancel(bulk_id: str, stores: StoresDep, permission: PermissionDep, root_path: RootPathDep) -> BulkStatus:
    """Cancel a bulk action that has not ended, and return it. What is done stays done.

    The jobs that it is about to change in this second may still be changed, and are counted.
    """
    await stores.bulk_actions.get(bulk_id, owner=permission.owner)
    if await stores.bulk_actions.cancel(bulk_id):
        log.info("bulk.cancelled", bulk_id=bulk_id)
    return BulkStatus.of(await stores.bulk_actions.get(bulk_id, owner=permission.owner), root_path=root_path)


def _needed_presets(wanted: BulkRequest, presets: Presets) -> list[Preset]:
    """Return the presets that the action depends on. Raises `InvalidRequest` for one that there is not.

    Raises `PresetsNotReady` as well.
    """
    presets.get(DEFAULT)  # raises: those that are not ready are none to carry an action out with
    if wanted.preset is not None:
        try:
            named = presets.get(wanted.preset)
        except PresetUnknown:
            names = ", ".join(preset.name for preset in presets)
            message = f"There is no preset {wanted.preset!r}. Use one of: {names}."
            raise _invalid("/body/preset", "choice", message) from None
        if not (wanted.filter and wanted.filter.outdated):
            return [named]
    needs_all = wanted.action is BulkKind.REPROCESS or (wanted.filter and wanted.filter.outdated)
    return list(presets) if needs_all else []


async def _count(action: BulkAction, stores: Stores) -> int | None:
    if action.filter is None:
        return len(action.task_ids)
    query = action.filter.build_query()
    return await stores.jobs.count_matching(query, owner=action.owner, before_id=action.id)


def _invalid(pointer: str, rule: str, message: str) -> InvalidRequest:
    errors = [{"pointer": pointer, "rule": rule, "message": message}]
    return InvalidRequest("The request breaks the rules that errors lists.", errors=errors)
