"""Runs of a stage: an image that ends its worker each time has four; one that was taken over is none."""

from __future__ import annotations

import errno
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from celery.exceptions import Ignore, Retry
from PIL import Image
from prometheus_client import CollectorRegistry
from redis import Redis

from pipeline import tasks
from pipeline.metrics import StageMetrics
from pipeline.settings import Settings
from pipeline.stage_failures import ATTEMPTS_EXHAUSTED, MasterLost
from pipeline.stage_run import StageRun, run_stage
from pipeline.worker_child import WorkerChild, open_worker_child
from stages.errors import FetchFailed, ImageCorrupt, StageError, TemporaryError
from storage.documents import JobState, StageState
from storage.stores import Stores
from tests.support.fakes import new_job
from tests.support.images import encode_image, photo
from tests.support.stage_tasks import run_stages

MESSAGE = "delivered-again"


@pytest.fixture
def child(settings: Settings, redis: Redis) -> Iterator[WorkerChild]:  # noqa: ARG001
    with open_worker_child(settings, StageMetrics(CollectorRegistry())) as child:
        yield child


@pytest.fixture
async def job_id(stores: Stores) -> str:
    job = new_job()
    await stores.jobs.insert(job)
    return job.id


def claim(child: WorkerChild, job_id: str) -> StageRun:
    """Claim the stage for the same message as before: its earlier run is taken for dead."""
    run = StageRun.claim(child, job_id, "validate", message_id=MESSAGE, worker="here")
    assert run is not None
    return run


@pytest.mark.parametrize("end", ["complete", "refuse", "mark_dead", "release"])
def test_a_run_that_was_taken_over_alive_uses_up_no_attempt(child: WorkerChild, job_id: str, end: str) -> None:
    limit = child.settings.work.max_attempts
    taken_over = [claim(child, job_id) for _ in range(limit)]
    claim(child, job_id)

    for run in taken_over:
        _end(run, end)

    last = claim(child, job_id)
    assert not last.attempts_exceeded
    assert last.complete({})


def test_a_run_that_was_taken_over_removes_what_it_wrote(child: WorkerChild, job_id: str) -> None:
    taken_over, last = claim(child, job_id), claim(child, job_id)
    removed, kept = (run.blobs.write_original(iter([b"bytes"])) for run in (taken_over, last))

    assert not taken_over.complete({})

    assert (child.blobs.exists(removed), child.blobs.exists(kept)) == (False, True)


async def test_a_job_that_is_done_has_its_original_and_its_renditions(child: WorkerChild, stores: Stores) -> None:
    job = new_job()
    child.blobs.put(job.original.blob, encode_image(photo(200, 150)))
    await stores.jobs.insert(job)

    run_stages(job)

    assert sorted(child.blobs.list_all_names(job.id)) == ["large.1", "medium.1", "original", "small.1"]


@pytest.mark.parametrize("retries", [0, 1])  # the message is one that an earlier run has sent again, or not
async def test_an_image_that_ends_its_worker_each_time_is_dead_after_the_last_attempt(
    child: WorkerChild, job_id: str, stores: Stores, retries: int
) -> None:
    for _ in range(child.settings.work.max_attempts):
        claim(child, job_id)  # and the process ends

    redelivered = {"redelivered": True}
    tasks.validate.push_request(id=MESSAGE, hostname="here", retries=retries, delivery_info=redelivered)
    with pytest.raises(Ignore):
        tasks.validate.run(job_id)
    tasks.validate.pop_request()

    job = await stores.jobs.get(job_id)
    assert (job.state, job.failure and job.failure.code) == (JobState.DEAD, ATTEMPTS_EXHAUSTED)


async def test_a_temporary_error_is_retried_and_refuses_the_job_at_the_last_attempt(
    child: WorkerChild, job_id: str, stores: Stores
) -> None:
    *earlier, last = range(child.settings.work.max_attempts)

    for retries in earlier:
        with pytest.raises(Retry):
            _run_with_temporary_error(job_id, retries)
        job = await stores.jobs.get(job_id)
        record = job.stages["validate"]
        assert (job.is_active, record.state, record.error) == (True, StageState.PENDING, "fetch_failed")
    with pytest.raises(FetchFailed):
        _run_with_temporary_error(job_id, last)

    job = await stores.jobs.get(job_id)
    assert job.failure is not None
    assert (job.state, job.failure.code) == (JobState.FAILED, "fetch_failed")
    assert job.failure.message == "The host did not answer."


@pytest.mark.parametrize(
    "error",
    [
        ImageCorrupt(),
        TemporaryError(FetchFailed("The host did not answer."), detail="OutboundFailed"),
        MasterLost("It is missing."),
        MemoryError(),
        SoftTimeLimitExceeded(),
        OSError(errno.ENOSPC, "No space left on device"),
        ZeroDivisionError(),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("earlier", [0, 3])
def test_an_error_that_is_kept_holds_no_image(child: WorkerChild, job_id: str, error: Exception, earlier: int) -> None:
    images = list[weakref.ref[Image.Image]]()

    def work(_: StageRun) -> Mapping[str, Any]:
        image = Image.new("L", (9, 9))
        images.append(weakref.ref(image))
        try:
            image.seek(1)  # it has no such frame
        except EOFError as cause:
            raise error from cause
        return {}

    for _ in range(earlier):
        claim(child, job_id)  # and the process ends
    with pytest.raises((StageError, Retry, Ignore)) as kept:
        _run(job_id, work, retries=0)

    assert kept.value
    assert [image() for image in images] == [None]


@pytest.mark.usefixtures("child")
def test_a_run_with_attempts_left_is_retried_however_often_its_message_was_sent_again(job_id: str) -> None:
    with pytest.raises(Retry):
        _run_with_temporary_error(job_id, retries=20)


def _run_with_temporary_error(job_id: str, retries: int) -> None:
    def work(_: StageRun) -> Mapping[str, Any]:
        raise TemporaryError(FetchFailed("The host did not answer."), detail="OutboundFailed")

    _run(job_id, work, retries=retries)


def _run(job_id: str, work: Callable[[StageRun], Mapping[str, Any]], *, retries: int) -> None:
    tasks.validate.push_request(id=MESSAGE, hostname="here", retries=retries, called_directly=False, args=[job_id])
    try:
        run_stage(tasks.validate, job_id, "validate", work)
    finally:
        tasks.validate.pop_request()


def _end(run: StageRun, end: str) -> None:
    match end:
        case "complete":
            assert not run.complete({})
        case "refuse":
            run.refuse(ImageCorrupt())
        case "mark_dead":
            run.mark_dead("internal_error", "It failed.")
        case _:
            run.release("infrastructure_error", counts_as_attempt=False)
