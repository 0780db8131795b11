"""The pipeline: one expression for each kind of job, one stage on each line."""

from __future__ import annotations

from typing import Any

from celery import Task, chain, group
from celery.canvas import Signature

from pipeline import tasks
from pipeline.lanes import queue_of_message
from pipeline.routing import ERRBACK
from pipeline.stage_order import has_stage
from storage.documents import KINDS_WITH_RENDITIONS, JobRecord


def previews(job: JobRecord) -> Signature[None]:
    """Return the canvas of an upload, or of an image on demand, which has one rendition.

    Celery makes a chord of a group that is followed by a task.
    """
    return chain(
        *_if_stage(job, tasks.fetch),
        _task_in_queue(job, tasks.validate),
        _task_in_queue(job, tasks.normalize),
        group(_task_in_queue(job, tasks.resize, name) for name in job.operation.renditions),
        *_if_stage(job, tasks.export),
        _task_in_queue(job, tasks.finalize),
    )


def operation(job: JobRecord) -> Signature[None]:
    """Return the canvas of an operation: of a crop, a grayscale, a resize, or of several steps."""
    return chain(
        *_if_stage(job, tasks.fetch),
        _task_in_queue(job, tasks.validate),
        _task_in_queue(job, tasks.transform),
        _task_in_queue(job, tasks.finalize),
    )


def build_canvas(job: JobRecord) -> Signature[None]:
    """Return the canvas of a job, with its errback on the whole canvas."""
    canvas = previews(job) if job.kind in KINDS_WITH_RENDITIONS else operation(job)
    first: Signature[None] = canvas.tasks[0]  # type: ignore[attr-defined]  # a chain has them
    first.set(task_id=root_id(job))
    canvas.link_error(tasks.on_failed.s(job.id).set(queue=queue_of_message(job, ERRBACK)))
    return canvas


def root_id(job: JobRecord) -> str:
    """Return the id of the canvas's first task; all its tasks carry it as `root_id`."""
    return f"{job.id}.{job.generation}" if job.generation else job.id


def publish_canvas(job: JobRecord) -> None:
    """Publish the job's canvas as one message. Raises kombu's `OperationalError` when the broker does not accept it.

    May block for the broker's socket timeout, so call it in a thread from an event loop.
    """
    build_canvas(job).apply_async(retry=False)


def _if_stage(job: JobRecord, task: Task[Any, Any]) -> tuple[Signature[None], ...]:
    """Return a task of the job if its stage is one of the job's, else nothing. A rendition may have its name."""
    return (_task_in_queue(job, task),) if has_stage(job, task.name) else ()


def _task_in_queue(job: JobRecord, task: Task[Any, Any], rendition: str | None = None) -> Signature[None]:
    """Return a task of the job, for the queue of its stage in its lane. It ignores the previous task's result."""
    arguments = () if rendition is None else (rendition,)
    return task.si(job.id, *arguments).set(queue=queue_of_message(job, rendition or task.name))
