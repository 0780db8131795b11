"""Hand a job to the broker, off the event loop, without ever failing the caller."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog

from pipeline import canvas, context, traces
from pipeline.broker.transport import BROKER_ERRORS
from storage.documents import Job, JobRecord
from storage.errors import TRANSIENT_ERRORS
from storage.jobs import Jobs

log = structlog.get_logger("pipeline")


async def dispatch_or_schedule(jobs: Jobs, job: Job) -> None:
    """Publish a job behind its answer; when the broker does not take it, have the sweeper do so as soon as it can."""
    if not await dispatch(job):
        with suppress(*TRANSIENT_ERRORS):  # the sweeper finds it by itself, a little later
            await jobs.schedule_dispatch(job.id)


async def dispatch(job: JobRecord) -> bool:
    """Publish the job's canvas; False when the broker does not take it, for the caller to have it tried again."""
    with context.job_log_context(job):
        try:
            await asyncio.to_thread(_publish_canvas, job)
        except BROKER_ERRORS as error:
            log.warning("job.undispatched", generation=job.generation, error=repr(error))
            return False
        log.info("job.dispatched", generation=job.generation)
        return True


def _publish_canvas(job: JobRecord) -> None:
    with context.propagate_job_headers(job), traces.continue_trace(job.traceparent):
        canvas.publish_canvas(job)
