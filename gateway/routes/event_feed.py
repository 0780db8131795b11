"""The route of the event feed: the events of all of the caller's jobs, as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from time import monotonic
from typing import Annotated, Literal, get_args

import structlog
from fastapi import Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from pymongo.errors import PyMongoError

from gateway.dependencies import EventFeedDep, PermissionDep, SettingsDep
from gateway.event_feed.feed import EventFeed
from gateway.event_feed.reader import EventReader, parse_position
from gateway.openapi.headers import answer_headers
from gateway.routes.events import HEADERS, HEARTBEAT_SECONDS, MEDIA_TYPE, RETRY_MS, StreamSlot, end_stream_early
from gateway.routing import Router
from gateway.webhooks.payload import build_payload
from pipeline.settings import Settings
from pipeline.step_errors import log_errors
from storage.webhooks import WebhookEndpoint

EndEvent = Literal["job.done", "job.failed", "job.dead", "job.cancelled", "job.expired"]
TYPES: list[str] = list(get_args(EndEvent))
MAX_POSITION_CHARACTERS = 150

log = structlog.get_logger("gateway")
router = Router(tags=["webhooks"])


@router.get(
    "/events",
    summary="Stream the events of all jobs",
    response_class=StreamingResponse,
    operation_id="stream_events",
    responses={
        200: {
            "description": "The events",
            "content": {MEDIA_TYPE: {}},
            "headers": answer_headers("Cache-Control"),
        },
    },
)
async def stream_events(  # noqa: PLR0913, PLR0917  # FastAPI injects by parameter
    request: Request,
    feed: EventFeedDep,
    settings: SettingsDep,
    permission: PermissionDep,
    has_slot: StreamSlot,
    events: Annotated[list[EndEvent] | None, Query(description="Only events of these types; repeat it.")] = None,
    thin: Annotated[bool, Query(description="Send the same as to a webhook that is `thin`.")] = False,  # noqa: FBT002
    last_event_id: Annotated[
        str | None,
        Header(
            description="The id of the last event that the client has received.", max_length=MAX_POSITION_CHARACTERS
        ),
    ] = None,
) -> Response:
    """Send each event of the caller's jobs as it happens, with the payload that webhooks get.

    This is for development, and for small setups: a stream needs no address that the gateway can reach. Events are
    named by their type; the id of an event ends with its `webhook-id`, after the first dot. With `Last-Event-ID`, the
    stream goes on there; the events of the last seconds before may come once more. Without it, it begins now. Use
    webhooks where no event may be lost: the events of a job that is retried, reprocessed or removed while no stream is
    open do not come later. A stream that ends is to be opened again, after the time in `retry`.
    """
    if not has_slot:
        return end_stream_early()
    reader = feed.create_reader(permission.owner, list(events or TYPES), parse_position(last_event_id or ""))
    endpoint = WebhookEndpoint(id="events", owner=permission.owner, url="", is_thin=thin)
    stream = _stream(feed, reader, endpoint, settings) if request.method == "GET" else ()
    return StreamingResponse(stream, media_type=MEDIA_TYPE, headers=HEADERS)


async def _stream(
    feed: EventFeed, reader: EventReader, endpoint: WebhookEndpoint, settings: Settings
) -> AsyncIterator[bytes]:
    """Yield what to send. It ends when the database does not answer: the client opens the stream again."""
    yield format_sse_event(retry=RETRY_MS)
    mark_at = monotonic()
    with feed.watch(endpoint.owner) as topic:
        try:
            if not reader.is_resumed:
                await reader.skip()
            while not topic.is_closed:
                rounds = topic.rounds
                async for found in reader.read():
                    payload = ""
                    with log_errors(log, "build_payload", task_id=found.job.id):
                        payload = build_payload(found.job, found.event, endpoint, settings=settings)
                    if payload:
                        yield format_sse_event(event=found.event.type, id=str(found.position), data_str=payload)
                        mark_at = monotonic() + HEARTBEAT_SECONDS
                if monotonic() >= mark_at:  # no event, only where to go on: what happens meanwhile is not missed
                    yield format_sse_event(id=str(reader.position))
                    mark_at = monotonic() + HEARTBEAT_SECONDS
                await topic.wait_for_round(rounds, mark_at - monotonic())
        except PyMongoError as error:
            log.warning("dependency.failed", path="/events", error=repr(error))
