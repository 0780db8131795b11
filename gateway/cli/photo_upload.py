"""One photo: uploaded, its job followed to its end, its results saved; the journal records every step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Protocol
from uuid import uuid4

from gateway.cli.exit_codes import ExitCode, exit_code_of
from gateway.cli.journal import Entry
from gateway.cli.naming import label, named_after, suffix
from gateway.cli.photos import Ask, Photo
from gateway.cli.plan import Step, UploadOptions, first_step
from gateway.cli.report import Outcome, Result
from gateway.client import AsyncClient
from gateway.client.models import JobStatus
from gateway.client.problem import Problem

STALE = frozenset({"job_not_found", "idempotency_key_reused", "expired"})
"""What was noted down is no longer so at the gateway: the photo is sent anew."""
PASSING = frozenset({401, 403, 408})
"""Refusals that are not the photo's."""


class CannotSave(Exception):
    """A result cannot be written: the next one would not be either."""


class Bar(Protocol):
    """Shows how far a photo is."""

    def sent(self, count: int, total: int) -> None:
        """Show how many of its bytes are on their way."""

    def reached(self, job: JobStatus) -> None:
        """Show how far its job is."""

    def saving(self) -> None:
        """Show that its results are being fetched."""


class PhotoUpload:
    """The upload of one photo."""

    def __init__(self, client: AsyncClient, photo: Photo, ask: Ask, options: UploadOptions, bar: Bar) -> None:
        self._client = client
        self._photo = photo
        self._ask = ask
        self._options = options
        self._bar = bar
        self._began = monotonic()
        self._known = photo.known(ask)
        self._entry: Entry = self._known or photo.entry(ask, str(uuid4()))

    async def run(self) -> Outcome:
        """Upload the photo, follow its job, save the results.

        Raises `Problem` and httpx's errors where neither the photo nor its job is to blame.
        """
        known = self._known
        step = first_step(known, self._options, is_saved=known is not None and self._photo.journal.is_saved(known))
        if known is None:
            return await self._run_from(Step.SEND)
        if step is Step.SEND and known.state != "sending":  # the old key would bring the old job back
            self._entry = self._photo.entry(self._ask, str(uuid4()))
        try:
            return await self._run_from(step)
        except Problem as problem:
            if problem.code not in STALE:
                raise
            self._entry = self._photo.entry(self._ask, str(uuid4()))
            return await self._run_from(Step.SEND)

    async def _run_from(self, step: Step) -> Outcome:
        if step is Step.SKIP:
            return self._outcome(skipped=True)
        if step is Step.SEND and (refusal := await self._send()):
            return refusal
        if step is Step.RETRY:
            await self._retry_dead_job()
        if not self._options.follow:
            return self._outcome()
        return await self._conclude(await self._followed())

    async def _send(self) -> Outcome | None:
        """Have the photo accepted; an outcome if it is refused."""
        self._note(state="sending")
        try:
            accepted = await self._client.ask(self._ask.call(self._photo, self._entry.key, self._bar.sent))
        except Problem as problem:
            if problem.code in STALE and self._known is not None:
                raise
            if exit_code_of(problem) is not ExitCode.REFUSED or problem.status in PASSING:
                raise
            self._note(state="refused", code=problem.code, message=problem.detail)
            return replace(self._outcome(), errors=problem.errors)
        self._note(state="accepted", task_id=accepted.task_id)
        return None

    async def _retry_dead_job(self) -> None:
        """Have the dead job tried again. One that is no longer dead is followed; one that cannot be is sent anew."""
        try:
            await self._client.retry(self._entry.task_id or "")
        except Problem as problem:
            if problem.code != "not_retryable":
                raise
            if (await self._client.status(self._entry.task_id or "")).status == "dead":
                raise Problem(problem.status, "expired", problem.detail) from problem
        self._note(state="accepted", code=None, message=None, status=None)

    async def _followed(self) -> JobStatus:
        job: JobStatus | None = None
        async for job in self._client.follow(self._entry.task_id or ""):
            self._bar.reached(job)
        if job is None:
            raise RuntimeError("a job has at least one state")
        return job

    async def _conclude(self, job: JobStatus) -> Outcome:
        if job.status != "done":
            failure = job.failure
            code, message = (failure.code, failure.message) if failure else (job.status, f"The job is {job.status}.")
            self._note(state="failed", status=job.status, code=code, message=message)
            return replace(self._outcome(), errors=failure.errors if failure else ())
        saved = await self._saved(job) if self._options.save else {}
        self._note(state="done", status=job.status, saved=saved, code=None, message=None)
        return self._outcome()

    async def _saved(self, job: JobStatus) -> dict[str, str]:
        """Save every rendition; the names of the files, from the output folder."""
        if not job.renditions:
            raise Problem(410, "expired", "The job's results are no longer kept.")
        self._bar.saving()
        photo, folder = self._photo, self._photo.journal.folder or Path()
        endings = {name: f"-{label(name, job.kind)}{suffix(made.format)}" for name, made in job.renditions.items()}
        place = photo.place if photo.content is not None else named_after(job)
        stem = photo.names.claim(photo.file, place, is_taken=lambda stem: self._meets_others(stem, endings, job))
        self._note(state="accepted", stem=stem)  # its names are its own before there is a file
        for name, ending in endings.items():
            path = folder / f"{stem}{ending}"
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                await self._client.save_result(job.task_id, path, name)
            except OSError as error:
                raise CannotSave(f"{path}: {error.strerror or error}.") from error
        return {name: f"{stem}{ending}" for name, ending in endings.items()}

    def _meets_others(self, stem: str, endings: Mapping[str, str], job: JobStatus) -> bool:
        journal, file, ask = self._photo.journal, self._photo.file, self._ask.mark
        return any(
            journal.is_foreign(f"{stem}{ending}", file, ask, sha256=job.renditions[name].sha256)
            for name, ending in endings.items()
        )

    def _note(self, **changes: object) -> None:
        self._entry = replace(self._entry, **changes)  # type: ignore[arg-type]  # by name
        self._photo.journal.add(self._entry)

    def _outcome(self, *, skipped: bool = False) -> Outcome:
        entry, folder = self._entry, self._photo.journal.folder or Path()
        return Outcome(
            file=self._photo.shown,
            result=Result(entry.state),
            skipped=skipped,
            task_id=entry.task_id,
            status=entry.status or (entry.state if entry.state == "accepted" else None),
            saved={name: str(folder / saved) for name, saved in entry.saved.items()},
            code=entry.code,
            message=entry.message,
            ms=(monotonic() - self._began) * 1000,
        )
