"""The results of a job that clients may fetch: while it is reprocessed, these are the ones from before."""

from __future__ import annotations

from typing import Any, TypeVar

from pipeline.presets.preset import read_definition
from pipeline.stage_order import stage_by_rendition
from storage.documents import JobRecord, StageState

JobT = TypeVar("JobT", bound=JobRecord)


def served_job(job: JobT) -> JobT:
    """Return the job with the operation and the stages that its results are of.

    While a job is reprocessed, these are the ones from before: the new ones replace them all at once, when it ends. A
    worker of an older version ends it without removing what was before.
    """
    if job.previous is None or not job.is_active:
        return job
    return job.model_copy(update={"operation": job.previous.operation, "stages": job.previous.stages})


def find_results(job: JobRecord) -> dict[str, dict[str, Any]]:
    """Return what the stage of each rendition has recorded, by the rendition's name, if the stage is done.

    A record has the fields of its main variant: blob, format, media_type, width, height, bytes and sha256. Of a
    rendition with several formats or densities it has `variants`, too: a list of such records, the main one included,
    each with its `dpr`. The main variant is the last format at the lowest density.
    """
    served = served_job(job)
    stages = {name: served.stages[stage] for name, stage in stage_by_rendition(served).items()}
    return {name: record.result for name, record in stages.items() if record.state is StageState.DONE and record.result}


def main_rendition(job: JobRecord) -> str:
    """Return the name of the largest rendition by its definition, or of the output of an operation."""
    served = served_job(job)
    sizes = {name: read_definition(served.operation, name).spec().longest_side for name in served.operation.renditions}
    return max(stage_by_rendition(served), key=lambda name: sizes.get(name, 0))


def find_variants(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the variants of a rendition from its record, the best format first and its densities in order."""
    return result.get("variants") or [{"dpr": 1, **result}]


def find_files(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the variants of a rendition that are files of their own: one file can be for several densities."""
    return list({variant["blob"]: variant for variant in reversed(find_variants(result))}.values())[::-1]
