"""Reads stored documents, and recognizes those that this version cannot read, such as those of a newer version."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import ValidationError

from storage.documents import JobRecord, StageRecord
from storage.errors import JobUnreadable

MAX_REMEMBERED = 1000
"""Unreadable documents that a process remembers and reports; further ones are only skipped."""
MAX_SUMMARY_CHARACTERS = 200
MAX_MS = 253_402_300_799_999
"""The last time (epoch ms) that answers can show, in the year 9999."""

Check = Callable[[JobRecord], None]
Report = Callable[[JobUnreadable], None]
JobT = TypeVar("JobT", bound=JobRecord)


def accept_any(job: JobRecord) -> None:
    """Accept every valid job."""


def report_nothing(error: JobUnreadable) -> None:
    """Report nothing."""


class JobReader(Generic[JobT]):
    """Turns stored documents into jobs, and remembers those that it cannot turn into one.

    `check` raises ValueError for a valid document that this version cannot process, such as one with other stages.
    `report` is called once for each unreadable document.
    """

    def __init__(self, model: type[JobT], *, check: Check = accept_any, report: Report = report_nothing) -> None:
        self._model, self._check, self._report = model, check, report
        self.unreadable_ids: dict[str, Any] = {}
        """Stored ids of the unreadable documents, by their text."""

    def read(self, document: Mapping[str, Any]) -> JobT:
        """Return the job. Raises `JobUnreadable`."""
        try:
            _check_integers(document)
            job = self._model.model_validate(document)
            UUID(job.id)
            self._check(job)
        except (ValueError, TypeError, AttributeError) as error:
            unreadable = JobUnreadable(str(document.get("_id")), summarize(error))
            self._remember(unreadable, document.get("_id"))
            raise unreadable from error
        return job

    def read_all(self, documents: Iterable[Mapping[str, Any]]) -> list[JobT]:
        """Return the jobs of the documents that can be read."""
        return [job for document in documents if (job := self.read_or_skip(document)) is not None]

    def read_or_skip(self, document: Mapping[str, Any]) -> JobT | None:
        """Return the job, or None when it cannot be read."""
        try:
            return self.read(document)
        except JobUnreadable:
            return None

    def _remember(self, error: JobUnreadable, stored_id: object) -> None:
        if error.job_id not in self.unreadable_ids and len(self.unreadable_ids) < MAX_REMEMBERED:
            self.unreadable_ids[error.job_id] = stored_id
            self._report(error)


def _integer_fields(model: type[JobRecord | StageRecord]) -> tuple[str, ...]:
    return tuple(name for name, field in model.model_fields.items() if field.annotation in {int, int | None})


_JOB_INTEGERS, _STAGE_INTEGERS = _integer_fields(JobRecord), _integer_fields(StageRecord)


def _check_integers(document: Mapping[str, Any]) -> None:
    """Raise ValueError for a text or a boolean in place of a number: pydantic takes it, but no update can change it.

    Also for a time that no answer can show.
    """
    _check_fields(document, _JOB_INTEGERS)
    for record in document.get("stages", {}).values():
        _check_fields(record, _STAGE_INTEGERS)


def _check_fields(document: Mapping[str, Any], names: Iterable[str]) -> None:
    for name in names:
        value = document.get(name)
        if isinstance(value, str | bool):
            raise ValueError(f"{name}: a number is needed")  # noqa: TRY004  # pydantic's own errors are ValueErrors
        if name.endswith("_ms") and value is not None and not 0 <= value <= MAX_MS:
            raise ValueError(f"{name}: no time")


def summarize(error: Exception) -> str:
    """Return the reason in one line, without the values that were read: they may be a user's input."""
    if not isinstance(error, ValidationError):
        return f"{type(error).__name__}: {error}"[:MAX_SUMMARY_CHARACTERS]
    details = error.errors(include_url=False, include_context=False, include_input=False)
    summary = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['type']}" for item in details)
    return summary[:MAX_SUMMARY_CHARACTERS]
