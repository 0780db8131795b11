"""Hand a job to the broker, off the event loop, without ever failing the caller."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog

from pipeline import canvas, context, traces
from pipeline.broker.transport import AWAY
from storage.documents import Job, JobRecord
from storage.errors import TRANSIENT
from storage.jobs import Jobs

log = structlog.get_logger("pipeline")


async def send(jobs: Jobs, job: Job) -> None:
    """Publish a job behind its answer; when the broker does not take it, have the sweeper do so as soon as it can."""
    if not await dispatch(job):
        with suppress(*TRANSIENT):  # the sweeper finds it by itself, a little later
            await jobs.schedule_dispatch(job.id)


async def dispatch(job: JobRecord) -> bool:
    """Publish the job's canvas; False when the broker does not take it, for the caller to have it tried again."""
    with context.lines_of(job):
        try:
            await asyncio.to_thread(_submit, job)
        except AWAY as error:
            log.warning("job.undispatched", generation=job.generation, error=repr(error))
            return False
        log.info("job.dispatched", generation=job.generation)
        return True


def _submit(job: JobRecord) -> None:
    with context.messages_of(job), traces.joined(job.traceparent):
        canvas.submit(job)
