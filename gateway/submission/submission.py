"""One submission: store the image, insert its job, answer, then publish its canvas."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any

import structlog
from fastapi import BackgroundTasks, Depends, Request, Response
from pymongo.errors import DuplicateKeyError

from gateway.concurrency_limit import ConcurrencyLimit
from gateway.feed import Feed
from gateway.metrics import GatewayMetrics, SubmissionCount
from gateway.middleware.rate_limit import caller_of
from gateway.middleware.root_path import root_path_of
from gateway.permission import Permission, permission_of
from gateway.problems import (
    POLL_SECONDS,
    RETRY_AFTER_SECONDS,
    KeyInUse,
    KeyReused,
    UploadGone,
)
from gateway.schemas import Accepted, FieldWarning, Links
from gateway.submission.blob_room import BlobRoom, HeldRoom
from gateway.submission.duplicates import copy_from_duplicate
from gateway.submission.form_rules import FormRules
from gateway.submission.forms import OutputForm, parse_form, source_task_id_of
from gateway.submission.key_lease import KeyLease, hold_idempotency_key
from gateway.submission.lanes import LaneChooser
from gateway.submission.new_job import JobMaker
from gateway.submission.source_copy import copy_original
from gateway.submission.sources import check_one_source, describe_original, read_source
from gateway.submission.upload_stream import store_upload
from gateway.tokens import sign_view_token
from gateway.webhooks.announcer import Announcer
from gateway.whole_numbers import parse_whole_number
from pipeline import traces
from pipeline.dispatch import dispatch_or_schedule
from pipeline.presets.registry import Presets
from pipeline.settings import Settings
from storage.clock import now_ms
from storage.documents import Job, Kind, Original, Source, blob_key, job_folder
from storage.errors import TRANSIENT_ERRORS, JobNotFound
from storage.idempotency import IdempotencyKey
from storage.job_ids import new_job_id
from storage.stores import Stores

MAX_AGE_GRACE_SHARE = 0.75
"""Age of an upload whose job may still be inserted, as a share of `sweeper.orphan_grace`."""

BeginInsert = Callable[[], Awaitable[None]]

log = structlog.get_logger("gateway")


async def _create_submission(request: Request, response: Response, background: BackgroundTasks) -> Submission:
    """Return the submission of a request. What it needs of the application is no dependency each: those cost time."""
    state = request.app.state
    return Submission(
        request,
        response,
        background,
        settings=state.settings,
        stores=state.stores,
        permission=permission_of(request.scope),
        metrics=state.metrics,
        lanes=state.lanes,
        room=state.blob_room,
        presets=state.presets,
    )


@dataclass
class Submission:
    """One POST on its way to a job."""

    request: Request
    response: Response
    background: BackgroundTasks
    settings: Settings
    stores: Stores
    permission: Permission
    metrics: GatewayMetrics
    lanes: LaneChooser
    room: BlobRoom
    presets: Presets
    job_id: str = field(default_factory=new_job_id)
    start_ms: int = field(default_factory=now_ms)
    warnings: list[dict[str, Any]] = field(default_factory=list)

    async def create_job(self, kind: Kind, form_type: type[OutputForm]) -> Accepted:
        """Receive the form and answer with its job. A request that repeats an Idempotency-Key gets the earlier job."""
        with self.metrics.count_submission(kind) as count, self._hold_upload():
            self.check_kind(kind)
            async with self._hold_room() as room:
                return await self._create_job(kind, form_type, count, room)

    def check_kind(self, kind: Kind) -> None:
        """Raise `PresetNotAllowed` for an operation of a caller that is limited to presets."""
        if kind is not Kind.PREVIEWS:
            self.permission.check_operation()

    @cached_property
    def form_rules(self) -> FormRules:
        """What the presets in force, and the permission, say of the form."""
        return FormRules(self.presets, self.permission, max_steps=self.settings.preset_limits.steps)

    @property
    def _announcer(self) -> Announcer:
        announcer: Announcer = self.request.app.state.announcer
        return announcer

    @property
    def _feed(self) -> Feed:
        feed: Feed = self.request.app.state.feed
        return feed

    def _hold_upload(self) -> AbstractContextManager[None]:
        uploads: ConcurrencyLimit = self.request.app.state.uploads
        return uploads.hold(caller_of(self.request.scope))

    def _hold_room(self) -> AbstractAsyncContextManager[HeldRoom]:
        size = parse_whole_number(self.request.headers.get("content-length", ""))
        return self.room.hold(self.stores.blobs, size)

    async def _create_job(
        self, kind: Kind, form_type: type[OutputForm], count: SubmissionCount, room: HeldRoom
    ) -> Accepted:
        async with self._hold_idempotency_key() as (key, earlier):
            if earlier is None:
                await self.permission.check_uses(self.stores.token_uses)
            async with self._remove_blobs_on_failure():
                job = await self._receive_job(kind, form_type, room)
                if earlier is not None:
                    answer = await self._replay(earlier, job)
                    count.result = "replayed"
                    return answer
                job = await self._prepare(job)
                if job.original.is_stored:
                    await self._ensure_blob_is_kept(job)
                if key is not None:
                    await key.extend_for_insert()
                await self.permission.count_use(self.stores.token_uses, job.id)
            self._bind_job_id(job)
            await self.stores.jobs.insert(job)  # may have succeeded even if it raises: blobs stay
        if job.original.is_stored and self._may_be_orphan:  # the process was frozen between the check and the insert
            await self._withdraw(job)
            raise self._explain_gone()
        if key is not None and not await key.mark_answered(job):
            await self._withdraw(job)
            raise KeyInUse(
                "Another request took this Idempotency-Key during the insert. "
                "Send this one again after the time in Retry-After.",
                headers={"Retry-After": "1"},
            )
        return self._answer_accepted(job, count)

    async def accept_original(
        self, kind: Kind, original: Original, form: OutputForm, *, begin_insert: BeginInsert
    ) -> Accepted:
        """Make the job of an original that is stored, and answer with it. Done again, it answers with the same job.

        If this raises before `begin_insert` has returned, there is no job. The caller has counted the token's use.
        """
        with self.metrics.count_submission(kind) as count:
            new_job = self._new_job(kind, original, form).model_copy(update={"received_ms": now_ms()})
            job = await self._prepare(new_job)
            self._bind_job_id(job)
            await begin_insert()
            try:
                await self.stores.jobs.insert(job)
            except DuplicateKeyError:
                count.result = "replayed"
                return await self.repeat_answer()
            return self._answer_accepted(job, count)

    async def repeat_answer(self) -> Accepted:
        """Answer with the job that was made under this id. Raises `JobNotFound`."""
        return self._build_answer(await self.permission.get_job(self.stores.jobs, self.job_id))

    async def _prepare(self, job: Job) -> Job:
        """Return the job as it is to be inserted: with its lane, and with the results of a duplicate if it has one.

        A job with a destination is done once its own results are there, so it gets none of a duplicate.
        """
        job = job.model_copy(update={"announces_renditions": await self._announcer.renditions.are_wanted(job)})
        if self.settings.access.deduplicate and job.operation.destination is None:
            job = await copy_from_duplicate(job, self.stores)
        caller, size = caller_of(self.request.scope), job.original.bytes
        return job.model_copy(update={"lane": await self.lanes.choose(caller, job.id, size=size)})

    def _answer_accepted(self, job: Job, count: SubmissionCount) -> Accepted:
        """Have an inserted job dispatched after its answer, and build the answer."""
        count.result = "accepted" if job.is_active else "deduplicated"
        log.info("job.accepted", task_id=job.id, kind=job.kind, bytes=job.original.bytes)
        if job.is_active:
            self._feed.recent_jobs.add(job)
            self.background.add_task(dispatch_or_schedule, self.stores.jobs, job, self.metrics.dispatches)
        else:
            self._announcer.wake()
        return self._build_answer(job)

    def _hold_idempotency_key(self) -> AbstractAsyncContextManager[tuple[KeyLease | None, IdempotencyKey | None]]:
        keys, header = self.stores.idempotency_keys, self.request.headers.get("idempotency-key")
        return hold_idempotency_key(keys, header, self.permission, job_id=self.job_id, settings=self.settings)

    async def _withdraw(self, job: Job) -> None:
        """Remove a job that cannot be answered with: its key was taken, or its blob removed, during a long insert."""
        await self.stores.jobs.withdraw(job.id)
        await self.permission.release_use(self.stores.token_uses, job.id)
        await self._remove_blobs()

    @asynccontextmanager
    async def _remove_blobs_on_failure(self) -> AsyncIterator[None]:
        """Remove the blobs of a request that is refused, interrupted or cancelled: no job will own them."""
        try:
            yield
        except BaseException:
            with suppress(*TRANSIENT_ERRORS):  # then the tidier removes them
                await asyncio.shield(self._remove_blobs())
            raise

    async def _remove_blobs(self) -> None:
        await asyncio.to_thread(self.stores.blobs.remove_folder, job_folder(self.job_id))

    async def _receive_job(self, kind: Kind, form_type: type[OutputForm], room: HeldRoom) -> Job:
        """Receive the form, with the original or with where it is, and return its job, which is not inserted yet."""
        blobs, key, limits = self.stores.blobs, blob_key(self.job_id, "original"), self.settings.limits
        original, fields = await store_upload(
            self.request,
            blobs,
            key=key,
            limits=self.permission.limits(limits),
            on_write=room.use,
            check_format=self.permission.check_format,
        )
        if original is not None:
            self.metrics.upload_bytes.observe(original.bytes)
        strict, find_broken = self.settings.forms.strict, self.form_rules.find_broken
        form, self.warnings = parse_form(form_type, fields, limits, strict=strict, find_broken=find_broken)
        check_one_source(form, has_file=original is not None)
        if original is not None:
            return self._new_job(kind, original, form)
        if source := read_source(form, self.permission, self.settings):
            return self._new_job(kind, describe_original(source, key), form, source=source)
        stores, permission, source_id = self.stores, self.permission, source_task_id_of(form) or ""
        original = await copy_original(source_id, key=key, stores=stores, permission=permission, room=room)
        return self._new_job(kind, original, form)

    def _new_job(self, kind: Kind, original: Original, form: OutputForm, *, source: Source | None = None) -> Job:
        maker = JobMaker(
            settings=self.settings,
            permission=self.permission,
            has_own_default=self.presets.has_own_default,
            request_id=getattr(self.request.state, "request_id", None),
        )
        operation, source_task_id = self.form_rules.build_operation(form), source_task_id_of(form)
        return maker.build_job(
            kind, original, operation, job_id=self.job_id, source=source, source_task_id=source_task_id
        )

    async def _replay(self, earlier: IdempotencyKey, job: Job) -> Accepted:
        await self._remove_blobs()
        if earlier.fingerprint != job.fingerprint:
            raise KeyReused("This Idempotency-Key was used for another request. Send a new key with a new request.")
        try:
            earlier_job = await self.permission.get_job(self.stores.jobs, earlier.job_id)
        except JobNotFound as error:
            raise KeyInUse(
                "The job of this Idempotency-Key was deleted during the request. "
                "Send this one again after the time in Retry-After.",
                headers={"Retry-After": "1"},
            ) from error
        self.response.headers["Idempotency-Replayed"] = "true"
        return self._build_answer(earlier_job)

    async def _ensure_blob_is_kept(self, job: Job) -> None:
        """Refuse an upload that took so long that the tidier has removed its blob as an orphan, or soon may."""
        if self._may_be_orphan or not await self._has_blob(job):
            raise self._explain_gone()

    @property
    def _may_be_orphan(self) -> bool:
        """Whether the tidier may have asked for the upload's job already, or soon may."""
        age_seconds = (now_ms() - self.start_ms) / 1000
        return age_seconds > self.settings.sweeper.orphan_grace * MAX_AGE_GRACE_SHARE

    @staticmethod
    def _explain_gone() -> UploadGone:
        return UploadGone(
            "The stored upload is gone, perhaps because the request took too long. "
            "Send the request again after the time in Retry-After.",
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
        )

    async def _has_blob(self, job: Job) -> bool:
        """Whether the blob is still there. In a local folder it has just been synced, which fails without it."""
        blobs = self.stores.blobs
        return blobs.is_local or await asyncio.to_thread(blobs.exists, job.original.blob)

    @staticmethod
    def _bind_job_id(job: Job) -> None:
        """Add the job's id to the log lines about this request, and to its trace."""
        structlog.contextvars.bind_contextvars(task_id=job.id)
        traces.annotate(task_id=job.id)

    def _build_answer(self, job: Job) -> Accepted:
        self._bind_job_id(job)
        links = Links.of(job.id, root_path=root_path_of(self.request.scope))
        self.response.headers["Location"] = links.status
        self.response.headers["Retry-After"] = str(POLL_SECONDS)
        secrets, owner = self.settings.signing_secrets, self.permission.owner
        view_token = sign_view_token(secrets, owner=owner, task_id=job.id, now_ms=now_ms())
        if view_token is not None:
            self.response.headers["View-Token"] = view_token
        return Accepted(
            task_id=job.id,
            status=job.state,
            links=links,
            deduplicated_from=job.deduplicated_from,
            warnings=[FieldWarning(**warning) for warning in self.warnings],
            view_token=view_token,
        )


SubmissionDep = Annotated[Submission, Depends(_create_submission)]
