"""Events: every change of a job as it happens, as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Response, status
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from gateway.dependencies import FeedDep, JobsDep, OwnerDep
from gateway.feed import Feed
from gateway.schemas import JobStatus
from storage.documents import Job

MEDIA_TYPE = "text/event-stream"
RETRY_MS = 2000
HEARTBEAT_SECONDS = 15.0
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # the latter: nginx passes each event on at once

router = APIRouter(tags=["jobs"])


@router.get(
    "/task-status/{task_id}/events",
    response_class=StreamingResponse,
    responses={
        200: {"content": {MEDIA_TYPE: {}}},
        204: {"description": "Nothing more will come after Last-Event-ID: the job has ended"},
    },
)
async def task_events(
    task_id: str,
    jobs: JobsDep,
    owner: OwnerDep,
    feed: FeedDep,
    last_event_id: Annotated[str | None, Header(description="The id of the last event seen.", max_length=20)] = None,
) -> Response:
    """Send the job, whole, now and at each change, and end with the event that ends it.

    Events are called `job`, carry what `GET /task-status/{task_id}` answers, and have the job's version as their id.
    After `Last-Event-ID` comes what is newer; each event is complete, so nothing is missed between two connections.
    """
    job = await jobs.get(task_id, owner=owner)
    seen = int(last_event_id) if last_event_id and last_event_id.isdecimal() else None
    if not job.is_active and seen == job.version:
        return Response(status_code=status.HTTP_204_NO_CONTENT)
    return StreamingResponse(_stream_events(feed, job, seen), media_type=MEDIA_TYPE, headers=HEADERS)


async def _stream_events(feed: Feed, job: Job, seen: int | None) -> AsyncIterator[bytes]:
    yield format_sse_event(retry=RETRY_MS)
    with feed.watch(job) as topic:
        while not topic.is_closed:
            news = await topic.wait_for_newer(seen, HEARTBEAT_SECONDS)
            if news is None:
                yield KEEPALIVE_COMMENT
                continue
            seen = news.version
            yield format_sse_event(event="job", id=str(seen), data_str=JobStatus.of(news).model_dump_json())
            if not news.is_active:
                return
