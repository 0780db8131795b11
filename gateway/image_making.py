"""Makes images on demand: one job for each, however many ask for it at once."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import asdict, dataclass
from time import monotonic

import structlog
from fastapi import Request
from pymongo.errors import DuplicateKeyError

from gateway.disconnects import run_while_connected
from gateway.feed import Feed
from gateway.image_requests import ImageRequest
from gateway.metrics import GatewayMetrics
from gateway.middleware.rate_limit import caller_of
from gateway.problems import POLL_SECONDS, Expired, NotReady, Problem, RenditionNotFound
from gateway.served_results import NO_LONGER_KEPT, explain_end, find_served
from gateway.submission.backpressure import shed_load
from pipeline import traces
from pipeline.dispatch import dispatch_or_schedule
from pipeline.job_removal import remove_image, remove_lost_image
from pipeline.results import served_job
from pipeline.routing import VALIDATE
from pipeline.settings import Settings
from pipeline.stage_order import stage_order
from storage.clock import now_ms
from storage.documents import Job, Kind, Lane, StageRecord
from storage.errors import JobNotFound
from storage.stores import Stores

MAX_REMOVAL_MS = 60_000
"""An image whose removal began longer ago was left by a process that died. The tidier would come to it after days."""

NOT_FETCHED = "The original is not fetched yet. Ask again after the time in Retry-After."

log = structlog.get_logger("gateway")


@dataclass(frozen=True, slots=True)
class ImageMaker:
    """Finds the job that has an image, or makes one, for one request."""

    request: Request
    stores: Stores
    settings: Settings
    feed: Feed
    metrics: GatewayMetrics

    async def find_job(self, parent: Job, wanted: ImageRequest) -> Job:
        """Return the job that has the image, or will have it: the parent itself, or one that is made for it.

        Raises the problem that says why there can be none.
        """
        if parent.kind is Kind.IMAGE:
            raise RenditionNotFound("This job is itself an image on demand. Ask for images of the job in parent_id.")
        if problem := explain_end(parent):
            raise problem
        if has_image(parent, wanted) or (parent.is_active and wanted.is_surely_part_of(parent.operation)):
            return parent
        if not parent.original.is_stored:
            raise NotReady(NOT_FETCHED, headers={"Retry-After": str(POLL_SECONDS)})
        try:
            image = await self.stores.jobs.get(wanted.derive_job_id(parent.id))
            if now_ms() - (image.expiring_ms or now_ms()) < MAX_REMOVAL_MS:
                return image
            await remove_lost_image(image, self.stores)
        except JobNotFound:
            pass
        return await self._make(parent, wanted)

    async def wait(self, job: Job, wanted: ImageRequest, seconds: float) -> Job:
        """Return the job when it has ended or has the image already, or when the time is over.

        Raises `ClientDisconnect`, `TooManyStreams`.
        """
        if not job.is_active or seconds <= 0 or has_image(job, wanted):
            return job
        with self.request.app.state.streams.hold(caller_of(self.request.scope)):
            return await run_while_connected(self.request, self._wait_for_end(job, seconds))

    async def _make(self, parent: Job, wanted: ImageRequest) -> Job:
        """Insert the job and dispatch it, before any wait. If another request has inserted it, return that one."""
        with self.metrics.count_submission(Kind.IMAGE) as count:
            await shed_load(self.request)
            if not await asyncio.to_thread(self.stores.blobs.exists, parent.original.blob):
                raise Expired(NO_LONGER_KEPT)
            job = self._build_job(parent, wanted)
            try:
                await self.stores.jobs.insert(job)
            except DuplicateKeyError:
                count.result = "replayed"
                with suppress(JobNotFound):  # it has just been removed: the next request makes it
                    return await self.stores.jobs.get(job.id)
                return job
            await self._ensure_parent_is_kept(job)
            count.result = "accepted"
        log.info("image.accepted", task_id=job.id, parent_id=parent.id, preset=wanted.preset.name)
        await asyncio.shield(dispatch_or_schedule(self.stores.jobs, job, self.metrics.dispatches))
        return job

    def _build_job(self, parent: Job, wanted: ImageRequest) -> Job:
        """Return the job: it reads the original of its parent, and is as private as that one."""
        now, operation = now_ms(), wanted.build_operation()
        stages = {name: StageRecord() for step in stage_order(Kind.IMAGE, operation.renditions) for name in step}
        stages[VALIDATE].queued_ms = now
        is_heavy = parent.original.bytes >= self.settings.lanes.heavy_bytes
        return Job(
            id=wanted.derive_job_id(parent.id),
            kind=Kind.IMAGE,
            parent_id=parent.id,
            original=parent.original,
            operation=operation,
            limits=asdict(self.settings.limits.raised_to(parent.limits)),
            owner=parent.owner,
            token_id=parent.token_id,
            lane=Lane.BULK if is_heavy else Lane.EXPRESS,
            received_ms=now,
            request_id=getattr(self.request.state, "request_id", None),
            traceparent=traces.traceparent(),
            stages=stages,
            next_dispatch_ms=now + int(self.settings.sweeper.accept_patience * 1000),
        )

    async def _ensure_parent_is_kept(self, job: Job) -> None:
        """Remove the job again if its parent is gone: who removed that one may have looked for its images before."""
        try:
            problem = explain_end(await self.stores.jobs.get(job.parent_id or ""))
        except JobNotFound as error:
            await remove_image(job, self.stores)
            raise JobNotFound(job.parent_id or "") from error
        if problem is not None:
            await remove_image(job, self.stores)
            raise problem

    async def _wait_for_end(self, job: Job, seconds: float) -> Job:
        deadline = monotonic() + seconds
        with self.feed.watch(job, end_only=True) as topic:
            while job.is_active:
                newer_job = await topic.wait_for_newer(job.version, deadline - monotonic())
                if newer_job is None:
                    break
                job = newer_job
        return job


def has_image(parent: Job, wanted: ImageRequest) -> bool:
    """Whether the image is among the results of the parent that can be fetched now, also while it is reprocessed."""
    if not wanted.is_part_of(served_job(parent).operation):
        return False
    try:
        find_served(parent, wanted.selection)
    except Problem:
        return False
    return True
