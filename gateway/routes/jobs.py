"""The job routes: show one job, list jobs, retry a job, delete a job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from time import monotonic
from typing import Annotated

from fastapi import BackgroundTasks, Query, Request, Response, status

from gateway.conditional_requests import (
    evaluate_preconditions,
    matches_weakly,
    read_condition,
)
from gateway.cursors import CursorQuery, LimitQuery, decode_cursor, encode_cursor
from gateway.dependencies import (
    AnnouncerDep,
    JobsDep,
    MetricsDep,
    PermissionDep,
    RootPathDep,
    SettingsDep,
    StoresDep,
)
from gateway.disconnects import run_while_connected
from gateway.feed import Topic
from gateway.job_actions import delete_job, retry_job
from gateway.middleware.rate_limit import caller_of
from gateway.middleware.root_path import root_path_of
from gateway.openapi.errors import errors
from gateway.openapi.headers import answer_headers, request_headers
from gateway.openapi.links import job_links
from gateway.openapi.status_answers import describe_status
from gateway.permission import permission_of
from gateway.problems import POLL_SECONDS
from gateway.recent_jobs import RecentJobs
from gateway.routing import Router
from gateway.schemas import Accepted, JobPage, JobStatus, JobSummary, Links
from pipeline.dispatch import dispatch_or_schedule
from storage.documents import Job, JobState, Kind
from storage.jobs import Jobs

MAX_WAIT_SECONDS = 60

router = Router(tags=["jobs"])


@router.get(
    "/task-status/{task_id}",
    summary="Get a job",
    response_model=JobStatus,
    operation_id="get_job",
    **describe_status("job"),
)
async def task_status(
    task_id: str,
    request: Request,  # for the rest: each dependency takes a twentieth of this route's time, and it is the busiest
    wait: Annotated[float, Query(ge=0, le=MAX_WAIT_SECONDS, description="How many seconds to wait for a change.")] = 0,
) -> Response:
    """Return the job: its state, its progress, and each stage with its wait, run time, attempts, worker and error.

    With `wait` and `If-None-Match`, the answer comes when the job has changed; with `wait` alone, when it has ended. It
    comes when the time is over in any case.
    """
    get_job = partial(permission_of(request.scope).get_job, task_id=task_id)
    job = await (_wait(request, wait, get_job) if wait else get_job(request.app.state.stores.jobs))
    headers = {"ETag": build_etag(job), "Cache-Control": "no-cache"}
    if job.is_active:
        headers["Retry-After"] = str(POLL_SECONDS)
    if evaluate_preconditions(request, headers["ETag"]):
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    status_document = JobStatus.of(job, root_path=root_path_of(request.scope))
    return Response(status_document.model_dump_json(), media_type="application/json", headers=headers)


@router.get("/jobs", summary="List jobs", responses=errors(400))
async def list_jobs(  # noqa: PLR0913, PLR0917  # FastAPI injects by parameter
    jobs: JobsDep,
    permission: PermissionDep,
    root_path: RootPathDep,
    status: JobState | None = None,
    kind: Kind | None = None,
    cursor: CursorQuery = None,
    limit: LimitQuery = 20,
) -> JobPage:
    """List jobs, newest first. Images that were made on demand are only in a list of the kind `image`."""
    before_id = decode_cursor(cursor) if cursor else None
    page = await jobs.page(owner=permission.owner, state=status, kind=kind, before_id=before_id, limit=limit)
    return JobPage(
        jobs=[JobSummary.of(job, root_path=root_path) for job in page.jobs],
        next=encode_cursor(page.next_before_id) if page.next_before_id else None,
    )


@router.post(
    "/jobs/{task_id}/retry",
    summary="Retry a dead or failed job",
    status_code=status.HTTP_202_ACCEPTED,
    operation_id="retry_job",
    responses={202: {"headers": answer_headers("Location"), "links": job_links()}, **errors(404, 409, 412, 504)},
    openapi_extra={"parameters": request_headers("If-Match")},
)
async def retry(  # noqa: PLR0913, PLR0917  # FastAPI injects by parameter
    task_id: str,
    request: Request,
    response: Response,
    background: BackgroundTasks,
    jobs: JobsDep,
    settings: SettingsDep,
    metrics: MetricsDep,
    announcer: AnnouncerDep,
    permission: PermissionDep,
    root_path: RootPathDep,
) -> Accepted:
    """Retry a job from the stage in which it died or failed. Stages that are done are not run again."""
    job = await permission.get_job(jobs, task_id)
    evaluate_preconditions(request, build_etag(job))
    retried = await retry_job(job, jobs=jobs, announcer=announcer, settings=settings)
    background.add_task(dispatch_or_schedule, jobs, retried, metrics.dispatches)
    links = Links.of(task_id, root_path=root_path)
    response.headers["Location"] = links.status
    return Accepted(task_id=task_id, status=retried.state, links=links)


@router.delete(
    "/jobs/{task_id}",
    summary="Cancel or delete a job",
    status_code=status.HTTP_204_NO_CONTENT,
    operation_id="delete_job",
    responses=errors(404, 412, 504),
    openapi_extra={"parameters": request_headers("If-Match")},
)
async def delete(  # FastAPI injects by parameter
    task_id: str,
    request: Request,
    stores: StoresDep,
    permission: PermissionDep,
    metrics: MetricsDep,
    announcer: AnnouncerDep,
) -> None:
    """Cancel an active job and remove its blobs, or remove an ended job with its blobs and its document.

    The images that were made of it on demand go with it.
    """
    job = await permission.get_job(stores.jobs, task_id)
    evaluate_preconditions(request, build_etag(job))
    await delete_job(job, stores=stores, announcer=announcer, metrics=metrics)
    request.app.state.feed.recent_jobs.forget(task_id)


async def _wait(request: Request, seconds: float, get_job: Callable[[Jobs | RecentJobs], Awaitable[Job]]) -> Job:
    """Return the job when it no longer matches If-None-Match, or without that has ended, or when the time is over.

    Raises what `get_job` raises, `TooManyStreams` and `ClientDisconnect`.
    """
    state, known_etag = request.app.state, read_condition(request.headers, "if-none-match")
    jobs, feed = state.stores.jobs, state.feed
    job = await get_job(feed.recent_jobs if known_etag is None else jobs)
    with state.streams.hold(caller_of(request.scope)), feed.watch(job, end_only=known_etag is None) as topic:
        job = await run_while_connected(request, _wait_for_change(job, topic, seconds, known_etag))
    is_in_vain = known_etag is None and job.is_active  # then nobody has told of what else has changed
    return await get_job(jobs) if is_in_vain else job


async def _wait_for_change(job: Job, topic: Topic, seconds: float, known_etag: str | None) -> Job:
    """Return the newest known job when it no longer matches `known_etag`, has ended, or the time is over."""
    deadline = monotonic() + seconds
    while job.is_active and (known_etag is None or matches_weakly(known_etag, build_etag(job))):
        newer_job = await topic.wait_for_newer(job.version, deadline - monotonic())
        if newer_job is None:
            break
        job = newer_job
    return job


def build_etag(job: Job) -> str:
    """Return the ETag of a job's status."""
    return f'W/"{job.version}"'
