"""What a bulk action does with one job: whether the job needs it, whether that was done already, and doing it."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.job_actions import RETRYABLE_STATES, cancel_job, delete_job, retry_job
from gateway.metrics import GatewayMetrics
from gateway.permission import Permission
from gateway.problems import NotReprocessable
from gateway.reprocessing import REPROCESSABLE_STATES, needs_reprocess, reprocess_job, resolve_again
from gateway.webhooks.announcer import Announcer
from pipeline.dispatch import dispatch_or_schedule
from pipeline.presets.registry import Presets
from pipeline.settings import Settings
from storage.bulk_actions import BulkAction, BulkKind
from storage.documents import Job, JobState, Lane, Operation
from storage.stores import Stores

STARTING_KINDS = frozenset({BulkKind.RETRY, BulkKind.REPROCESS})
"""Actions that give the workers something to do."""


@dataclass(frozen=True, slots=True)
class JobActor:
    """Carries out one bulk action on one job after the other."""

    action: BulkAction
    presets: Presets
    """The presets of the action."""
    stores: Stores
    announcer: Announcer
    settings: Settings
    metrics: GatewayMetrics

    def matches(self, job: Job) -> bool:
        """Whether the action is for the job, as it is now."""
        if self.action.filter is None:
            return True
        versions = {preset.name: preset.version for preset in self.presets}
        return self.action.filter.matches(job, versions)

    def needs_action(self, job: Job) -> bool:
        """Whether the action would change the job. Raises a `Problem` if it should, and is not possible."""
        match self.action.action:
            case BulkKind.RETRY:
                return job.state in RETRYABLE_STATES
            case BulkKind.CANCEL:
                return job.is_active
            case BulkKind.DELETE:
                return True
            case BulkKind.REPROCESS:
                return self._needs_reprocess(job)

    def is_acted_on(self, job: Job, *, since_ms: int) -> bool:
        """Whether the action was carried out on the job at `since_ms` (epoch ms) or later."""
        match self.action.action:
            case BulkKind.RETRY:
                return job.dispatched_ms >= since_ms
            case BulkKind.REPROCESS:
                return (job.reprocessed_ms or 0) >= since_ms
            case BulkKind.CANCEL | BulkKind.DELETE:
                return job.state is JobState.CANCELLED and (job.finished_ms or 0) >= since_ms

    async def act(self, job: Job) -> bool:
        """Carry out the action; False if the job needs it no more. What it starts takes the bulk lane.

        Raises a `Problem` if it is not possible.
        """
        jobs, stores, announcer, settings = self.stores.jobs, self.stores, self.announcer, self.settings
        match self.action.action:
            case BulkKind.RETRY:
                started = await retry_job(job, jobs=jobs, announcer=announcer, settings=settings, lane=Lane.BULK)
            case BulkKind.REPROCESS:
                started = await reprocess_job(
                    job, self._resolve(job), lane=Lane.BULK, stores=stores, announcer=announcer, settings=settings
                )
            case BulkKind.CANCEL:
                return await cancel_job(job, stores=stores, announcer=announcer, metrics=self.metrics)
            case BulkKind.DELETE:
                await delete_job(job, stores=stores, announcer=announcer, metrics=self.metrics)
                return True
        await dispatch_or_schedule(jobs, started, self.metrics.dispatches)
        return True

    def _needs_reprocess(self, job: Job) -> bool:
        operation = self._resolve(job)
        if job.is_active and job.operation.requests_same(operation):
            return False
        if job.state not in REPROCESSABLE_STATES:
            raise NotReprocessable(
                f"This job cannot be reprocessed now; its state is {job.state}. Only a job that is done, failed or "
                "dead can be reprocessed."
            )
        return needs_reprocess(job, operation)

    def _resolve(self, job: Job) -> Operation:
        """Return what the job is to make. Raises a `Problem` if there is no such preset, or it is not allowed."""
        owner = self.action.owner
        permission = Permission(owner=owner).limit_presets(self.settings.key_presets.get(owner or ""))
        return resolve_again(job, self.presets, preset_name=self.action.preset, permission=permission)
