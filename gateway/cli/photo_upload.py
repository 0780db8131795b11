"""One photo: upload it, follow its job, save the results, and record each step in the journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Protocol
from uuid import uuid4

from ..client import AsyncClient
from ..client.filenames import image_extension, join_inside
from ..client.models import JobStatus
from ..client.problem import Problem
from .errors import exit_code_of_problem
from .exit_codes import ExitCode
from .journal import JournalEntry
from .output_names import rendition_label, upload_name_of
from .photos import Photo, UploadRequest
from .plan import Action, UploadOptions, first_action
from .report import PhotoOutcome, Result

STALE_CODES = frozenset({"job_not_found", "idempotency_key_reused", "expired"})
"""The gateway no longer has what the journal entry describes: the photo is uploaded again, with a new key."""
PHOTO_INDEPENDENT_STATUSES = frozenset({401, 403, 408})
"""Refusals whose reason is not the photo. They are not recorded, so that the next run uploads the photo."""


class SaveError(Exception):
    """A result cannot be written. The batch ends, because the next one could not be written either."""


class Bar(Protocol):
    """Shows the progress of one photo."""

    def show_sent(self, count: int, total: int) -> None:
        """Show how many bytes of the upload are sent."""

    def show_job(self, job: JobStatus) -> None:
        """Show the progress of the job."""

    def show_saving(self) -> None:
        """Show that the results are being saved."""


class PhotoUpload:
    """The upload of one photo."""

    def __init__(
        self, client: AsyncClient, photo: Photo, request: UploadRequest, options: UploadOptions, bar: Bar
    ) -> None:
        self._client = client
        self._photo = photo
        self._request = request
        self._options = options
        self._bar = bar
        self._start = monotonic()
        self._warnings: list[str] = []
        self._earlier_entry = photo.find_entry(request)
        self._entry: JournalEntry = self._earlier_entry or photo.create_entry(request, str(uuid4()))

    async def run(self) -> PhotoOutcome:
        """Upload the photo, follow its job, save the results.

        Raises `Problem` or an httpx error if the reason is neither the photo nor its job, and `SaveError`.
        """
        earlier = self._earlier_entry
        is_saved = earlier is not None and self._photo.journal.is_saved(earlier)
        action = first_action(earlier, self._options, is_saved=is_saved)
        if earlier is None:
            return await self._run_from(Action.SEND)
        if action is Action.SEND and earlier.state != "sending":  # the old key would return the old job
            self._entry = self._photo.create_entry(self._request, str(uuid4()))
        try:
            return await self._run_from(action)
        except Problem as problem:
            if problem.code not in STALE_CODES:
                raise
            self._entry = self._photo.create_entry(self._request, str(uuid4()))
            return await self._run_from(Action.SEND)

    async def _run_from(self, action: Action) -> PhotoOutcome:
        if action is Action.SKIP:
            return self._build_outcome(skipped=True)
        if action is Action.SEND and (refusal := await self._send()):
            return refusal
        if action is Action.RETRY:
            await self._retry_dead_job()
        if not self._options.follows_jobs:
            return self._build_outcome()
        return await self._finish(await self._follow_job())

    async def _send(self) -> PhotoOutcome | None:
        """Upload the photo. Return None if it is accepted, the outcome if it is refused."""
        self._record(state="sending")
        try:
            call = self._request.build_call(self._photo, self._entry.key, self._bar.show_sent)
            answer = await self._client.send_call(call)
        except Problem as problem:
            if problem.code in STALE_CODES and self._earlier_entry is not None:
                raise
            if exit_code_of_problem(problem) is not ExitCode.REFUSED or problem.status in PHOTO_INDEPENDENT_STATUSES:
                raise
            self._record(state="refused", code=problem.code, message=problem.detail)
            return replace(self._build_outcome(), errors=problem.errors)
        self._warnings = [warning.message for warning in answer.warnings]
        self._record(state="accepted", task_id=answer.task_id)
        return None

    async def _retry_dead_job(self) -> None:
        """Retry the dead job. If it is no longer dead, follow it; if it cannot be retried, raise a stale problem."""
        try:
            await self._client.retry(self._entry.task_id or "")
        except Problem as problem:
            if problem.code != "not_retryable":
                raise
            if (await self._client.status(self._entry.task_id or "")).status == "dead":
                raise Problem(problem.status, "expired", problem.detail) from problem
        self._record(state="accepted", code=None, message=None, status=None)

    async def _follow_job(self) -> JobStatus:
        job: JobStatus | None = None
        async for job in self._client.follow(self._entry.task_id or ""):
            self._bar.show_job(job)
        if job is None:
            raise RuntimeError("a job has at least one state")
        return job

    async def _finish(self, job: JobStatus) -> PhotoOutcome:
        if job.status != "done":
            failure = job.failure
            code, message = (failure.code, failure.message) if failure else (job.status, f"The job is {job.status}.")
            self._record(state="failed", status=job.status, code=code, message=message)
            return replace(self._build_outcome(), errors=failure.errors if failure else ())
        saved = await self._save_renditions(job) if self._options.save else {}
        placeholder = job.placeholder.model_dump() if job.placeholder else None
        self._record(state="done", status=job.status, saved=saved, placeholder=placeholder, code=None, message=None)
        return self._build_outcome()

    async def _save_renditions(self, job: JobStatus) -> dict[str, str]:
        """Save every rendition. Return the path of each file, relative to the output folder."""
        if not job.renditions:
            raise Problem(410, "expired", "The job's results are no longer kept.")
        self._bar.show_saving()
        photo, folder = self._photo, self._photo.journal.folder or Path()
        endings = {
            name: f"-{rendition_label(name, job.kind)}.{image_extension(rendition.format)}"
            for name, rendition in job.renditions.items()
        }
        output_path = photo.output_path if photo.content is not None else upload_name_of(job)
        stem = photo.names.claim(photo.file, output_path, is_taken=lambda stem: self._is_stem_taken(stem, endings, job))
        self._record(state="accepted", stem=stem)  # reserve the names before the first file exists
        for name, ending in endings.items():
            try:
                path = join_inside(folder, f"{stem}{ending}")
                path.parent.mkdir(parents=True, exist_ok=True)
                await self._client.save_result(job.task_id, path, name)
            except OSError as error:
                raise SaveError(f"{folder / f'{stem}{ending}'}: {error.strerror or error}.") from error
        return {name: f"{stem}{ending}" for name, ending in endings.items()}

    def _is_stem_taken(self, stem: str, endings: Mapping[str, str], job: JobStatus) -> bool:
        journal, file, fingerprint = self._photo.journal, self._photo.file, self._request.fingerprint
        return any(
            journal.belongs_to_another(f"{stem}{ending}", file, fingerprint, sha256=job.renditions[name].sha256)
            for name, ending in endings.items()
        )

    def _record(self, **changes: object) -> None:
        self._entry = replace(self._entry, **changes)  # type: ignore[arg-type]  # mypy cannot check them by name
        self._photo.journal.add(self._entry)

    def _build_outcome(self, *, skipped: bool = False) -> PhotoOutcome:
        entry, folder = self._entry, self._photo.journal.folder or Path()
        return PhotoOutcome(
            file=self._photo.display_name,
            result=Result(entry.state),
            skipped=skipped,
            task_id=entry.task_id,
            status=entry.status or (entry.state if entry.state == "accepted" else None),
            saved={name: str(folder / saved) for name, saved in entry.saved.items()},
            placeholder=entry.placeholder,
            code=entry.code,
            message=entry.message,
            warnings=self._warnings,
            ms=(monotonic() - self._start) * 1000,
        )
