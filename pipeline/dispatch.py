"""Dispatch a job in a thread, without raising the broker's errors."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog

from pipeline import canvas, context, traces
from pipeline.broker.transport import BROKER_ERRORS
from pipeline.dispatch_metrics import DispatchMetrics
from storage.documents import Job, JobRecord
from storage.errors import TRANSIENT_ERRORS
from storage.jobs import Jobs

log = structlog.get_logger("pipeline")


async def dispatch_or_schedule(jobs: Jobs, job: Job, metrics: DispatchMetrics) -> None:
    """Publish a job after its response is sent; when the broker does not accept it, schedule the sweeper to do so."""
    if not await dispatch(job, metrics):
        with suppress(*TRANSIENT_ERRORS):  # the sweeper finds the job anyway, a little later
            await jobs.schedule_dispatch(job.id)


async def dispatch(job: JobRecord, metrics: DispatchMetrics) -> bool:
    """Publish the job's canvas; False when the broker does not accept it, so that the caller can schedule a retry."""
    with context.job_log_context(job):
        try:
            await asyncio.to_thread(_publish_canvas, job)
        except BROKER_ERRORS as error:
            metrics.count(is_sent=False)
            log.warning("job.undispatched", generation=job.generation, error=repr(error))
            return False
        metrics.count(is_sent=True)
        log.info("job.dispatched", generation=job.generation)
        return True


def _publish_canvas(job: JobRecord) -> None:
    with context.propagate_job_headers(job), traces.continue_trace(job.traceparent):
        canvas.publish_canvas(job)
