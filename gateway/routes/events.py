"""Events: the changes of a job as they happen, as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Annotated

import structlog
from fastapi import Depends, Header, Request, Response, status
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from pymongo.errors import PyMongoError

from gateway.dependencies import CallerDep, FeedDep, JobsDep, PermissionDep, RootPathDep, StreamsDep
from gateway.feed import Feed
from gateway.openapi.errors import errors
from gateway.openapi.headers import answer_headers
from gateway.problems import TooManyStreams
from gateway.routing import Router
from gateway.schemas import JobStatus
from gateway.whole_numbers import parse_whole_number
from storage.documents import Job
from storage.errors import JobUnreadable

MEDIA_TYPE = "text/event-stream"
RETRY_MS = 2000
HEARTBEAT_SECONDS = 15.0
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # "no": nginx sends each event at once

log = structlog.get_logger("gateway")
router = Router(tags=["jobs"])


async def _hold_stream(streams: StreamsDep, caller: CallerDep) -> AsyncIterator[bool]:
    """Count the stream until its last byte is sent: FastAPI ends this dependency only then.

    Its value is False for one stream too many.
    """
    with ExitStack() as slot:
        try:
            slot.enter_context(streams.hold(caller))
        except TooManyStreams as problem:
            log.warning("stream.refused", error=problem.detail)
            yield False
        else:
            yield True


StreamSlot = Annotated[bool, Depends(_hold_stream)]


@router.get(
    "/task-status/{task_id}/events",
    summary="Stream the changes of a job",
    response_class=StreamingResponse,
    operation_id="stream_job",
    responses={
        200: {
            "description": "The events",
            "content": {MEDIA_TYPE: {}},
            "headers": answer_headers("Cache-Control"),
        },
        204: {"description": "The job has ended, and `Last-Event-ID` is its last event"},
        **errors(404),
    },
)
async def task_events(  # noqa: PLR0913, PLR0917  # FastAPI injects by parameter
    task_id: str,
    request: Request,
    jobs: JobsDep,
    permission: PermissionDep,
    feed: FeedDep,
    has_slot: StreamSlot,
    root_path: RootPathDep,
    last_event_id: Annotated[
        str | None, Header(description="The id of the last event that the client has received.", max_length=20)
    ] = None,
) -> Response:
    """Send the whole job now and at each change, until it ends.

    Each event has the name `job`, the same data as `GET /task-status/{task_id}`, and the job's version as its id. With
    `Last-Event-ID`, only newer events are sent. Each event is complete, so a client that reconnects misses nothing.
    A stream that ends before the job does is to be opened again, after the time in `retry`.
    """
    if not has_slot:
        return end_stream_early()
    try:
        job = await permission.get_job(jobs, task_id)
    except PyMongoError as error:
        log.warning("dependency.failed", path="/task-status/{task_id}/events", error=repr(error))
        return end_stream_early()
    except JobUnreadable:  # a newer gateway may take the next request
        return end_stream_early()
    last_version = parse_whole_number(last_event_id or "")
    if not job.is_active and last_version == job.version:
        return Response(status_code=status.HTTP_204_NO_CONTENT)
    events = _stream_events(feed, job, last_version, root_path=root_path) if request.method == "GET" else ()
    return StreamingResponse(events, media_type=MEDIA_TYPE, headers=HEADERS)


def end_stream_early() -> Response:
    """Return a stream without events: EventSource opens it again, but gives up for good after an error status."""
    return Response(format_sse_event(retry=RETRY_MS), media_type=MEDIA_TYPE, headers=HEADERS)


async def _stream_events(feed: Feed, job: Job, last_version: int | None, *, root_path: str) -> AsyncIterator[bytes]:
    yield format_sse_event(retry=RETRY_MS)
    with feed.watch(job) as topic:
        while not topic.is_closed:
            newer_job = await topic.wait_for_newer(last_version, HEARTBEAT_SECONDS)
            if newer_job is None:
                yield KEEPALIVE_COMMENT
                continue
            last_version = newer_job.version
            yield format_sse_event(
                event="job",
                id=str(last_version),
                data_str=JobStatus.of(newer_job, root_path=root_path).model_dump_json(),
            )
            if not newer_job.is_active:
                return
