"""The sweeper: redispatches jobs that make no progress, and removes expired results, documents, keys and orphans."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

import structlog
from prometheus_client import CollectorRegistry

from pipeline.broker.transport import BROKER_ERRORS
from pipeline.context import job_log_context
from pipeline.dispatch import dispatch
from pipeline.metrics import SweeperMetrics
from pipeline.queues.queues import Queues
from pipeline.routing import lane_queue
from pipeline.settings import Settings
from pipeline.stage_order import prerequisites, queue_of_stage, stage_order_of
from storage.clock import now_ms
from storage.documents import Failure, Job, JobState, StageState, job_folder
from storage.errors import TRANSIENT_ERRORS
from storage.stores import Stores

JOB_ID_VERSION = 7
ORPHAN_CHECK_GRACE_SHARE = 0.25
"""How often to look for orphans, as a share of their grace period."""

log = structlog.get_logger("sweeper")


class Sweeper:
    """One loop in each gateway. Replicas share the work by compare-and-set, so any number may run."""

    def __init__(
        self, stores: Stores, queues: Queues, settings: Settings, metrics: SweeperMetrics | None = None
    ) -> None:
        self._jobs = stores.jobs
        self._blobs = stores.blobs
        self._keys = stores.idempotency_keys
        self._queues = queues
        self._settings = settings
        self._metrics = metrics or SweeperMetrics(CollectorRegistry())
        self._claim_timeout_ms = int(settings.sweeper.accept_patience * 1000)
        self._tidy_due_ms = 0
        self._orphans_due_ms = 0

    async def run(self) -> None:
        """Run rounds until cancelled."""
        while True:
            await self.sweep()
            await asyncio.sleep(self._settings.sweeper.interval)

    async def sweep(self) -> None:
        """Run one round: dispatch due jobs, and at longer intervals clean up. Errors are logged; later rounds retry."""
        with _log_errors("dispatch_due"):
            await self.dispatch_due()
            self._metrics.record_round()
        if now_ms() < self._tidy_due_ms:
            return
        self._tidy_due_ms = now_ms() + int(self._settings.sweeper.tidy_interval * 1000)
        steps = [self.remove_leftovers, self.remove_expired, self.remove_expired_keys]
        if now_ms() >= self._orphans_due_ms:  # lists the folders of all jobs, which an object store may charge for
            self._orphans_due_ms = now_ms() + int(self._settings.sweeper.orphan_grace * 1000 * ORPHAN_CHECK_GRACE_SHARE)
            steps.append(self.remove_orphans)
        for step in steps:
            with _log_errors(step.__name__):
                await step()

    async def dispatch_due(self) -> None:
        """Redispatch, postpone or give up each job that is due."""
        due = await self._jobs.find_due(limit=self._settings.sweeper.batch)
        if not due:
            return
        await self._queues.ping()  # raises when the broker is down: an outage must not use up redispatches
        for job in due:
            with job_log_context(job), _log_errors("redispatch", task_id=job.id):  # one bad job must not stop the rest
                await self._redispatch_or_postpone(job)

    async def remove_leftovers(self) -> None:
        """Remove blobs of cancelled jobs that a process left because it died before it removed them."""
        await self._remove_blobs([JobState.CANCELLED], int(self._settings.sweeper.refused_grace * 1000))

    async def remove_expired(self) -> None:
        """Remove the blobs of jobs whose retention has ended, and later their documents."""
        keep = self._settings.retention
        await self._remove_blobs([JobState.DONE, JobState.DEAD], int(keep.results * 1000))
        await self._remove_blobs([JobState.FAILED], int(keep.refused * 1000))
        await self._jobs.delete_expired(before_ms=now_ms() - int(keep.records * 1000))

    async def remove_orphans(self) -> None:
        """Remove old folders without a job: their uploads were interrupted before the document was inserted."""
        now, sweeper = now_ms(), self._settings.sweeper
        pages = self._blobs.read_folder_pages()
        while folders := await asyncio.to_thread(next, pages, None):
            old = [folder for folder in folders if _created_ms(folder) < now - sweeper.orphan_grace * 1000]
            for folder in await self._jobs.find_missing(old):
                await asyncio.to_thread(self._blobs.remove_folder, folder)
                log.info("orphan.removed", folder=folder)

    async def remove_expired_keys(self) -> None:
        """Remove expired idempotency keys."""
        await self._keys.delete_expired()

    async def _redispatch_or_postpone(self, job: Job) -> None:
        now, sweeper = now_ms(), self._settings.sweeper
        if job.has_live_lease(now) or await self._is_queued(job):
            await self._jobs.postpone(job, until_ms=now + int(sweeper.patience * 1000))
        elif job.redispatches >= sweeper.max_generation:
            failure = Failure(
                stage=None,
                code="dispatches_exhausted",
                message="The job was sent to the workers too many times and did not finish.",
            )
            if await self._jobs.mark_dead(job, failure):
                self._metrics.job_ends.observe_end(job, JobState.DEAD)
                log.error("job.dead", task_id=job.id, generation=job.generation)
        else:
            await self._redispatch(job)

    async def _redispatch(self, job: Job) -> None:
        next_dispatch_ms = now_ms() + self._settings.sweeper.backoff_ms(job.redispatches + 1)
        redispatched = await self._jobs.redispatch(job, next_dispatch_ms=next_dispatch_ms)
        if redispatched is None:
            return
        if await dispatch(redispatched):
            self._metrics.count_redispatch(job)
        else:
            await self._jobs.undo_redispatch(
                redispatched, dispatched_ms=job.dispatched_ms, next_dispatch_ms=now_ms() + self._claim_timeout_ms
            )

    async def _is_queued(self, job: Job) -> bool:
        """Whether a message of the job may still wait: a queue on its way has an oldest message about as old, or older.

        These are the queues of the unfinished stages and of all stages before them.
        """
        order = stage_order_of(job)
        unfinished = [name for name, record in job.stages.items() if record.state is not StageState.DONE]
        earlier = {name for stage in unfinished for name in prerequisites(order, stage)}
        sent_ms = max([job.dispatched_ms, *(job.stages[name].queued_ms or 0 for name in unfinished)])
        for queue in sorted({lane_queue(queue_of_stage(name), job.lane) for name in earlier.union(unfinished)}):
            oldest_ms = await self._queues.read_oldest_message_ms(queue)
            if oldest_ms is not None and oldest_ms <= sent_ms + self._claim_timeout_ms:
                return True
        return False

    async def _remove_blobs(self, states: list[JobState], age_ms: int) -> None:
        before_ms, batch = now_ms() - age_ms, self._settings.sweeper.batch
        while ended := await self._jobs.find_with_blobs(states, before_ms=before_ms, limit=batch):
            for job in ended:
                if not await self._jobs.mark_expiring(job):
                    continue
                await asyncio.to_thread(self._blobs.remove_folder, job_folder(job.id))
                await self._jobs.mark_blobs_removed(job.id)
                with job_log_context(job):
                    log.info("blobs.removed", task_id=job.id, state=job.state)
            if len(ended) < batch:
                return


@contextmanager
def _log_errors(step: str, **details: str) -> Iterator[None]:
    """Log the error of a step instead of raising it."""
    try:
        yield
    except (*TRANSIENT_ERRORS, *BROKER_ERRORS) as error:
        log.warning("sweep.failed", step=step, error=repr(error), **details)
    except Exception:
        log.exception("sweep.broken", step=step, **details)


def _created_ms(folder: str) -> int:
    """Return the time in a folder's name: job ids are UUIDv7, which begin with epoch ms (RFC 9562, section 5.7)."""
    with suppress(ValueError):
        name = UUID(folder)
        if name.version == JOB_ID_VERSION and str(name) == folder:
            return name.int >> 80
    return now_ms()  # not a job's folder: never old enough to be removed
