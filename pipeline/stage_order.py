"""The order of a job's stages, for the job document: which come before a stage, which after, and its rendition."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.routing import EXPORT, FETCH, FINALIZE, NORMALIZE, RESIZE, ROUTES, TRANSFORM, VALIDATE
from storage.documents import KINDS_WITH_RENDITIONS, OUTPUT, JobRecord, Kind

StageOrder = tuple[tuple[str, ...], ...]
"""The stages of a job; those that run in parallel are in one tuple."""


def stage_order(
    kind: Kind, renditions: Iterable[str] = (), *, is_fetched: bool = False, is_exported: bool = False
) -> StageOrder:
    """Return the stages of a kind of job, in the order of its canvas.

    `is_fetched` says that its original is not uploaded, `is_exported` that its renditions are put into a bucket.
    """
    fetch, export = ((FETCH,),) if is_fetched else (), ((EXPORT,),) if is_exported else ()
    if kind in KINDS_WITH_RENDITIONS:
        return *fetch, (VALIDATE,), (NORMALIZE,), tuple(renditions), *export, (FINALIZE,)
    return *fetch, (VALIDATE,), (TRANSFORM,), (FINALIZE,)


def stage_order_of(job: JobRecord) -> StageOrder:
    """Return the stages of this job."""
    return stage_order(
        job.kind,
        job.operation.renditions,
        is_fetched=has_stage(job, FETCH),
        is_exported=has_stage(job, EXPORT),
    )


def has_stage(job: JobRecord, stage: str) -> bool:
    """Whether a job has this stage, `fetch` or `export`. Renditions of earlier versions may have such a name."""
    return stage in job.stages and stage not in job.operation.renditions


def stage_by_rendition(job: JobRecord) -> dict[str, str]:
    """Return the stage that makes each rendition of the job."""
    if job.kind in KINDS_WITH_RENDITIONS:
        return {name: name for name in job.operation.renditions}
    return {OUTPUT: TRANSFORM}


def prerequisites(order: StageOrder, stage: str) -> tuple[str, ...]:
    """Return the stages that must be done before this one may run."""
    return tuple(name for names in order[: _index(order, stage)] for name in names)


def next_stages(order: StageOrder, stage: str) -> tuple[str, ...]:
    """Return the stages that become due when this one is done."""
    following = order[_index(order, stage) + 1 :]
    return following[0] if following else ()


def queue_of_stage(stage: str) -> str:
    """Return the queue of a stage; a rendition's stage has the queue of resizes."""
    return ROUTES.get(stage, ROUTES[RESIZE])["queue"]


def stages_of_queue(queue: str, renditions: Iterable[str]) -> tuple[str, ...]:
    """Return the stages of all kinds of job that have this queue."""
    orders = [stage_order(kind, renditions, is_fetched=True, is_exported=True) for kind in Kind]
    stages = dict.fromkeys(name for order in orders for names in order for name in names)
    return tuple(stage for stage in stages if queue_of_stage(stage) == queue)


def _index(order: StageOrder, stage: str) -> int:
    index = next((i for i, names in enumerate(order) if stage in names), None)
    if index is None:
        raise ValueError(f"{stage!r} is not a stage of this kind of job")
    return index
