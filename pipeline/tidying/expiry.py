"""Removes the blobs of jobs whose retention has ended, and later their documents."""

from __future__ import annotations

import structlog

from pipeline.context import job_log_context
from pipeline.job_removal import remove_images
from pipeline.tidying.context import TidyContext
from storage.clock import now_ms
from storage.documents import Job, JobState, Kind, job_folder

log = structlog.get_logger("tidier")


class Expiry:
    """Steps of the tidier. Each handles one batch and returns whether there is more to do now."""

    def __init__(self, context: TidyContext) -> None:
        self._context = context
        self._after_ms: dict[tuple[JobState, ...], int] = {}

    async def remove_cancelled(self) -> bool:
        """Remove what DELETE, or a run that was killed after it, left of cancelled jobs."""
        return await self._expire_batch(JobState.CANCELLED, age_ms=self._context.settings.run_grace_ms)

    async def remove_expired(self) -> bool:
        """Remove the blobs of done and dead jobs."""
        age_ms = int(self._context.settings.retention.results * 1000)
        return await self._expire_batch(JobState.DONE, JobState.DEAD, age_ms=age_ms)

    async def remove_refused(self) -> bool:
        """Remove the blobs of failed jobs."""
        return await self._expire_batch(JobState.FAILED, age_ms=int(self._context.settings.retention.refused * 1000))

    async def remove_documents(self) -> bool:
        """Delete the documents of jobs whose blobs were removed long ago."""
        settings = self._context.settings
        before_ms, limit = now_ms() - int(settings.retention.records * 1000), settings.sweeper.batch
        return await self._context.jobs.delete_expired(before_ms=before_ms, limit=limit) == limit

    async def remove_expired_keys(self) -> bool:
        """Remove expired idempotency keys."""
        await self._context.keys.delete_expired()
        return False

    async def remove_expired_token_uses(self) -> bool:
        """Remove the counts of tokens that have expired."""
        await self._context.token_uses.delete_expired()
        return False

    async def remove_bulk_actions(self) -> bool:
        """Delete bulk actions that ended long ago."""
        settings = self._context.settings
        before_ms, limit = now_ms() - int(settings.retention.records * 1000), settings.sweeper.batch
        return await self._context.bulk_actions.delete_ended(before_ms=before_ms, limit=limit) == limit

    async def remove_deliveries(self) -> bool:
        """Delete deliveries of webhooks that ended long ago, or that nobody has taken for as long."""
        settings = self._context.settings
        before_ms, limit = now_ms() - int(settings.retention.records * 1000), settings.sweeper.batch
        return await self._context.deliveries.delete_ended(before_ms=before_ms, limit=limit) == limit

    async def _expire_batch(self, *states: JobState, age_ms: int) -> bool:
        """Remove the blobs of one batch of jobs. Jobs that fail wait until all others had their turn."""
        after_ms = self._after_ms.pop(states, 0)
        jobs, next_ms = await self._context.read_ended(states, after_ms=after_ms, before_ms=now_ms() - age_ms)
        failures = await self._context.for_each(jobs, self._expire)
        if next_ms is None:
            return False
        self._after_ms[states] = next_ms if failures else after_ms  # the others are not found again
        return True

    async def _expire(self, job: Job) -> None:
        """Mark the job, remove its blobs, then record that. After a crash in between, a later round does it again.

        Its images on demand go with it. The document of such an image goes with its blobs: it can be made again.
        """
        context = self._context
        with job_log_context(job):
            if not await context.jobs.mark_expiring(job):
                return
            await remove_images(job, context.stores, call=context.call)
            await context.call(context.blobs.remove_folder, job_folder(job.id))
            if job.kind is Kind.IMAGE:
                await context.jobs.remove(job.id)
            else:
                await context.jobs.mark_blobs_removed(job)
            log.info("blobs.removed", task_id=job.id, state=job.state)
