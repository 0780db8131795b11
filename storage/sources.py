"""Where an original is fetched from: how the document of a job changes when that has ended."""

from __future__ import annotations

from typing import Any

from storage.documents import JobRecord, Original


def fetched_changes(job: JobRecord, original: Original) -> dict[str, Any]:
    """Return the stored changes of a job whose original has just been fetched."""
    return {"original": original.model_dump(mode="json"), **forget_query(job)}


def forget_query(job: JobRecord) -> dict[str, Any]:
    """Return the stored changes that remove the query of the job's URL, once it is not fetched any more."""
    return {} if job.source is None else {"source.address": job.source.public_address}
