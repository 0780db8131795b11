"""The route that processes an ended job again, from its original."""

from __future__ import annotations

from typing import Annotated

import structlog
from fastapi import BackgroundTasks, Body, Request, Response, status
from pydantic import BaseModel, ConfigDict, Field

from gateway.conditional_requests import evaluate_preconditions
from gateway.dependencies import (
    AnnouncerDep,
    CallerDep,
    LaneChooserDep,
    MetricsDep,
    PermissionDep,
    PresetsDep,
    RootPathDep,
    SettingsDep,
    StoresDep,
)
from gateway.openapi.errors import errors
from gateway.openapi.headers import answer_headers, request_headers
from gateway.openapi.links import job_links
from gateway.reprocessing import reprocess_job, resolve_again
from gateway.routes.jobs import build_etag
from gateway.routing import Router
from gateway.schemas import Links, Reprocessing
from pipeline.dispatch import dispatch_or_schedule
from pipeline.presets.definition import PresetName

log = structlog.get_logger("gateway")
router = Router(tags=["jobs"])


class ReprocessRequest(BaseModel):
    """What a job makes when it is processed again."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"preset": "default"}]})

    preset: PresetName | None = Field(
        None, description="The preset, as it is now. By default that of the job; an operation has none."
    )


@router.post(
    "/jobs/{task_id}/reprocess",
    summary="Process a job again from its original",
    status_code=status.HTTP_202_ACCEPTED,
    operation_id="reprocess_job",
    responses={202: {"headers": answer_headers("Location"), "links": job_links()}, **errors(404, 409, 412, 504)},
    openapi_extra={"parameters": request_headers("If-Match")},
)
async def reprocess(  # noqa: PLR0913, PLR0917  # FastAPI injects by parameter
    task_id: str,
    request: Request,
    response: Response,
    background: BackgroundTasks,
    stores: StoresDep,
    settings: SettingsDep,
    presets: PresetsDep,
    lanes: LaneChooserDep,
    metrics: MetricsDep,
    announcer: AnnouncerDep,
    permission: PermissionDep,
    caller: CallerDep,
    root_path: RootPathDep,
    wanted: Annotated[ReprocessRequest | None, Body()] = None,
) -> Reprocessing:
    """Make new results of a job's original, with its preset as it is now or with another one.

    The job keeps its id and links. Until the new results are complete, clients get the earlier ones; then the new ones
    replace them all at once. If processing fails, the job keeps the earlier ones and says why in `reprocess_failure`.
    """
    job = await permission.get_job(stores.jobs, task_id)
    evaluate_preconditions(request, build_etag(job))
    operation = resolve_again(job, presets, preset_name=wanted.preset if wanted else None, permission=permission)
    lane = await lanes.choose(caller, job.id, size=job.original.bytes)
    revised = await reprocess_job(job, operation, lane=lane, stores=stores, announcer=announcer, settings=settings)
    log.info("job.reprocessed", task_id=task_id, job_request_id=job.request_id, revision=revised.revision)
    background.add_task(dispatch_or_schedule, stores.jobs, revised, metrics.dispatches)
    links = Links.of(task_id, root_path=root_path)
    response.headers["Location"] = links.status
    return Reprocessing(
        task_id=task_id, status=revised.state, links=links, revision=revised.revision, preset=operation.preset
    )
