"""Every write of a job through the faults of a replica set: it happens once, or is known not to have happened."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pymongo.common
import pytest
from beanie import init_beanie
from celery import Task
from celery.exceptions import Ignore, Retry
from prometheus_client import CollectorRegistry
from redis import Redis

from pipeline import tasks
from pipeline.metrics import StageMetrics
from pipeline.settings import Settings
from pipeline.sweeper import Sweeper
from pipeline.tidying.tidier import Tidier
from pipeline.worker_child import open_worker_child
from stages.errors import StageError
from storage.blobs import Blobs
from storage.clock import now_ms
from storage.documents import Job, JobState, StageRecord, StageState
from storage.idempotency import IdempotencyKey
from storage.stores import Stores, open_stores
from tests.contract.conftest import create_client, create_gateway
from tests.contract.http_helpers import post
from tests.support.fakes import FakeQueues, new_job, part
from tests.support.images import photo_file
from tests.support.replica_set import Fault, ReplicaSet, Target, run_replica_set

TIMEOUT_MS = 1000
KEY = "key"
TRIES = 4

FAULTS = {
    "not the primary": Fault("error", applies=False, code=10107, elects=True),
    "stepped down": Fault("error", applies=False, code=189, elects=True),
    "interrupted": Fault("error", applies=False, code=11602),
    "shutting down": Fault("error", applies=False, code=91, elects=True),
    "cut off before": Fault("none", applies=False),
    "cut off after": Fault("none", applies=True, elects=True),
    "interrupted after": Fault("error", applies=True, code=11602),
    "stepped down before a majority had it": Fault("concern", applies=True, code=189, elects=True),
    "no majority in time": Fault("concern", applies=True, code=64, is_retryable=False),
    "no majority in time, rolled back": Fault("concern", applies=True, code=64, is_retryable=False, rolls_back=True),
    "cut off, rolled back": Fault("none", applies=True, elects=True, rolls_back=True),
}
LATE = Fault("late", applies=True)
IN_THE_SECOND_TRY = ("not the primary", "cut off after", "stepped down before a majority had it")
CASES = [(fault, 2) for fault in FAULTS] + [(fault, 1) for fault in IN_THE_SECOND_TRY]
"""Each fault, and how often it happens: the driver tries a write twice."""


@dataclass
class World:
    """A gateway, a worker and a tidier before the replica set, and the files of their blobs."""

    replica_set: ReplicaSet
    server: Stores
    """The stores without a replica set before them."""
    stores: Stores
    settings: Settings
    http: httpx.AsyncClient

    async def upload(self) -> httpx.Response:
        """Upload a photo."""
        return await post(self.http, part("file", photo_file(), filename="cat.jpg"), key=KEY)

    async def end_lease(self) -> None:
        """Have the lease of an unanswered key end, as it does with time."""
        keys = self.server.mongo[Job.get_motor_collection().database.name][IdempotencyKey.Settings.name]
        await keys.update_many({"state": "running"}, {"$set": {"expires_ms": 0}})

    async def run(self, task: Task[..., None], job_id: str) -> str:
        """Run a stage as Celery does, its retries too; return how the last run ended."""
        for retries in range(TRIES):
            request = {"id": f"{job_id} {task.name}", "hostname": "here", "retries": retries, "called_directly": False}
            task.push_request(**request, args=(job_id,), kwargs={})
            try:
                task.run(job_id)
            except Retry:
                continue
            except Ignore:
                return "ignored"
            except StageError:
                return "refused"
            else:
                return "done"
            finally:
                task.pop_request()
        return "still failing"


@pytest.fixture(scope="module")
def replica_set(mongo_url: str) -> Iterator[ReplicaSet]:
    with run_replica_set(mongo_url) as replica_set, pytest.MonkeyPatch.context() as patch:
        patch.setattr(pymongo.common, "MIN_HEARTBEAT_INTERVAL", 0.02)  # else each election takes half a second
        yield replica_set


@pytest.fixture(scope="module")
async def replicated_stores(replica_set: ReplicaSet, opened_stores: Stores) -> AsyncIterator[Stores]:
    async with open_stores(mongo_url=replica_set.url, blob_url="memory:///", timeout_ms=TIMEOUT_MS) as stores:
        yield stores
    database = opened_stores.mongo[Job.get_motor_collection().database.name]
    await init_beanie(database, document_models=[Job, IdempotencyKey], skip_indexes=True)


@pytest.fixture
async def world(
    replica_set: ReplicaSet,
    replicated_stores: Stores,
    stores: Stores,  # empties the collections
    settings: Settings,
    redis: Redis,  # noqa: ARG001
    tmp_path: Path,
) -> AsyncIterator[World]:
    changes = {"mongo_url": replica_set.url, "blob_url": tmp_path.as_uri(), "mongo_timeout": TIMEOUT_MS / 1000}
    settings = settings.model_copy(update=changes)
    replicated = replace(replicated_stores, blobs=Blobs.open(settings.blob_url))
    with open_worker_child(settings, StageMetrics(CollectorRegistry())):
        async with create_client(create_gateway(replicated, settings)) as http:
            yield World(replica_set, stores, replicated, settings, http)
    replica_set.inject(Target("", ""))


SMALL = {
    "blob": "a-job/small.1",
    "format": "png",
    "media_type": "image/png",
    "width": 1,
    "height": 1,
    "bytes": 1,
    "sha256": "0" * 64,
}


async def insert_job(world: World, *done: str, content: bytes = b"", **fields: Any) -> Job:
    """Insert a job whose stages are done so far, with its original."""
    records = {name: StageRecord(state=StageState.DONE, attempts=1, result=SMALL) for name in done}
    job = new_job(stages=records, renditions={"small": 160}, **fields)
    world.stores.blobs.put(job.original.blob, content or photo_file())
    await world.stores.jobs.insert(job)
    return job


async def submit(world: World, target: Target, faults: list[Fault]) -> None:
    """An upload and its repetitions until it is answered 202 make one job, which has the only blobs."""
    world.replica_set.inject(target, *faults)
    for _ in range(TRIES):
        answer = await world.upload()
        if answer.status_code == 202:
            break
        assert answer.status_code in {503, 409}, answer.text
        await world.end_lease()
    assert answer.status_code == 202

    job = await world.stores.jobs.get(answer.json()["task_id"])
    jobs = [found.id async for found in Job.find_all()]
    folders = set(world.stores.blobs.list_folders())
    orphans = set(await world.stores.jobs.find_missing(sorted(folders)))
    assert (jobs, folders - orphans) == ([job.id], {job.id})
    again = await world.upload()
    assert (again.status_code, again.json()["task_id"]) == (202, job.id)


async def claim_or_record(world: World, target: Target, faults: list[Fault]) -> None:
    """A stage whose claim or record meets the fault is done, by one attempt that counts."""
    job = await insert_job(world)
    world.replica_set.inject(target, *faults)

    outcome = await world.run(tasks.validate, job.id)

    record = (await world.stores.jobs.get(job.id)).stages["validate"]
    assert (outcome, record.state) == ("done", StageState.DONE)
    assert record.result
    assert record.attempts - record.retries <= 1


async def finalize(world: World, target: Target, faults: list[Fault]) -> None:
    """A job whose last update meets the fault is done, once."""
    job = await insert_job(world, "validate", "normalize", "small")
    world.replica_set.inject(target, *faults)

    outcome = await world.run(tasks.finalize, job.id)

    found = await world.stores.jobs.get(job.id)
    assert (outcome, found.state, found.finalizations) == ("done", JobState.DONE, 1)


async def refuse(world: World, target: Target, faults: list[Fault]) -> None:
    """A job whose refusal meets the fault has failed, for the reason that its image gives."""
    job = await insert_job(world, content=b"\xff\xd8\xff\xe0 no image")
    world.replica_set.inject(target, *faults)

    outcome = await world.run(tasks.validate, job.id)

    found = await world.stores.jobs.get(job.id)
    assert outcome in {"refused", "ignored"}
    assert (found.state, found.failure and found.failure.stage) == (JobState.FAILED, "validate")


async def expire(world: World, target: Target, faults: list[Fault]) -> None:
    """A job whose expiry meets the fault is expired a round later, and has blobs until it is marked."""
    job = await insert_job(world, state=JobState.DONE, finished_ms=1)
    world.replica_set.inject(target, *faults)
    tidier = Tidier(world.stores, world.settings)

    for _ in range(TRIES):
        await tidier.tidy()
        found = await Job.get_motor_collection().find_one({"_id": job.id})
        assert found is None or found["expiring_ms"] or world.stores.blobs.list_folders()

    assert world.stores.blobs.list_folders() == []
    assert found is None or found["blobs_removed_ms"]


async def redispatch(world: World, target: Target, faults: list[Fault]) -> None:
    """A job whose dispatch meets the fault is dispatched, or is due again later."""
    job = await insert_job(world)
    world.replica_set.inject(target, *faults)
    sweeper = Sweeper(world.stores, FakeQueues(), world.settings)

    await sweeper.sweep()

    found = await world.stores.jobs.get(job.id)
    assert found.generation <= 1
    assert found.next_dispatch_ms <= now_ms() + world.settings.sweeper.backoff_ms(1)
    world.replica_set.faults.clear()
    await world.stores.jobs.postpone(found, until_ms=0)
    await sweeper.sweep()
    assert (await world.stores.jobs.get(job.id)).generation > 0


Write = Callable[[World, Target, list[Fault]], Awaitable[None]]
WRITES: dict[str, tuple[Write, Target]] = {
    "insert of a job": (submit, Target("insert", "jobs")),
    "insert of a key": (submit, Target("insert", "idempotency_keys")),
    "update of a key": (submit, Target("update", "idempotency_keys")),
    "claim": (claim_or_record, Target("findAndModify", "jobs")),
    "record": (claim_or_record, Target("update", "jobs")),
    "finalize": (finalize, Target("update", "jobs")),
    "refuse": (refuse, Target("update", "jobs")),
    "expire": (expire, Target("update", "jobs")),
    "redispatch": (redispatch, Target("update", "jobs")),
}


@pytest.mark.parametrize(("fault", "times"), CASES)
@pytest.mark.parametrize("write", WRITES)
async def test_a_write_that_meets_a_fault_of_the_replica_set_happens_once(
    world: World, write: str, fault: str, times: int
) -> None:
    check, target = WRITES[write]

    await check(world, target, [FAULTS[fault]] * times)

    assert world.replica_set.hit
    for command in world.replica_set.hit:
        assert (command["writeConcern"], "txnNumber" in command) == ({"w": "majority", "j": True}, True)
    assert world.replica_set.reads_for_secondary == 0


@pytest.mark.parametrize("write", ["insert of a job", "claim"])
async def test_a_write_that_is_answered_too_late_happens_once(world: World, write: str) -> None:
    check, target = WRITES[write]

    await check(world, target, [LATE])

    assert world.replica_set.hit
