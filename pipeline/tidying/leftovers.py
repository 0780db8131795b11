"""Removes what ended jobs do not need: blobs that no stage recorded, unfinished writes, and replaced results."""

from __future__ import annotations

from dataclasses import replace

import structlog

from pipeline.context import job_log_context
from pipeline.tidying.context import TidyContext
from storage.clock import now_ms
from storage.documents import Job, JobRecord, JobState, StageState, job_folder, result_blobs
from storage.errors import JobNotFound

MAX_LOOK_BACK_MS = 86_400_000
"""The leftovers of jobs that ended so long before the others go with the job's other blobs."""
STATES = (JobState.DONE, JobState.FAILED, JobState.DEAD)

log = structlog.get_logger("tidier")


class Leftovers:
    """A step of the tidier that looks at each job once after each end, when no run of it can still write."""

    def __init__(self, context: TidyContext) -> None:
        self._context = context

    async def remove_leftovers(self) -> bool:
        """Handle one batch of jobs. Return whether there is more to do now."""
        context, now = self._context, now_ms()
        before_ms = now - context.settings.leftover_grace_ms
        after_ms = max(context.progress.leftovers_until_ms, before_ms - MAX_LOOK_BACK_MS)
        jobs, next_ms = await context.read_ended(STATES, after_ms=after_ms, before_ms=before_ms)
        suspects = [job for job in jobs if may_have_leftovers(job)]
        failures = await context.for_each(suspects, self._remove_leftovers_of)
        if suspects and failures == len(suspects):
            return False  # the store is away: look at them again when it is back
        await context.record(replace(context.progress, leftovers_until_ms=next_ms or max(after_ms, before_ms - 1)))
        return next_ms is not None

    async def _remove_leftovers_of(self, job: Job) -> None:
        context, folder = self._context, job_folder(job.id)
        names = await context.call(context.blobs.list_all_names, folder)
        leftovers = set(names) - recorded_names(job)
        if not leftovers or await self._has_changed(job):  # read after the listing: later runs write other names
            return
        await context.call(context.blobs.remove, folder, leftovers)
        with job_log_context(job):
            log.info("leftovers.removed", task_id=job.id, names=sorted(leftovers))

    async def _has_changed(self, job: Job) -> bool:
        try:
            return (await self._context.jobs.get(job.id)).finished_ms != job.finished_ms
        except JobNotFound:
            return True


def may_have_leftovers(job: JobRecord) -> bool:
    """Whether a run ended without a record, as it died, was fenced, or its stage was released; or a revision did."""
    recorded = (StageState.DONE, StageState.FAILED)
    return job.revision > 0 or any(record.attempts > (record.state in recorded) for record in job.stages.values())


def recorded_names(job: JobRecord) -> set[str]:
    """Return the names of the original and of the blobs that stages recorded: a retry needs them."""
    stages = [*job.stages.values(), *(job.previous.stages.values() if job.previous else ())]
    keys = {job.original.blob}.union(*(result_blobs(record.result) for record in stages))
    return {key.removeprefix(f"{job_folder(job.id)}/") for key in keys}
