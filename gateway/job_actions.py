"""What a person does with a job that exists: retry it, cancel it, delete it. One by one, or many in a bulk action."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import asdict

import structlog

from gateway.metrics import GatewayMetrics
from gateway.problems import NotRetryable
from gateway.webhooks.announcer import Announcer
from pipeline.job_removal import remove_images, remove_job
from pipeline.settings import Settings
from storage.clock import now_ms
from storage.documents import Job, JobState, Lane, job_folder
from storage.jobs import Jobs
from storage.stores import Stores

RETRYABLE_STATES = (JobState.DEAD, JobState.FAILED)

log = structlog.get_logger("gateway")


async def retry_job(job: Job, *, jobs: Jobs, announcer: Announcer, settings: Settings, lane: Lane | None = None) -> Job:
    """Reset a dead or failed job for a retry and return it; the caller dispatches it. Raises `NotRetryable`."""
    next_dispatch_ms = now_ms() + int(settings.sweeper.accept_patience * 1000)
    retried = None
    if job.state in RETRYABLE_STATES:
        await announcer.announce(job)
        limits = asdict(settings.limits.raised_to(job.limits))
        retried = await jobs.retry(job, next_dispatch_ms=next_dispatch_ms, lane=lane, limits=limits)
    if retried is None and job.reprocess_failure is not None:
        raise NotRetryable("This job is done: its last reprocessing failed. To try it again, reprocess the job.")
    if retried is None:
        raise NotRetryable(
            f"This job cannot be retried; its state is {job.state}. Only a dead or failed job that still has its "
            "blobs can be retried. To process the image again, submit it as a new job."
        )
    log.info("job.retried", task_id=job.id, job_request_id=job.request_id, generation=retried.generation)
    return retried


async def cancel_job(job: Job, *, stores: Stores, announcer: Announcer, metrics: GatewayMetrics) -> bool:
    """Cancel an active job, remove its blobs and its images on demand; False if it has ended.

    A run of the job may still write, so it counts as one with blobs until the tidier has looked again.
    """
    while not await stores.jobs.cancel(job):
        job = await stores.jobs.get(job.id)  # it has just ended, or been retried
        if not job.is_active:
            return False
    announcer.wake()
    _observe_cancelled([job, *await remove_images(job, stores)], metrics)
    await asyncio.to_thread(stores.blobs.remove_folder, job_folder(job.id))
    log.info("job.cancelled", task_id=job.id, job_request_id=job.request_id)
    return True


async def delete_job(job: Job, *, stores: Stores, announcer: Announcer, metrics: GatewayMetrics) -> None:
    """Cancel an active job, or remove an ended one with its blobs and its document; and its images on demand."""
    _observe_cancelled(await remove_job(job, stores, announce=announcer.announce), metrics)
    announcer.wake()


def _observe_cancelled(jobs: Iterable[Job], metrics: GatewayMetrics) -> None:
    for job in jobs:
        metrics.sweeper.job_ends.observe_end(job, JobState.CANCELLED)
