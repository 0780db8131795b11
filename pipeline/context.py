"""What ties the lines of a job together: its ids, bound where work on it begins and sent along with its messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

from celery import Task
from celery.signals import before_task_publish, task_postrun, task_prerun
from structlog.contextvars import bind_contextvars, bound_contextvars, clear_contextvars, get_contextvars

from pipeline.routing import ERRBACK, RESIZE
from storage.documents import JobRecord

SENT_ALONG = ("request_id", "job_trace")
"""Headers of a job's messages, handed on to the messages that are sent because of them."""

_NOTHING: Mapping[str, str] = MappingProxyType({})
_sent_along: ContextVar[Mapping[str, str]] = ContextVar("sent_along", default=_NOTHING)


@contextmanager
def lines_of(job: JobRecord) -> Iterator[None]:
    """Name the job in every line, and the request that it came with, unless another one is being answered here."""
    came_with = {"request_id": job.request_id} if job.request_id else {}
    with bound_contextvars(**{**came_with, **get_contextvars(), "task_id": job.id}):
        yield


@contextmanager
def messages_of(job: JobRecord) -> Iterator[None]:
    """Send the ids that the job came with along with its messages, whoever has them sent."""
    with _sending_along({"request_id": job.request_id, "job_trace": job.traceparent}):
        yield


@contextmanager
def message(headers: Mapping[str, Any], name: str, args: Sequence[Any]) -> Iterator[None]:
    """Name the job of a message in every line, and send its ids along: for a worker's parent, which runs no task."""
    with bound_contextvars(**_ids(headers, name, args)), _sending_along(headers):
        yield


@contextmanager
def _sending_along(ids: Mapping[str, Any]) -> Iterator[None]:
    token = _sent_along.set(_known(ids))
    try:
        yield
    finally:
        _sent_along.reset(token)


def job_trace() -> str | None:
    """Return the traceparent of the request that the job of the current task came with."""
    return _sent_along.get().get("job_trace")


@before_task_publish.connect
def _send_along(headers: dict[str, Any], **_: object) -> None:
    for name, value in _sent_along.get().items():
        headers.setdefault(name, value)


@task_prerun.connect
def _begin(task: Task[Any, Any], args: Sequence[Any], **_: object) -> None:
    """Bind for the whole of a task: also while Celery sends what follows it, which is after its body has returned."""
    headers = {name: getattr(task.request, name, None) for name in ("root_id", *SENT_ALONG)}
    clear_contextvars()
    bind_contextvars(**_ids(headers, task.name, args))
    _sent_along.set(_known(headers))


@task_postrun.connect
def _end(**_: object) -> None:
    clear_contextvars()
    _sent_along.set(_NOTHING)


def _known(headers: Mapping[str, Any]) -> Mapping[str, str]:
    return {name: headers[name] for name in SENT_ALONG if headers.get(name)}


def _ids(headers: Mapping[str, Any], name: str, args: Sequence[Any]) -> dict[str, str]:
    """Return what a message tells of its job: the root of a canvas is the job, or the job and a generation."""
    job_id, _, _ = (headers.get("root_id") or "").partition(".")
    stage = {RESIZE: args[-1], ERRBACK: None}.get(name, name)  # a resize is one of several
    ids = {"task_id": job_id, "request_id": headers.get("request_id"), "stage": stage}
    return {key: value for key, value in ids.items() if value}
