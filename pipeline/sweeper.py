"""The sweeper: redispatches jobs that make no progress."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from prometheus_client import CollectorRegistry

from pipeline.blob_reserve import has_room_for_master, has_room_for_original
from pipeline.context import job_log_context
from pipeline.dispatch import dispatch
from pipeline.dispatch_metrics import DispatchMetrics
from pipeline.lanes import queue_of_message
from pipeline.metrics import SweeperMetrics
from pipeline.queues.queues import Queues
from pipeline.routing import FETCH, NORMALIZE
from pipeline.settings import Settings
from pipeline.stage_order import has_stage, prerequisites, stage_order_of
from pipeline.step_errors import log_errors
from storage.clock import now_ms
from storage.documents import LEASE_MARGIN_MS, Failure, Job, JobState, StageState
from storage.stores import Stores

log = structlog.get_logger("sweeper")


class Sweeper:
    """One loop in each gateway. Replicas share the work by compare-and-set, so any number may run."""

    def __init__(
        self,
        stores: Stores,
        queues: Queues,
        settings: Settings,
        metrics: SweeperMetrics | None = None,
        dispatches: DispatchMetrics | None = None,
        *,
        on_end: Callable[[], object] = lambda: None,
    ) -> None:
        """`on_end` is called when the sweeper has ended a job."""
        self._jobs = stores.jobs
        self._blobs = stores.blobs
        self._queues = queues
        self._settings = settings
        self._on_end = on_end
        self._metrics = metrics or SweeperMetrics(CollectorRegistry())
        self._dispatches = dispatches or DispatchMetrics(CollectorRegistry())
        self._claim_timeout_ms = int(settings.sweeper.accept_patience * 1000)
        self._longest_lease_ms = int(settings.work.time_limit * 1000) + LEASE_MARGIN_MS

    async def run(self) -> None:
        """Run rounds until cancelled."""
        while True:
            await self.sweep()
            await asyncio.sleep(self._settings.sweeper.interval)

    async def sweep(self) -> None:
        """Run one round. Errors are logged; later rounds retry."""
        with log_errors(log, "dispatch_due"):
            await self.dispatch_due()
            self._metrics.record_round()

    async def dispatch_due(self) -> None:
        """Redispatch, postpone or give up each job that is due."""
        due = await self._jobs.find_due(limit=self._settings.sweeper.batch)
        if not due:
            return
        await self._queues.ping()  # raises when the broker is down or full: that must not use up redispatches
        for job in due:
            with job_log_context(job), log_errors(log, "redispatch", task_id=job.id):  # one bad job stops no other
                await self._redispatch_or_postpone(job)

    async def _redispatch_or_postpone(self, job: Job) -> None:
        now, sweeper = now_ms(), self._settings.sweeper
        is_held = job.has_live_lease(now, latest_ms=now + self._longest_lease_ms)
        if is_held or await self._is_queued(job) or await self._waits_for_room(job):
            await self._jobs.postpone(job, until_ms=now + int(sweeper.patience * 1000))
        elif job.redispatches >= sweeper.max_generation:
            failure = Failure(
                stage=None,
                code="dispatches_exhausted",
                message="The job was sent to the workers too many times and did not finish.",
            )
            if await self._jobs.mark_dead(job, failure):
                self._metrics.job_ends.observe_end(job, JobState.DEAD)
                self._on_end()
                event = "job.dead" if job.previous is None else "reprocess.failed"
                log.error(event, task_id=job.id, generation=job.generation)
        else:
            await self._redispatch(job)

    async def _redispatch(self, job: Job) -> None:
        next_dispatch_ms = now_ms() + self._settings.sweeper.backoff_ms(job.redispatches + 1)
        redispatched = await self._jobs.redispatch(job, next_dispatch_ms=next_dispatch_ms)
        if redispatched is None:
            return
        if await dispatch(redispatched, self._dispatches):
            self._metrics.count_redispatch(job)
        else:
            await self._jobs.undo_redispatch(
                redispatched, dispatched_ms=job.dispatched_ms, next_dispatch_ms=now_ms() + self._claim_timeout_ms
            )

    async def _waits_for_room(self, job: Job) -> bool:
        """Whether the disk has no room for the job's original or master: that must not use up redispatches either."""
        if has_stage(job, FETCH) and job.stages[FETCH].state is not StageState.DONE:
            blobs, size = self._settings.blobs, self._settings.limits.raised_to(job.limits).upload_bytes
            return not await asyncio.to_thread(has_room_for_original, self._blobs, blobs, size)
        normalize = job.stages.get(NORMALIZE)
        if normalize is None or normalize.state is StageState.DONE:
            return False
        return not await asyncio.to_thread(has_room_for_master, self._blobs, self._settings.blobs)

    async def _is_queued(self, job: Job) -> bool:
        """Whether a message of the job may still wait: a queue on its way has an oldest message about as old, or older.

        These are the queues of the unfinished stages and of all stages before them.
        """
        order = stage_order_of(job)
        unfinished = [name for name, record in job.stages.items() if record.state is not StageState.DONE]
        earlier = {name for stage in unfinished for name in prerequisites(order, stage)}
        times_ms = [job.dispatched_ms, *(job.stages[name].queued_ms or 0 for name in unfinished)]
        sent_ms = max((ms for ms in times_ms if ms <= now_ms()), default=0)  # later: before the clock was set back
        for queue in sorted({queue_of_message(job, name) for name in earlier.union(unfinished)}):
            oldest_ms = await self._queues.read_oldest_message_ms(queue)
            if oldest_ms is not None and oldest_ms <= sent_ms + self._claim_timeout_ms:
                return True
        return False
