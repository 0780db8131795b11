"""The runner of bulk actions: one loop in each gateway, which does a little of each action in turn."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Any
from uuid import uuid4

import structlog
from pydantic import ValidationError

from gateway.bulk.actions import STARTING_KINDS, JobActor
from gateway.bulk.batches import Batch, read_batch
from gateway.bulk.metrics import BulkMetrics
from gateway.bulk.pace import Pace
from gateway.bulk.presets import restore_presets
from gateway.bulk.progress import Progress
from gateway.metrics import GatewayMetrics
from gateway.problems import Problem
from gateway.submission.backpressure import Backlog
from gateway.webhooks.announcer import Announcer
from pipeline.queues.queues import Queues
from pipeline.settings import Settings
from pipeline.step_errors import log_errors
from storage.bulk_actions import BulkAction, BulkKind
from storage.clock import now_ms
from storage.documents import Job
from storage.errors import TRANSIENT_ERRORS, JobNotFound, JobUnreadable
from storage.stores import Stores

IDLE_SECONDS = 1.0
"""Wait between two looks for bulk actions while others carry these out, or the queues are long."""
REST_SECONDS = 5.0
"""Wait for a bulk action while there is none: another gateway begins its own at once."""
MAX_ACTIONS = 100
"""Bulk actions that a round takes in turn."""
MAX_JOB_ERRORS = 8
"""Rounds in which a store may fail at the same job, before the job counts as failed and the action goes on."""

log = structlog.get_logger("bulk")


class BulkRunner:
    """Takes bulk actions in turn, by lease, and carries out a batch of each: about a second's worth of jobs.

    A batch is first planned: one update moves the cursor, counts the jobs that need nothing, and names the others as
    pending. Then the action is carried out on these, and one update counts them. So a runner that dies between the two
    leaves the names of the jobs that it may have acted on, and the next one tells by each job whether it has.
    """

    def __init__(
        self, stores: Stores, queues: Queues, announcer: Announcer, settings: Settings, metrics: GatewayMetrics
    ) -> None:
        self._stores, self._queues, self._settings, self._metrics = stores, queues, settings, metrics
        self._announcer = announcer
        self._bulk_metrics: BulkMetrics = metrics.bulk
        self._holder = uuid4().hex
        self._pace = Pace(settings.bulk.rate)
        self._backlog = Backlog()
        self._errors: Counter[str] = Counter()
        self._idle_seconds = IDLE_SECONDS
        self._lease_ms = settings.bulk.lease_ms

    async def run(self) -> None:
        """Run rounds until cancelled."""
        has_new = self._stores.bulk_actions.has_new
        while True:
            has_new.clear()
            has_worked = await self.run_round()
            with suppress(TimeoutError):
                async with asyncio.timeout(0 if has_worked else self._idle_seconds):
                    await has_new.wait()

    async def run_round(self) -> bool:
        """Do a batch of each bulk action that nobody holds. Return whether there was any to do.

        Errors are logged; later rounds try again.
        """
        has_worked = False
        with log_errors(log, "find_bulk_actions"):
            actions = self._stores.bulk_actions
            active = await actions.count_active(limit=MAX_ACTIONS)
            self._bulk_metrics.set_active(active)
            self._idle_seconds = IDLE_SECONDS if active else REST_SECONDS
            for action in await actions.find_free(limit=MAX_ACTIONS) if active else ():
                with log_errors(log, "advance_bulk_action", bulk_id=action.id):
                    has_worked |= await self.advance(action)
        return has_worked

    async def advance(self, action: BulkAction) -> bool:
        """Do a batch of a bulk action. Return whether it was done, by this runner and in full."""
        try:
            presets = restore_presets(action.presets, edges=self._settings.renditions)
        except ValidationError:
            log.warning("bulk.unreadable", bulk_id=action.id)  # of a newer version, whose gateways carry it out
            return False
        if action.action in STARTING_KINDS and not action.dry_run and await self._is_backlog_long():
            return False
        held = await self._stores.bulk_actions.acquire(action, self._holder, lease_ms=self._lease_ms)
        if held is None:
            return False
        with structlog.contextvars.bound_contextvars(bulk_id=held.id):
            actor = JobActor(held, presets, self._stores, self._announcer, self._settings, self._metrics)
            return await self._do_batch(held, actor)

    async def _is_backlog_long(self) -> bool:
        return await self._backlog.read_longest(self._queues) >= self._settings.bulk.max_queue

    async def _do_batch(self, held: BulkAction, actor: JobActor) -> bool:
        is_left_by_another = bool(held.pending)
        planned = held if is_left_by_another else await self._plan(held, actor)
        if planned is None:
            return False
        carried_out = await self._carry_out(planned, actor, is_repeated=is_left_by_another) if planned.pending else None
        latest = carried_out or planned
        if latest.is_exhausted and not latest.pending and await self._stores.bulk_actions.finish(latest):
            log.info("bulk.done", action=latest.action, dry_run=latest.dry_run, **_sum_up(latest))
        return not latest.pending

    async def _plan(self, held: BulkAction, actor: JobActor) -> BulkAction | None:
        """Decide about the next jobs, and record that; None when another runner has taken over."""
        batch, progress = await read_batch(held, self._stores.jobs), Progress(held)
        pending: list[str] = []
        changes: dict[str, Any] = {"cursor": held.cursor}
        for job_id, job in batch.jobs.items():
            if len(pending) == self._settings.bulk.batch_jobs:
                break
            changes["cursor"] = job_id
            if job is None or actor.matches(job):
                _decide(job_id, job, actor, progress, pending)
        else:
            changes |= _end_of_batch(batch, changes["cursor"])
        changes |= {"pending": pending, "pending_since_ms": now_ms(), **progress.changes()}
        lease_ms = self._lease_ms if pending else 0
        planned = await self._stores.bulk_actions.record(held, changes, lease_ms=lease_ms)
        if planned and not held.dry_run:
            self._bulk_metrics.count_jobs(held.action, progress.outcomes)
        return planned

    async def _carry_out(self, planned: BulkAction, actor: JobActor, *, is_repeated: bool) -> BulkAction | None:
        """Act on the pending jobs, and record that; None when another runner has taken over.

        It stops at an error of a store, or when the lease is about to end: the rest stays pending.
        """
        progress, rest = Progress(planned), list(planned.pending)
        while rest and now_ms() < planned.lease_ms - self._settings.bulk.lease * 500:
            if not await self._act_once(rest[0], planned, actor, progress, is_repeated=is_repeated):
                break
            rest.pop(0)
        changes = {"pending": rest, **progress.changes()}
        carried_out = await self._stores.bulk_actions.record(planned, changes, lease_ms=0)
        if carried_out:
            self._bulk_metrics.count_jobs(planned.action, progress.outcomes)
        return carried_out

    async def _act_once(
        self, job_id: str, planned: BulkAction, actor: JobActor, progress: Progress, *, is_repeated: bool
    ) -> bool:
        """Act on a job, unless that was done before, and count it. False when a store fails: it is tried again."""
        try:
            is_done = await self._act(job_id, planned, actor, is_repeated=is_repeated)
        except TRANSIENT_ERRORS as error:
            self._errors[job_id] += 1
            log.warning("bulk.delayed", task_id=job_id, error=repr(error))
            if self._errors[job_id] < MAX_JOB_ERRORS:
                return False
            progress.count_failed(job_id, "unavailable", "A store failed at this job again and again.")
        except Problem as problem:
            progress.count_problem(job_id, problem)
        except JobNotFound:
            if planned.action is BulkKind.DELETE:
                progress.count_done()
            else:
                progress.count_failed(job_id, "job_not_found", "The job was removed meanwhile.")
        except JobUnreadable:
            progress.count_failed(job_id, "job_unreadable", "A newer version has stored this job.")
        except Exception:
            log.exception("bulk.broken", task_id=job_id)
            progress.count_failed(job_id, "internal_error", "The gateway failed unexpectedly at this job.")
        else:
            progress.count_done() if is_done else progress.count_skipped()
        self._errors.pop(job_id, None)
        return True

    async def _act(self, job_id: str, planned: BulkAction, actor: JobActor, *, is_repeated: bool) -> bool:
        """Act on a job and return True; False if it needs nothing any more.

        It may have been acted on by the runner that held the action before, even at this moment.
        """
        jobs, since_ms = self._stores.jobs, planned.pending_since_ms
        job = await jobs.get(job_id, owner=planned.owner)
        if is_repeated and actor.is_acted_on(job, since_ms=since_ms):
            return True
        await self._pace.wait()
        try:
            if not actor.matches(job) or not actor.needs_action(job):
                return False
            if await actor.act(job):
                return True
        except Problem:
            if actor.is_acted_on(await jobs.get(job_id), since_ms=since_ms):
                return True
            raise
        return actor.is_acted_on(await jobs.get(job_id), since_ms=since_ms)


def _decide(job_id: str, job: Job | None, actor: JobActor, progress: Progress, pending: list[str]) -> None:
    """Count a job, or name it as pending."""
    progress.count_match()
    if job is None:
        progress.count_failed(job_id, "job_not_found", "No job of this owner has this id.")
        return
    try:
        needs_action = actor.needs_action(job)
    except Problem as problem:
        progress.count_problem(job_id, problem)
        return
    if not needs_action:
        progress.count_skipped()
    elif actor.action.dry_run:
        progress.count_done()
    else:
        pending.append(job_id)


def _end_of_batch(batch: Batch, cursor: str) -> dict[str, Any]:
    """Return where the cursor stands behind a batch; documents that cannot be read are behind it, too."""
    if batch.next_after_id is None:
        return {"cursor": cursor, "is_exhausted": True}
    return {"cursor": batch.next_after_id}


def _sum_up(action: BulkAction) -> dict[str, int]:
    counts = action.counts
    failed = sum(counts.failed.values())
    return {"matched": counts.matched, "done": counts.done, "skipped": counts.skipped, "failed": failed}
