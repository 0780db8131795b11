"""Run the tasks of a job in this process, each as a message of its own."""

from __future__ import annotations

from typing import Any

from celery import Task

from pipeline import tasks
from storage.documents import Job


def run_task(task: Task[Any, Any], *arguments: str) -> None:
    """Run a task. Raises what it raises; the canvas ends with one that raises `Ignore`."""
    task.push_request(id="-".join((task.name, *arguments)), hostname="here")
    try:
        task.run(*arguments)
    finally:
        task.pop_request()


def run_stages(job: Job) -> None:
    """Run all stages of an upload in their order."""
    run_task(tasks.validate, job.id)
    run_task(tasks.normalize, job.id)
    for name in job.operation.renditions:
        run_task(tasks.resize, job.id, name)
    run_task(tasks.finalize, job.id)
