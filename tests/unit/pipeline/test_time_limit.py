"""The soft time limit is heard while a stage runs and never else; a child's reports fit the pipe to its parent."""

from __future__ import annotations

import os
import pickle
import signal

import pytest
from billiard.einfo import ExceptionInfo
from billiard.exceptions import SoftTimeLimitExceeded
from celery import Task
from celery.app.trace import build_tracer
from celery.exceptions import Retry
from prometheus_client import CollectorRegistry
from pymongo.errors import ServerSelectionTimeoutError

from pipeline import tasks
from pipeline.celery import app
from pipeline.metrics import StageMetrics
from pipeline.settings import Settings
from pipeline.time_limit import enforce_soft_time_limit
from pipeline.worker_child import open_worker_child
from stages.errors import StageError
from tests.support.fakes import UNREACHABLE_URL, FakeBroker, new_job_id

ONE_WRITE_BYTES = 16384  # a longer report is written in two pieces, and one of more than four times as much waits


def interrupt() -> None:
    """Send what a worker sends to a child whose task has run for too long."""
    os.kill(os.getpid(), signal.SIGUSR1)


def test_a_run_is_ended_by_the_limit() -> None:
    with pytest.raises(SoftTimeLimitExceeded), enforce_soft_time_limit():
        interrupt()


def test_what_follows_a_run_is_not() -> None:
    with enforce_soft_time_limit():
        pass

    interrupt()


def test_what_follows_a_run_that_the_limit_has_ended_is_not() -> None:
    with pytest.raises(SoftTimeLimitExceeded), enforce_soft_time_limit():
        interrupt()

    interrupt()


def test_the_next_run_is_ended_by_its_own_limit_only() -> None:
    with enforce_soft_time_limit():
        pass
    interrupt()

    with enforce_soft_time_limit():
        pass
    with pytest.raises(SoftTimeLimitExceeded), enforce_soft_time_limit():
        interrupt()


def reported(task: Task[..., None]) -> ExceptionInfo:
    """Run a task as a child does, without what it needs; return what its parent is told of its end."""
    request = {"id": "1", "args": [], "kwargs": {}, "root_id": new_job_id(), "retries": 0, "ignore_result": True}
    trace = build_tracer(task.name, task, app=app)
    report: ExceptionInfo = trace("1", [new_job_id()], {}, request)[0]
    return report


@pytest.fixture
def interrupted_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every task be told of the time limit while its retry is sent."""
    send = Task.retry

    def retry(self: Task[..., None], *args: object, **kwargs: object) -> Retry:
        interrupt()
        return send(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Task, "retry", retry)


@pytest.mark.usefixtures("interrupted_ends")
def test_a_retry_is_sent_and_reported_in_one_piece(broker: FakeBroker) -> None:
    settings = Settings(redis_url=UNREACHABLE_URL, mongo_url="mongodb://127.0.0.1:1/darkroom", mongo_timeout=0.1)
    with open_worker_child(settings, StageMetrics(CollectorRegistry())):
        report = reported(tasks.normalize)

    assert Retry.__name__ in str(report)
    assert ServerSelectionTimeoutError.__name__ in str(report)
    assert len(broker.take_messages()) == 1
    assert len(pickle.dumps(report)) < ONE_WRITE_BYTES


@pytest.mark.usefixtures("broker")
def test_a_refusal_is_reported_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise StageError("not an image")

    monkeypatch.setattr(tasks, "run_stage", refuse)
    report = reported(tasks.validate)

    assert "not an image" in str(report)
    assert len(pickle.dumps(report)) < ONE_WRITE_BYTES
