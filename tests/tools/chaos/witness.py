"""The witness: reads the job documents past the product, and catches workers in the act."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pymongo
from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from storage.documents import ACTIVE_STATES, JobRecord, StageRecord, StageState
from storage.webhooks import DELIVERIES, ENDPOINTS, Delivery, DeliveryState, WebhookEndpoint
from tests.tools.chaos.stack import ChaosStack

STAGES = {
    "validate": ("validate",),
    "normalize": ("normalize",),
    "resize": ("small", "medium", "large"),
    "transform": ("transform",),
    "finalize": ("finalize",),
    "outbound": ("fetch",),
}
"""The stages that each pool works on."""
SETTLE_SECONDS = 0.05  # seconds in which a write that was under way when its writer was stopped gets done
RETRY_SECONDS = 30.0

Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True)
class SuspendedRun:
    """A stage in the middle of a run, its worker's children stopped."""

    pool: str
    worker: str
    job_id: str
    stage: str
    attempt: int
    pids: tuple[int, ...]


class Witness:
    """Questions to the job documents; each raises PyMongoError while their server is away."""

    def __init__(self, mongo_url: str) -> None:
        self._mongo: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(
            mongo_url, serverSelectionTimeoutMS=1000, connectTimeoutMS=1000, socketTimeoutMS=5000
        )
        self._jobs = self._mongo.get_default_database()["jobs"]

    def close(self) -> None:
        """Hang up."""
        self._mongo.close()

    def jobs(self) -> list[JobRecord]:
        """Return every job."""
        return [JobRecord.model_validate(found) for found in self._jobs.find()]

    def get(self, job_id: str) -> JobRecord | None:
        """Return one job, or None."""
        found = self._jobs.find_one({"_id": job_id})
        return JobRecord.model_validate(found) if found else None

    def read(self, job_id: str) -> dict[str, Any] | None:
        """Return a document as it is stored, or None."""
        return self._jobs.find_one({"_id": job_id})

    def insert(self, document: Mapping[str, Any]) -> None:
        """Put a document among the jobs."""
        self._jobs.insert_one(dict(document))

    def remove(self, job_id: str) -> None:
        """Remove a document."""
        self._jobs.delete_one({"_id": job_id})

    def newest(self) -> str | None:
        """Return the id of the youngest job."""
        found = self._jobs.find_one({}, {"_id": 1}, sort=[("_id", -1)])
        return str(found["_id"]) if found else None

    def active_ids(self) -> list[str]:
        """Return the ids of the jobs that have not ended."""
        states = [state.value for state in ACTIVE_STATES]
        return [str(found["_id"]) for found in self._jobs.find({"state": {"$in": states}}, {"_id": 1})]

    def has_outboxes(self) -> bool:
        """Whether some job has events that are not handed to the deliveries."""
        return self._jobs.find_one({"outbox_ms": {"$gt": 0}}, {"_id": 1}) is not None

    def has_pending_deliveries(self) -> bool:
        """Whether some delivery is not sent yet."""
        pending = {"state": DeliveryState.PENDING.value, "next_try_ms": {"$gt": 0}}
        return self._mongo.get_default_database()[DELIVERIES].find_one(pending, {"_id": 1}) is not None

    def deliveries(self, *states: DeliveryState) -> list[Delivery]:
        """Return the deliveries in these states, without their payloads."""
        query = {"state": {"$in": [state.value for state in states]}}
        found = self._mongo.get_default_database()[DELIVERIES].find(query, {"payload": 0})
        return [Delivery.model_validate({**document, "payload": ""}) for document in found]

    def endpoints(self) -> list[WebhookEndpoint]:
        """Return every endpoint of webhooks."""
        return [WebhookEndpoint.model_validate(found) for found in self._mongo.get_default_database()[ENDPOINTS].find()]

    def held_keys(self, now: int) -> list[tuple[str, str]]:
        """Return the Idempotency-Keys that requests without a job hold at `now` (epoch ms), and the ids of these."""
        held = self._mongo.get_default_database()["idempotency_keys"].find(
            {"state": "running", "expires_ms": {"$gt": now}}
        )
        return [(key["_id"], key["task_id"]) for key in held if self.get(key["task_id"]) is None]

    def running(self, stages: Iterable[str]) -> list[tuple[JobRecord, str]]:
        """Return the jobs in one of these stages, with that stage."""
        return [
            (JobRecord.model_validate(found), stage)
            for stage in stages
            for found in self._jobs.find({"state": "processing", f"stages.{stage}.state": "running"})
        ]

    def suspend_run(self, stack: ChaosStack, pools: Sequence[str], seconds: float) -> SuspendedRun | None:
        """Stop the children of one of the pools in the middle of a stage; None when none could be caught in time."""
        deadline, due = time.monotonic() + seconds, 0.0
        while time.monotonic() < deadline:
            if time.monotonic() > due:  # asked ahead: a stage can be over by the time it is found out
                workers = [worker for worker, pool in stack.workers.items() if pool in pools]
                due, children = time.monotonic() + 1, {worker: tuple(stack.children(worker)) for worker in workers}
            for pool in pools:
                for job, stage in self.running(STAGES[pool])[:1]:
                    record = job.stages[stage]
                    worker = worker_of(record)
                    suspended_run = SuspendedRun(
                        pool=pool,
                        worker=worker,
                        job_id=job.id,
                        stage=stage,
                        attempt=record.attempts,
                        pids=children.get(worker, ()),
                    )
                    if self._suspend(stack, suspended_run):
                        return suspended_run
            time.sleep(0.001)
        return None

    def _suspend(self, stack: ChaosStack, run: SuspendedRun) -> bool:
        """Stop the children; whether the run is then still on. Lets them go on if not."""
        stack.send(run.pids, signal.SIGSTOP)
        time.sleep(SETTLE_SECONDS)
        if run.pids and self._is_held(run):
            return True
        stack.send(run.pids, signal.SIGCONT)
        return False

    def is_superseded(self, suspended_run: SuspendedRun) -> bool:
        """Whether another run has taken over what was caught."""
        job = self.get(suspended_run.job_id)
        return job is None or not job.is_active or job.stages[suspended_run.stage].attempts > suspended_run.attempt

    def has_ended(self, job_id: str) -> bool:
        """Whether the job has ended."""
        job = self.get(job_id)
        return job is None or not job.is_active

    def _is_held(self, suspended_run: SuspendedRun) -> bool:
        job = self.get(suspended_run.job_id)
        record = job.stages[suspended_run.stage] if job else None
        return record is not None and (record.state, record.attempts) == (StageState.RUNNING, suspended_run.attempt)


def worker_of(record: StageRecord) -> str:
    """Return the name of the process that claimed a stage last."""
    return (record.worker or "").partition("@")[0]


def retry_mongo(question: Callable[[], Answer], seconds: float = RETRY_SECONDS) -> Answer:
    """Ask until the server answers; PyMongoError when it does not in time."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return question()
        except PyMongoError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def wait_for(condition: Callable[[], bool], seconds: float, *, look: float = 0.1) -> bool:
    """Wait until it is so, through outages too, looking every so many seconds; whether it came to be in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if condition():
                return True
        except (PyMongoError, RedisError, OSError):
            pass
        time.sleep(look)
    return False


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of them does not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
