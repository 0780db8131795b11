"""The order of a job's stages, for those who note it down: what a stage comes after, and what follows it."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.celery import ROUTES
from storage.documents import JobRecord, Kind

Steps = tuple[tuple[str, ...], ...]


def steps(kind: Kind, renditions: Iterable[str] = ()) -> Steps:
    """Return the stages of a job, those that run side by side in one tuple; the same order as its canvas."""
    if kind is Kind.PREVIEWS:
        return ("validate",), ("normalize",), tuple(renditions), ("finalize",)
    return ("validate",), ("transform",), ("finalize",)


def steps_of(job: JobRecord) -> Steps:
    """Return the stages of this job."""
    return steps(job.kind, job.operation.renditions)


def before(order: Steps, stage: str) -> tuple[str, ...]:
    """Return the stages that must be done before this one may run."""
    return tuple(name for step in order[: _index(order, stage)] for name in step)


def after(order: Steps, stage: str) -> tuple[str, ...]:
    """Return the stages that become due when this one is done."""
    following = order[_index(order, stage) + 1 :]
    return following[0] if following else ()


def queue_of(stage: str) -> str:
    """Return the queue that a stage waits in; a rendition waits among the resizes."""
    return ROUTES[stage]["queue"] if stage in ROUTES else ROUTES["resize"]["queue"]


def stages_of(queue: str, renditions: Iterable[str]) -> tuple[str, ...]:
    """Return the stages that wait in a queue."""
    stages = (*dict.fromkeys(name for kind in Kind for step in steps(kind, renditions) for name in step),)
    return tuple(stage for stage in stages if queue_of(stage) == queue)


def _index(order: Steps, stage: str) -> int:
    index = next((i for i, step in enumerate(order) if stage in step), None)
    if index is None:
        raise ValueError(f"{stage!r} is not a stage of this kind of job")
    return index
