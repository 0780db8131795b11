"""Which result of a job a request gets, and why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.image_schemas import has_renditions
from gateway.problems import POLL_SECONDS, Expired, NoResult, NotReady, Problem, RenditionNotFound
from gateway.public_errors import public_failure
from gateway.variants import Selection, Variant, list_variants, version_of
from pipeline.results import find_results, main_rendition, served_job
from pipeline.stage_order import stage_by_rendition
from storage.documents import Job, JobState

NO_LONGER_KEPT = "This result is no longer kept. To get it again, submit the image as a new job."


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedResult:
    """One file of a rendition, and what caches must know about it."""

    job: Job
    rendition: str
    variant: Variant
    is_version_known: bool
    """Whether the address has the version of what is served: then its answer never changes."""
    depends_on_accept: bool
    """Whether the same address gives another file for another Accept."""


def find_served(job: Job, selection: Selection) -> ServedResult:
    """Return what the request gets. Raises the problem that says why there is nothing."""
    rendition = selection.rendition or main_rendition(job)
    variants = list_variants(_find_record(job, rendition))
    return ServedResult(
        job=job,
        rendition=rendition,
        variant=selection.choose(rendition, variants),
        is_version_known=selection.version == version_of(variants),
        depends_on_accept=selection.depends_on_accept(variants),
    )


def _find_record(job: Job, rendition: str) -> dict[str, Any]:
    results = find_results(job) if has_renditions(job) else {}
    if rendition not in results:
        raise _explain_missing(job, rendition)
    return results[rendition]


def _explain_missing(job: Job, rendition: str) -> Problem:
    names = stage_by_rendition(served_job(job)) | stage_by_rendition(job)  # a job under reprocessing may get new ones
    if rendition not in names:
        return RenditionNotFound(f"The job has no rendition {rendition!r}. Ask for one of: {', '.join(names)}.")
    return explain_end(job) or NotReady(
        "This result is not ready yet. Ask again after the time in Retry-After.",
        headers={"Retry-After": str(POLL_SECONDS)},
    )


def explain_end(job: Job) -> Problem | None:
    """Return why a job will never have a result, or has none any more; None if it has one or will."""
    if job.state in (JobState.FAILED, JobState.DEAD, JobState.CANCELLED):
        failure = public_failure(job)
        return NoResult(
            f"The job ended without a result; its state is {job.state}. See failure for the reason, if there is one.",
            failure=failure.model_dump() if failure else None,
        )
    if not has_renditions(job) and not job.is_active:
        return Expired(NO_LONGER_KEPT)
    return None
