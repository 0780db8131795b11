"""Removes a job with the images that were made of it on demand, for those who delete jobs and for the tidier."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import structlog

from storage.documents import Job, Kind, job_folder
from storage.errors import JobNotFound
from storage.stores import Stores

Call = Callable[..., Awaitable[Any]]
"""Calls a function that blocks in a thread."""
Announce = Callable[[Job], Awaitable[None]]
"""Hands over all events of a job, so that its outbox is empty."""

log = structlog.get_logger("pipeline")


async def remove_job(job: Job, stores: Stores, *, announce: Announce, call: Call = asyncio.to_thread) -> list[Job]:
    """Cancel an active job and remove its blobs, or remove an ended one with its blobs and its document.

    The same happens to its images. Return the jobs that were active: a run of one may still write, so its document
    stays, as that of a job with blobs, until the tidier has looked again. Raises `JobNotFound`.
    """
    was_active = await _cancel_or_mark_expiring(job, stores)
    cancelled = [job] if was_active else []
    cancelled += await remove_images(job, stores, call=call)  # now: who makes one looks at this job afterwards
    await call(stores.blobs.remove_folder, job_folder(job.id))
    if not was_active:
        await _remove_document(job.id, stores, announce)
    log.info("job.cancelled" if was_active else "job.removed", task_id=job.id, job_request_id=job.request_id)
    return cancelled


async def remove_images(job: Job, stores: Stores, *, call: Call = asyncio.to_thread) -> list[Job]:
    """Remove the images of a job that is cancelled or marked as expiring. Return those that were active."""
    cancelled: list[Job] = []
    if job.kind is Kind.IMAGE:
        return cancelled
    for image in await stores.jobs.find_children(job.id):
        try:
            cancelled += await remove_image(image, stores, call=call)
        except JobNotFound:
            continue
    return cancelled


async def remove_image(image: Job, stores: Stores, *, call: Call = asyncio.to_thread) -> list[Job]:
    """Remove an image on demand as `remove_job` does. It has no events. Return it if it was active."""
    was_active = await _cancel_or_mark_expiring(image, stores)
    await call(stores.blobs.remove_folder, job_folder(image.id))
    if not was_active:
        await stores.jobs.remove(image.id)
    log.info("job.cancelled" if was_active else "job.removed", task_id=image.id, job_request_id=image.request_id)
    return [image] if was_active else []


async def remove_lost_image(image: Job, stores: Stores) -> None:
    """Remove an image whose blob is gone, so that it is made again; nothing if it has been, meanwhile."""
    if await stores.jobs.mark_expiring(image):
        await asyncio.to_thread(stores.blobs.remove_folder, job_folder(image.id))
        await stores.jobs.remove(image.id)
        log.warning("image.lost", task_id=image.id)


async def _remove_document(job_id: str, stores: Stores, announce: Announce) -> None:
    """Delete the document of a job that is marked as expiring, once its events are handed over.

    The tidier may record one more meanwhile. A job that is active is another one with the same id: an image.
    """
    with suppress(JobNotFound):
        while not await stores.jobs.remove(job_id):
            job = await stores.jobs.get(job_id)
            if job.is_active:
                return
            await announce(job)


async def _cancel_or_mark_expiring(job: Job, stores: Stores) -> bool:
    """Take an active job from its runs, or an ended one from retries. Return whether it was active."""
    while True:
        if job.is_active and await stores.jobs.cancel(job):
            return True
        if not job.is_active and await stores.jobs.mark_expiring(job):
            return False
        job = await stores.jobs.get(job.id)  # it has just ended, or been retried
