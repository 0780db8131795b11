"""The operations by kind of job, and the check whether this version can process a job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

from pipeline.presets.preset import read_definition
from pipeline.presets.steps import read_step
from pipeline.results import served_job
from pipeline.routing import FETCH
from pipeline.stage_order import has_stage, stage_order_of
from pipeline.stage_results import check_results
from stages.crop import crop
from stages.fit import FITS, fit
from stages.formats import OUTPUT_FORMATS
from stages.grayscale import grayscale
from stages.limits import Limits
from stages.process import process
from stages.rendition import Rendition
from stages.steps.step import Step
from storage.documents import JobRecord, Kind

OPERATION_BY_KIND: dict[Kind, Callable[..., Rendition]] = {
    Kind.CROP: crop,
    Kind.GRAYSCALE: grayscale,
    Kind.RESIZE: fit,
    Kind.PROCESS: process,
}
FORMATS = frozenset({*OUTPUT_FORMATS, "gif"})  # gif: animated previews only
_PARAMETERS = {kind: frozenset(signature(operation).parameters) for kind, operation in OPERATION_BY_KIND.items()}


def run_operation(job: JobRecord, original: bytes, *, limits: Limits, assets: Mapping[str, bytes]) -> Rendition:
    """Return the output of the job's operation. `assets` are the image files that its steps name."""
    operation = job.operation
    parameters: dict[str, Any] = operation.parameters
    if job.kind is Kind.PROCESS:
        parameters = {"steps": _read_steps(job), "assets": assets}
    return OPERATION_BY_KIND[job.kind](
        original,
        limits=limits,
        format=operation.format,
        quality=operation.quality,
        background=operation.background,
        **parameters,
    )


def check_job(job: JobRecord) -> None:
    """Raise ValueError for a job with stages or choices of another version, such as the one before a roll-back.

    Without this check, the job's stages would fail or never end, and the job with them, and no list with it could be
    shown. While it is reprocessed, the results from before are checked, too.
    """
    served = served_job(job)
    if served is not job:
        _check_parts(served)
    _check_parts(job)


def _check_parts(job: JobRecord) -> None:
    if job.stages.keys() != {name for names in stage_order_of(job) for name in names}:
        raise ValueError(f"stages: not those of {job.kind}")
    if has_stage(job, FETCH) and job.source is None:
        raise ValueError("source: missing")
    if job.operation.format not in FORMATS:
        raise ValueError("operation.format: unknown")
    for name in job.operation.renditions:
        _check_definition(job, name)
    check_results(job)
    if job.kind not in OPERATION_BY_KIND:
        return
    parameters = job.operation.parameters
    if not parameters.keys() <= _PARAMETERS[job.kind] or parameters.get("fit", "contain") not in FITS:
        raise ValueError("operation.parameters: unknown")
    if job.kind is Kind.PROCESS:
        try:
            _read_steps(job)
        except ValueError as error:
            raise ValueError("operation.parameters.steps: unknown") from error


def _read_steps(job: JobRecord) -> tuple[Step, ...]:
    written = job.operation.parameters.get("steps")
    if not isinstance(written, list):
        raise ValueError("operation.parameters.steps: no list")  # noqa: TRY004  # as of any other version's job
    return tuple(map(read_step, written))


def _check_definition(job: JobRecord, rendition: str) -> None:
    try:
        read_definition(job.operation, rendition)
    except ValueError as error:
        raise ValueError(f"operation.renditions.{rendition}: unknown") from error
