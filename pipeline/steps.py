"""The order of a job's stages, for those who note it down: what a stage comes after, and what follows it."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.celery import ROUTES

Steps = tuple[tuple[str, ...], ...]


def steps(renditions: Iterable[str]) -> Steps:
    """Return the stages of an upload's job, those that run side by side in one tuple; the same order as the canvas."""
    return ("validate",), ("normalize",), tuple(renditions), ("finalize",)


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


def _index(order: Steps, stage: str) -> int:
    index = next((i for i, step in enumerate(order) if stage in step), None)
    if index is None:
        raise ValueError(f"{stage!r} is not a stage of this kind of job")
    return index
