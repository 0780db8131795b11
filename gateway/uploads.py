"""Uploads: the image goes to a blob, the job is noted down, the answer goes out, the canvas follows."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from fastapi import APIRouter, BackgroundTasks, Request, Response, status
from uuid_utils.compat import uuid7

from gateway.dependencies import BlobsDep, JobsDep, SettingsDep
from gateway.intake import FIELD, receive
from gateway.problems import NotAcceptedForm
from gateway.schemas import Accepted, Links
from pipeline.dispatch import dispatch
from pipeline.settings import Settings
from pipeline.steps import steps
from storage.blobs import Blobs
from storage.clock import now_ms
from storage.documents import (
    Job,
    Operation,
    Original,
    StageRecord,
    blob_key,
    job_folder,
)
from storage.jobs import Jobs

POLL_SECONDS = 1
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {
                        FIELD: {
                            "type": "string",
                            "contentMediaType": "application/octet-stream",
                        }
                    },
                }
            }
        },
    }
}

router = APIRouter(tags=["uploads"])
log = structlog.get_logger("gateway")


@router.post("/upload", status_code=status.HTTP_202_ACCEPTED, openapi_extra=BODY)
async def upload(
    request: Request,
    response: Response,
    background: BackgroundTasks,
    settings: SettingsDep,
    jobs: JobsDep,
    blobs: BlobsDep,
) -> Accepted:
    """Accept one photo and answer at once; its previews are made behind the answer."""
    task_id = str(uuid7())
    original = await _intake(request, blobs, settings, task_id)
    job = _new_job(task_id, original, settings)
    await jobs.accept(job)
    log.info("job.accepted", task_id=task_id, bytes=original.bytes)
    background.add_task(_dispatch, jobs, job)
    links = Links.of(task_id)
    response.headers["Location"] = links.status
    response.headers["Retry-After"] = str(POLL_SECONDS)
    return Accepted(task_id=task_id, status=job.state, links=links)


async def _intake(request: Request, blobs: Blobs, settings: Settings, task_id: str) -> Original:
    try:
        original, fields = await receive(request, blobs, key=blob_key(task_id, "original"), limits=settings.limits)
        _check_fields(fields)
    except BaseException:  # refused, broken off or cancelled: no job will own what was written
        await asyncio.shield(asyncio.to_thread(blobs.remove_folder, job_folder(task_id)))
        raise
    return original


def _check_fields(fields: dict[str, str]) -> None:
    if fields:
        raise NotAcceptedForm(f"Unknown fields: {', '.join(sorted(fields))}.")


def _new_job(task_id: str, original: Original, settings: Settings) -> Job:
    now = now_ms()
    names = [name for step in steps(settings.renditions) for name in step]
    stages = {name: StageRecord() for name in names}
    stages["validate"].queued_ms = now
    return Job(
        id=task_id,
        kind="previews",
        original=original,
        operation=Operation(renditions=settings.renditions),
        stages=stages,
        next_dispatch_ms=now + int(settings.sweeper.accept_patience * 1000),
    )


async def _dispatch(jobs: Jobs, job: Job) -> None:
    """Publish after the answer: the job is safe in its document, and a broker that is away delays nobody."""
    if not await dispatch(job):
        await jobs.hasten(job.id)
