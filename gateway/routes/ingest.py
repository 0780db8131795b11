"""The route that events of buckets are sent to."""

from __future__ import annotations

from typing import Annotated

from fastapi import BackgroundTasks, Depends, Query, Request, Response, status

from gateway.dependencies import (
    AnnouncerDep,
    CallerDep,
    LaneChooserDep,
    MetricsDep,
    PermissionDep,
    PresetsDep,
    SettingsDep,
    StoresDep,
)
from gateway.ingest.ingestion import Ingestion
from gateway.ingest.object_events import EventsUnreadable
from gateway.ingest.preparation import Preparation
from gateway.ingest.schemas import REQUEST_BODY, Ingested
from gateway.ingest.shapes import read_events
from gateway.openapi.errors import errors
from gateway.problems import InvalidRequest
from gateway.routing import Router
from gateway.submission.backpressure import shed_load
from pipeline.dispatch import dispatch_or_schedule

PATH = "/ingest/s3"
NO_NEW_JOB = {"description": "There is no new job", "model": Ingested}
router = Router(tags=["bucket events"], dependencies=[Depends(shed_load)])


async def _prepare(  # noqa: PLR0913, PLR0917  # FastAPI injects by parameter
    request: Request,
    stores: StoresDep,
    settings: SettingsDep,
    presets: PresetsDep,
    permission: PermissionDep,
    metrics: MetricsDep,
    lanes: LaneChooserDep,
    announcer: AnnouncerDep,
    caller: CallerDep,
    preset: Annotated[
        str | None,
        Query(max_length=64, description="What to make of the photos; by default the preset of an upload without one."),
    ] = None,
) -> Ingestion:
    preparation = Preparation(
        stores=stores,
        settings=settings,
        metrics=metrics,
        lanes=lanes,
        presets=presets,
        renditions=announcer.renditions,
    )
    request_id = getattr(request.state, "request_id", None)
    return preparation.prepare(permission, preset=preset, caller=caller, request_id=request_id)


@router.post(
    PATH,
    summary="Make jobs of new objects in buckets",
    status_code=status.HTTP_202_ACCEPTED,
    operation_id="ingest_bucket_events",
    responses={200: NO_NEW_JOB, 202: {"description": "There are new jobs"}, **errors(503)},
    openapi_extra={"requestBody": REQUEST_BODY},
)
async def ingest_s3(
    request: Request,
    response: Response,
    background: BackgroundTasks,
    metrics: MetricsDep,
    ingestion: Annotated[Ingestion, Depends(_prepare)],
) -> Ingested:
    """Make a job of each new object that the body has an event of, once for each version of the object.

    Objects must be below a bucket of the caller's in `DARKROOM_SOURCES`; others are refused one by one, and named in
    the answer, which is a success all the same: sending it again would change nothing. A worker fetches the object
    later. The same event may come again, also at the same time: it makes no second job.
    """
    try:
        found = read_events(await request.body())
    except EventsUnreadable as error:
        raise InvalidRequest(str(error)) from None
    outcomes, jobs = await ingestion.ingest(found)
    for job in jobs:
        background.add_task(dispatch_or_schedule, ingestion.stores.jobs, job, metrics.dispatches)
    if not jobs:
        response.status_code = status.HTTP_200_OK
    return Ingested.of(outcomes)
