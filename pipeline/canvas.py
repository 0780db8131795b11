"""The pipeline: one expression a kind of job, one stage a line."""

from __future__ import annotations

from collections.abc import Sequence

from celery import chain, group
from celery.canvas import Signature

from pipeline import tasks
from storage.documents import JobRecord, Kind


def previews(job_id: str, renditions: Sequence[str], root: str) -> Signature[None]:
    """Return the canvas of an upload; a group followed by a task is a chord."""
    return chain(
        tasks.validate.si(job_id).set(task_id=root),
        tasks.normalize.si(job_id),
        group(tasks.resize.si(job_id, name) for name in renditions),
        tasks.finalize.si(job_id),
    )


def operation(job_id: str, root: str) -> Signature[None]:
    """Return the canvas of a crop, a grayscale or a resize."""
    return chain(
        tasks.validate.si(job_id).set(task_id=root),
        tasks.transform.si(job_id),
        tasks.finalize.si(job_id),
    )


def canvas_of(job: JobRecord) -> Signature[None]:
    """Return the canvas of a job, with its errback on the whole of it."""
    root = root_id(job)
    whole = (
        previews(job.id, list(job.operation.renditions), root) if job.kind is Kind.PREVIEWS else operation(job.id, root)
    )
    whole.link_error(tasks.on_failed.s(job.id))
    return whole


def root_id(job: JobRecord) -> str:
    """Return the id of the canvas's first task, which every task of it carries as `root_id`."""
    return f"{job.id}.{job.generation}" if job.generation else job.id


def submit(job: JobRecord) -> None:
    """Publish the job's canvas: one message. Raises kombu's `OperationalError` when the broker does not take it.

    Blocks for as long as the broker's socket timeout, so an event loop calls it in a thread.
    """
    canvas_of(job).apply_async(retry=False)
