"""Hand a job to the broker, off the event loop, without ever failing the caller."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from pipeline import canvas
from storage.documents import Job, JobRecord
from storage.errors import TRANSIENT
from storage.jobs import Jobs

log = structlog.get_logger("pipeline")


async def send(jobs: Jobs, job: Job) -> None:
    """Publish a job behind its answer; when the broker does not take it, have the sweeper do so as soon as it can."""
    if not await dispatch(job):
        with suppress(*TRANSIENT):  # the sweeper finds it by itself, a little later
            await jobs.hasten(job.id)


async def dispatch(job: JobRecord) -> bool:
    """Publish the job's canvas; False when the broker does not take it, for the caller to have it tried again."""
    try:
        await asyncio.to_thread(canvas.submit, job)
    except (OperationalError, RedisError, OSError) as error:
        log.warning(
            "job.undispatched",
            task_id=job.id,
            generation=job.generation,
            error=repr(error),
        )
        return False
    log.info("job.dispatched", task_id=job.id, generation=job.generation)
    return True
