"""Removes what ended jobs do not need: blobs that no stage recorded, unfinished writes, and replaced results."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import structlog

from pipeline.context import job_log_context
from pipeline.tidying.context import TidyContext
from storage.clock import now_ms
from storage.documents import Job, JobRecord, JobState, StageState, job_folder, result_blobs
from storage.errors import JobNotFound

MAX_LOOK_BACK_MS = 86_400_000
"""The leftovers of jobs that ended so long before the others go with the job's other blobs."""
LATE_LOOK_MS = 86_400_000
"""How much later each job is looked at again: a frozen run may have woken up since, and been killed as it wrote."""
STATES = (JobState.DONE, JobState.FAILED, JobState.DEAD)

log = structlog.get_logger("tidier")


class Leftovers:
    """Steps of the tidier that look at each job after each end, when no run of it should still write, and a day later.

    Each handles one batch and returns whether there is more to do now.
    """

    def __init__(self, context: TidyContext) -> None:
        self._context = context

    async def remove_leftovers(self) -> bool:
        """Remove what runs have left that were killed, or that were fenced."""
        return await self._look("leftovers_until_ms", age_ms=self._context.settings.leftover_grace_ms)

    async def remove_late_leftovers(self) -> bool:
        """Remove what runs have left that woke up after the first look."""
        age_ms = self._context.settings.leftover_grace_ms + LATE_LOOK_MS
        return await self._look("late_leftovers_until_ms", age_ms=age_ms)

    async def _look(self, progress: Literal["leftovers_until_ms", "late_leftovers_until_ms"], *, age_ms: int) -> bool:
        """Handle one batch of jobs that ended so long ago. `progress` names how far these looks have come."""
        context = self._context
        before_ms = now_ms() - age_ms
        after_ms = max(getattr(context.progress, progress), before_ms - MAX_LOOK_BACK_MS)
        jobs, next_ms = await context.read_ended(STATES, after_ms=after_ms, before_ms=before_ms)
        suspects = [job for job in jobs if may_have_leftovers(job)]
        failures = await context.for_each(suspects, self._remove_leftovers_of)
        if suspects and failures == len(suspects):
            return False  # the store is away: look at them again when it is back
        await context.record(replace(context.progress, **{progress: next_ms or max(after_ms, before_ms - 1)}))
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
