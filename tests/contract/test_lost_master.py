"""A master that its disk lost between normalize and a resize: it is made again, and the job ends with its previews."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from celery.exceptions import Ignore
from prometheus_client import CollectorRegistry
from redis import Redis

from pipeline import tasks
from pipeline.metrics import StageMetrics
from pipeline.results import find_files, find_results
from pipeline.settings import Settings
from pipeline.stage_failures import ATTEMPTS_EXHAUSTED, MASTER_LOST, MASTER_LOST_TOO_OFTEN
from pipeline.stage_run import StageRun
from pipeline.sweeper import Sweeper
from pipeline.worker_child import WorkerChild, open_worker_child
from storage.blobs import Blobs
from storage.clock import now_ms
from storage.documents import Job, JobState, Operation, StageState
from storage.stores import Stores
from tests.support.fakes import RENDITIONS, FakeQueues, new_job
from tests.support.images import encode_image, photo
from tests.support.revisions import reprocess
from tests.support.stage_tasks import run_task

CARD = {"width": 40, "height": 40, "fit": "cover", "formats": ["webp", "jpeg"], "dpr": [1, 2]}


def _remove(blobs: Blobs, key: str) -> None:
    folder, _, name = key.rpartition("/")
    blobs.remove(folder, [name])


def _truncate(blobs: Blobs, key: str) -> None:
    blobs.put(key, blobs.get(key)[:1000])


def _empty(blobs: Blobs, key: str) -> None:
    blobs.put(key, b"")


def _zero(blobs: Blobs, key: str) -> None:
    blobs.put(key, bytes(len(blobs.get(key))))


def _zero_the_end(blobs: Blobs, key: str) -> None:
    """Zero the last level, so that only the smallest rendition finds it."""
    blobs.put(key, blobs.get(key)[:-4096] + bytes(4096))


LOSSES = [_remove, _truncate, _empty, _zero, _zero_the_end]
losses = pytest.mark.parametrize("lose", LOSSES, ids=lambda lose: lose.__name__.strip("_"))


@pytest.fixture(params=["file", "memory"])
def child(request: pytest.FixtureRequest, settings: Settings, redis: Redis, tmp_path: Path) -> Iterator[WorkerChild]:  # noqa: ARG001
    url = tmp_path.as_uri() if request.param == "file" else "memory:///"
    with open_worker_child(settings.model_copy(update={"blob_url": url}), StageMetrics(CollectorRegistry())) as child:
        yield child


async def submit(child: WorkerChild, stores: Stores, renditions: dict[str, Any] | None = None) -> Job:
    wanted = Operation(renditions=renditions or RENDITIONS)
    job = new_job(operation=wanted, renditions=dict.fromkeys(wanted.renditions, 1))
    child.blobs.put(job.original.blob, encode_image(photo(1000, 750)))
    await stores.jobs.insert(job)
    return job


def run_canvas(job: Job) -> None:
    """Run what a dispatch sends: all stages in order, up to the first group of which a part does not end."""
    with suppress(Ignore):
        run_task(tasks.validate, job.id)
        run_task(tasks.normalize, job.id)
        ignored = [name for name in job.operation.renditions if not _resize(job, name)]
        if not ignored:
            run_task(tasks.finalize, job.id)


def _resize(job: Job, name: str) -> bool:
    try:
        run_task(tasks.resize, job.id, name)
    except Ignore:
        return False
    return True


def begin(job: Job) -> None:
    run_task(tasks.validate, job.id)
    run_task(tasks.normalize, job.id)


def master_of(job: Job) -> str:
    return str((job.stages["normalize"].result or {})["blob"])


async def lose_master(child: WorkerChild, stores: Stores, job: Job, lose: Callable[[Blobs, str], None]) -> None:
    lose(child.blobs, master_of(await stores.jobs.get(job.id)))


async def read_previews(child: WorkerChild, stores: Stores, job: Job) -> list[bytes]:
    found = await stores.jobs.get(job.id)
    assert found.state is JobState.DONE
    results = find_results(found)
    return [child.blobs.get(file["blob"]) for name in sorted(results) for file in find_files(results[name])]


@pytest.fixture
async def expected(child: WorkerChild, stores: Stores) -> list[bytes]:
    """Return the previews of a job that loses nothing."""
    job = await submit(child, stores)
    run_canvas(job)
    return await read_previews(child, stores, job)


@losses
async def test_a_lost_master_is_made_again_and_the_previews_are_the_same(
    child: WorkerChild, stores: Stores, expected: list[bytes], lose: Callable[[Blobs, str], None]
) -> None:
    job = await submit(child, stores)
    begin(job)
    await lose_master(child, stores, job, lose)

    run_canvas(job)  # finds it lost
    run_canvas(job)  # is the next dispatch

    assert await read_previews(child, stores, job) == expected


async def test_only_normalize_and_what_needs_it_runs_again(child: WorkerChild, stores: Stores) -> None:
    job = await submit(child, stores)
    begin(job)
    run_task(tasks.resize, job.id, "large")
    await lose_master(child, stores, job, _remove)

    run_canvas(job)
    lost = await stores.jobs.get(job.id)
    run_canvas(job)

    done = await stores.jobs.get(job.id)
    assert {name: record.state for name, record in lost.stages.items()} == {
        "validate": StageState.DONE,
        "normalize": StageState.PENDING,
        "small": StageState.PENDING,
        "medium": StageState.PENDING,
        "large": StageState.DONE,
        "finalize": StageState.PENDING,
    }
    attempts = {name: record.attempts for name, record in done.stages.items()}
    assert (attempts["validate"], attempts["normalize"], attempts["large"]) == (1, 2, 1)
    assert done.stages["large"].queued_ms == lost.stages["large"].queued_ms  # it has not waited again


async def test_a_stage_that_is_sent_back_says_why_and_has_not_failed(child: WorkerChild, stores: Stores) -> None:
    job = await submit(child, stores)
    begin(job)
    await lose_master(child, stores, job, _remove)

    run_canvas(job)

    stages = (await stores.jobs.get(job.id)).stages
    assert (stages["normalize"].error, stages["small"].error) == (MASTER_LOST, MASTER_LOST)
    assert stages["normalize"].result is None
    assert [stages[name].attempts - stages[name].retries for name in RENDITIONS] == [0, 0, 0]


async def test_the_sweeper_dispatches_the_job_in_its_next_round(
    child: WorkerChild, stores: Stores, settings: Settings
) -> None:
    job = await submit(child, stores)
    begin(job)
    await lose_master(child, stores, job, _remove)

    run_canvas(job)  # all three resizes have been claimed, each of which postpones the sweeper
    due = (await stores.jobs.get(job.id)).next_dispatch_ms
    await Sweeper(stores, FakeQueues(), settings).dispatch_due()

    assert due <= now_ms()
    assert (await stores.jobs.get(job.id)).generation == 1


async def test_a_resize_that_finds_the_loss_late_does_not_undo_the_new_master(
    child: WorkerChild, stores: Stores, expected: list[bytes]
) -> None:
    job = await submit(child, stores)
    begin(job)
    late = StageRun.claim(child, job.id, "small", message_id="late", worker="here")
    assert late is not None
    await lose_master(child, stores, job, _remove)
    _resize(job, "large")
    run_task(tasks.normalize, job.id)

    with pytest.raises(Exception, match="missing") as caught:
        late.blobs.read_master("small")
    late.send_back(caught.value)  # type: ignore[arg-type]

    assert (await stores.jobs.get(job.id)).stages["normalize"].state is StageState.DONE
    run_canvas(job)
    assert await read_previews(child, stores, job) == expected


async def test_a_run_that_was_taken_over_sends_nothing_back(child: WorkerChild, stores: Stores) -> None:
    job = await submit(child, stores)
    begin(job)
    taken_over, _ = (StageRun.claim(child, job.id, "small", message_id="same", worker="here") for _ in range(2))
    assert taken_over is not None
    await lose_master(child, stores, job, _remove)

    with pytest.raises(Exception, match="missing") as caught:
        taken_over.blobs.read_master("small")
    taken_over.send_back(caught.value)  # type: ignore[arg-type]

    stages = (await stores.jobs.get(job.id)).stages
    assert (stages["normalize"].state, stages["small"].state) == (StageState.DONE, StageState.RUNNING)


async def test_variants_are_made_of_the_new_master(child: WorkerChild, stores: Stores) -> None:
    undisturbed, job = [await submit(child, stores, {"card": CARD, "small": 24}) for _ in range(2)]
    run_canvas(undisturbed)
    begin(job)
    await lose_master(child, stores, job, _zero_the_end)

    run_canvas(job)
    run_canvas(job)

    assert await read_previews(child, stores, job) == await read_previews(child, stores, undisturbed)


async def test_a_job_that_is_reprocessed_ends_with_the_previews_of_its_new_revision(
    child: WorkerChild, stores: Stores, expected: list[bytes]
) -> None:
    job = await submit(child, stores)
    run_canvas(job)
    assert await reprocess(stores, await stores.jobs.get(job.id)) is not None
    begin(job)
    await lose_master(child, stores, job, _zero_the_end)

    run_canvas(job)
    run_canvas(job)

    assert await read_previews(child, stores, job) == expected
    assert (await stores.jobs.get(job.id)).revision == 1


async def test_a_disk_that_always_loses_the_master_ends_the_job_as_dead(child: WorkerChild, stores: Stores) -> None:
    job = await submit(child, stores)
    attempts = child.settings.work.max_attempts

    for _ in range(attempts):
        begin(job)
        await lose_master(child, stores, job, _remove)
        run_canvas(job)
    with pytest.raises(Ignore):
        begin(job)

    found = await stores.jobs.get(job.id)
    assert found.failure is not None
    assert (found.state, found.failure.code) == (JobState.DEAD, ATTEMPTS_EXHAUSTED)
    assert (found.failure.stage, found.failure.message) == ("normalize", MASTER_LOST_TOO_OFTEN)


async def test_a_person_can_retry_such_a_job(child: WorkerChild, stores: Stores, expected: list[bytes]) -> None:
    job = await submit(child, stores)
    for _ in range(child.settings.work.max_attempts):
        begin(job)
        await lose_master(child, stores, job, _remove)
        run_canvas(job)
    run_canvas(job)

    dead = await stores.jobs.get(job.id)
    await stores.jobs.clear_outbox(dead)
    assert await stores.jobs.retry(dead, next_dispatch_ms=now_ms())
    run_canvas(job)

    assert await read_previews(child, stores, job) == expected


async def test_a_master_of_a_worker_that_recorded_no_checksum_is_read(
    child: WorkerChild, stores: Stores, expected: list[bytes]
) -> None:
    job = await submit(child, stores)
    begin(job)
    unset = {f"stages.normalize.result.levels.{name}.checksum": "" for name in RENDITIONS}
    await Job.get_motor_collection().update_one({"_id": job.id}, {"$unset": unset})

    run_canvas(job)

    assert await read_previews(child, stores, job) == expected
