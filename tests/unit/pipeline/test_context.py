"""What ties lines together: the ids of a job, bound where work on it begins, on their way with its messages."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from celery.signals import task_postrun, task_prerun
from prometheus_client import CollectorRegistry
from structlog.contextvars import bound_contextvars, clear_contextvars, get_contextvars

from pipeline import tasks
from pipeline.celery import app
from pipeline.celery_request import JobContextRequest
from pipeline.context import job_log_context, job_traceparent
from pipeline.dispatch import dispatch
from pipeline.dispatch_metrics import DispatchMetrics
from tests.support.fakes import FakeBroker, new_job

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture(autouse=True)
def nothing_bound() -> Iterator[None]:
    """Begin and leave without bound ids."""
    clear_contextvars()
    yield
    clear_contextvars()


def _begin(task: Any, *args: str, **headers: str) -> None:
    """Have Celery say that a task begins whose message came with these headers."""
    task.push_request(args=args, **headers)
    task_prerun.send(sender=task, task_id="any", task=task, args=args, kwargs={})


def _end(task: Any) -> None:
    task_postrun.send(sender=task, task_id="any", task=task, args=(), kwargs={}, retval=None, state="SUCCESS")
    task.pop_request()


def test_lines_about_a_job_name_it_and_the_request_that_it_came_with() -> None:
    job = new_job(request_id="its-own")

    with job_log_context(job):
        bound = get_contextvars()

    assert bound == {"task_id": job.id, "request_id": "its-own"}
    assert not get_contextvars()


def test_lines_about_a_job_name_the_request_that_is_being_answered() -> None:
    with bound_contextvars(request_id="another"), job_log_context(new_job(request_id="its-own")):
        bound = get_contextvars()

    assert bound["request_id"] == "another"


async def test_the_messages_of_a_job_carry_what_it_came_with_whoever_has_them_sent(broker: FakeBroker) -> None:
    with bound_contextvars(request_id="another"):
        await dispatch(new_job(request_id="its-own", traceparent=TRACE), DispatchMetrics(CollectorRegistry()))

    [message] = broker.take_messages()
    assert (message.headers["request_id"], message.headers["job_trace"]) == ("its-own", TRACE)


async def test_the_messages_of_a_job_without_a_request_carry_nothing_more(broker: FakeBroker) -> None:
    await dispatch(new_job(), DispatchMetrics(CollectorRegistry()))

    [message] = broker.take_messages()
    assert not {"request_id", "job_trace"} & message.headers.keys()


@pytest.mark.parametrize(
    ("task", "args", "stage"),
    [
        (tasks.normalize, ("one",), "normalize"),
        (tasks.resize, ("one", "small"), "small"),
        (tasks.on_failed, ("failed", "one"), None),
    ],
    ids=["normalize", "resize", "on_failed"],
)
def test_the_lines_of_a_task_name_its_job_request_and_stage(task: Any, args: tuple[str, ...], stage: str) -> None:
    _begin(task, *args, root_id="one.2", request_id="its-own")
    bound = get_contextvars()
    _end(task)

    assert bound == {"task_id": "one", "request_id": "its-own"} | ({"stage": stage} if stage else {})


def test_the_lines_after_a_task_name_nothing() -> None:
    _begin(tasks.validate, "one", root_id="one", request_id="its-own", job_trace=TRACE)
    _end(tasks.validate)

    assert (get_contextvars(), job_traceparent()) == ({}, None)


def test_what_a_task_sends_carries_what_its_own_message_did(broker: FakeBroker) -> None:
    _begin(tasks.validate, "one", root_id="one", request_id="its-own", job_trace=TRACE)
    tasks.normalize.si("one").apply_async()
    _end(tasks.validate)

    [message] = broker.take_messages()
    assert (message.headers["request_id"], message.headers["job_trace"]) == ("its-own", TRACE)


async def test_a_workers_parent_names_the_job_of_a_child_that_takes_too_long(broker: FakeBroker) -> None:
    job = new_job(request_id="its-own")
    await dispatch(job, DispatchMetrics(CollectorRegistry()))
    [message] = broker.take_messages()
    bound: list[Mapping[str, Any]] = []
    logger, listener = logging.getLogger("celery.worker.request"), _Listener(bound)

    logger.addHandler(listener)
    JobContextRequest(message, app=app, hostname="worker").on_timeout(True, 8)  # noqa: FBT003  # as Celery calls it
    logger.removeHandler(listener)

    assert bound == [{"task_id": job.id, "request_id": "its-own", "stage": "validate"}]


class _Listener(logging.Handler):
    """Keeps what is bound when a line is written."""

    def __init__(self, bound: list[Mapping[str, Any]]) -> None:
        super().__init__()
        self._bound = bound

    def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002  # only its context is looked at
        self._bound.append(get_contextvars())


def test_a_message_about_an_endpoint_is_no_part_of_a_job() -> None:
    _begin(tasks.notify, "an-endpoint", root_id="its-own-id")

    bound = get_contextvars()

    _end(tasks.notify)
    assert bound == {"webhook_id": "an-endpoint"}
