"""Log context of a job: its ids, bound to each log line about it and propagated in the headers of its messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

from celery import Task
from celery.signals import before_task_publish, task_postrun, task_prerun
from structlog.contextvars import bind_contextvars, bound_contextvars, clear_contextvars, get_contextvars

from pipeline.routing import ERRBACK, NOTIFY, RESIZE
from storage.documents import JobRecord

PROPAGATED_HEADERS = ("request_id", "job_trace")
"""Headers of a job's messages. A task copies them to the messages that it sends."""

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_propagated_headers: ContextVar[Mapping[str, str]] = ContextVar("propagated_headers", default=_NO_HEADERS)


@contextmanager
def job_log_context(job: JobRecord) -> Iterator[None]:
    """Add the job's id to each log line, and the id of its POST unless another request is being answered."""
    request_fields = {"request_id": job.request_id} if job.request_id else {}
    with bound_contextvars(**{**request_fields, **get_contextvars(), "task_id": job.id}):
        yield


@contextmanager
def propagate_job_headers(job: JobRecord) -> Iterator[None]:
    """Add the request id and the trace of the job's POST to each message sent in the block, whoever sends it."""
    with _propagate_headers({"request_id": job.request_id, "job_trace": job.traceparent}):
        yield


@contextmanager
def message_context(headers: Mapping[str, Any], name: str, args: Sequence[Any]) -> Iterator[None]:
    """Bind and propagate the ids of a message's job. For a worker's parent, where no task binds them."""
    with bound_contextvars(**_log_fields(headers, name, args)), _propagate_headers(headers):
        yield


@contextmanager
def _propagate_headers(ids: Mapping[str, Any]) -> Iterator[None]:
    token = _propagated_headers.set(_select_headers(ids))
    try:
        yield
    finally:
        _propagated_headers.reset(token)


def job_traceparent() -> str | None:
    """Return the traceparent of the POST that submitted the current task's job."""
    return _propagated_headers.get().get("job_trace")


@before_task_publish.connect
def _add_propagated_headers(headers: dict[str, Any], **_: object) -> None:
    for name, value in _propagated_headers.get().items():
        headers.setdefault(name, value)


@task_prerun.connect
def _bind_before_task(task: Task[Any, Any], args: Sequence[Any], **_: object) -> None:
    """Bind the ids for the whole task: Celery sends the next messages after the task's body has returned."""
    request = task.request
    headers = {name: getattr(request, name, None) for name in ("root_id", *PROPAGATED_HEADERS)}
    clear_contextvars()
    bind_contextvars(**_log_fields(headers, task.name, args))
    _propagated_headers.set(_select_headers(headers))


@task_postrun.connect
def _clear_after_task(**_: object) -> None:
    clear_contextvars()
    _propagated_headers.set(_NO_HEADERS)


def _select_headers(headers: Mapping[str, Any]) -> Mapping[str, str]:
    return {name: headers[name] for name in PROPAGATED_HEADERS if headers.get(name)}


def _log_fields(headers: Mapping[str, Any], name: str, args: Sequence[Any]) -> dict[str, str]:
    """Return the log fields of a message. The `root_id` of a canvas is the job id, with the generation if not 0.

    A message about an endpoint of webhooks is no part of a job.
    """
    if name == NOTIFY:
        return {"webhook_id": str(args[0])} if args else {}
    job_id, _, _ = (headers.get("root_id") or "").partition(".")
    stage = {RESIZE: args[-1], ERRBACK: None}.get(name, name)  # a resize has its rendition's name, its last argument
    ids = {"task_id": job_id, "request_id": headers.get("request_id"), "stage": stage}
    return {key: value for key, value in ids.items() if value}
