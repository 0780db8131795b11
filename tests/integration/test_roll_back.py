"""A roll-back: a newer version has left jobs and messages that this one does not know, beside those that it knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pymongo import MongoClient
from pymongo.collection import Collection
from redis import Redis

from deploy.local.stack import Stack
from storage.clock import now_ms
from storage.documents import Failure, JobState, Kind, Original, StageRecord, StageState, blob_key
from tests.integration.api_helpers import wait_for_end, wait_until
from tests.integration.log_lines import find_log_lines, select_events
from tests.support.fakes import new_job, new_job_id
from tests.support.forged_messages import ForgedMessage
from tests.support.images import photo_file
from tests.support.unreadable_documents import FROM_A_NEWER_VERSION

Document = dict[str, Any]
DAY_MS = 86_400_000
NEW_FIELD = {"of": "a newer version", "values": [1, {"a": None}]}


@pytest.fixture
def jobs(stack: Stack) -> Iterator[Collection[Document]]:
    """The job documents, without those of this test in the end: no gateway can delete them."""
    mongo: MongoClient[Document]
    with MongoClient(stack.mongo_url) as mongo:
        collection: Collection[Document] = mongo.get_default_database()["jobs"]
        yield collection
        collection.delete_many({"colour_profile": {"$exists": True}})


@pytest.fixture
def redis(stack: Stack) -> Iterator[Redis]:
    with Redis.from_url(stack.redis_url) as redis:
        yield redis


def write_job(stack: Stack, kind: Kind = Kind.PREVIEWS, **fields: Any) -> Document:
    """Store an original, and return the document of its job as the newer version writes it: with one more field."""
    job_id, content = new_job_id(), photo_file()
    folder = stack.blob_folder / job_id
    folder.mkdir()
    (folder / "original").write_bytes(content)
    original = Original(
        blob=blob_key(job_id, "original"), name="a.jpg", media_type="image/jpeg", bytes=len(content), sha256="0" * 64
    )
    job = new_job(kind, id=job_id, original=original, **fields)
    document: Document = job.model_dump(mode="json", by_alias=True, exclude={"revision_id"})
    for part in parts(document):
        part["colour_profile"] = NEW_FIELD
    return document


def parts(document: Document) -> list[Document]:
    return [document, document["original"], document["operation"], *document["stages"].values()]


def unknown_jobs(stack: Stack) -> list[Document]:
    """Return jobs that this version cannot read: due ones, one that has expired, and one in a state of its own."""
    written = []
    for change in FROM_A_NEWER_VERSION.values():
        written.append(write_job(stack, next_dispatch_ms=now_ms() - DAY_MS))
        change(written[-1])
    expired = write_job(stack, state=JobState.FAILED, finished_ms=now_ms() - 60 * DAY_MS)
    expired["kind"] = "watermark"
    archived = write_job(stack, finished_ms=now_ms() - 60 * DAY_MS, blobs_removed_ms=now_ms() - 59 * DAY_MS)
    archived["state"] = "archived"
    return [*written, expired, archived]


def send(redis: Redis, job_id: str, **headers: object) -> None:
    """Put the first message of a job's canvas into its queue, as the newer version sends it: with one more header."""
    template = ForgedMessage(f'[["{job_id}"], {{}}, {{"callbacks": null, "chain": null}}]'.encode())
    known = template.headers | {"root_id": job_id, "colour_profile": NEW_FIELD} | headers
    redis.lpush("validate", ForgedMessage(template.body, known).to_redis())


def send_errback(redis: Redis, job_id: str) -> None:
    """Put the message of a failed canvas into its queue."""
    template = ForgedMessage(f'[["a message", "{job_id}"], {{}}, {{}}]'.encode())
    redis.lpush("finalize", ForgedMessage(template.body, template.headers | {"task": "on_failed"}).to_redis())


def test_after_a_roll_back_the_old_version_finishes_what_it_knows_and_leaves_the_rest(
    client: httpx.Client, stack: Stack, jobs: Collection[Document], redis: Redis
) -> None:
    unknown = unknown_jobs(stack)
    due = unknown[: len(FROM_A_NEWER_VERSION)]
    waiting = [write_job(stack, kind, next_dispatch_ms=now_ms() - 1000) for kind in (Kind.PREVIEWS, Kind.GRAYSCALE)]
    dead = write_job(
        stack,
        state=JobState.DEAD,
        finished_ms=now_ms(),
        failure=Failure(stage="validate", code="internal_error", message="It failed."),
        stages={"validate": StageRecord(state=StageState.FAILED, attempts=4)},
    )
    cancelled = write_job(stack, next_dispatch_ms=now_ms() + DAY_MS)
    known = [*waiting, dead, cancelled]

    jobs.insert_many([*unknown, *known])
    for job in due:
        send(redis, job["_id"])
    send_errback(redis, due[0]["_id"])
    send(redis, waiting[0]["_id"], task="watermark")

    # It finishes, retries and cancels what it knows.
    assert client.post(f"/jobs/{dead['_id']}/retry").status_code == 202
    assert client.delete(f"/jobs/{cancelled['_id']}").status_code == 204
    assert [wait_for_end(client, job["_id"])["status"] for job in known] == ["done", "done", "done", "cancelled"]
    stored = {job["_id"]: job for job in jobs.find({"colour_profile": {"$exists": True}})}
    for job in known:
        assert [part["colour_profile"] for part in parts(stored[job["_id"]])] == [NEW_FIELD] * len(parts(job))

    # It says what it does not know, and lists the rest.
    newest = client.get("/jobs", params={"limit": 100}).json()["jobs"]
    listed = {job["task_id"] for job in newest} & stored.keys()
    assert listed == {job["_id"] for job in known}
    for job in unknown:
        answer = client.get(f"/task-status/{job['_id']}")
        assert (answer.status_code, answer.json()["code"]) == (503, "job_unreadable")
    wait_until(lambda: has_logged(stack, "document.unreadable", unknown), "the gateway to report them")

    # It has looked at each, and has left it as it was.
    wait_until(lambda: has_logged(stack, "stage.unreadable", due), "the workers to ignore their messages")
    wait_until(lambda: "job.unreadable" in stack.log("finalize"), "the errback to be ignored")
    wait_until(lambda: is_postponed(jobs, due), "the sweeper to postpone them")
    for job in unknown:
        found = jobs.find_one({"_id": job["_id"]})
        assert found
        assert list(found.items()) == list((job | {"next_dispatch_ms": found["next_dispatch_ms"]}).items())
        assert found["next_dispatch_ms"] == job["next_dispatch_ms"] or job in due
        assert (stack.blob_folder / job["_id"] / "original").exists()


def has_logged(stack: Stack, event: str, jobs: list[Document]) -> bool:
    lines = select_events(find_log_lines(stack, event), event)
    return {line["task_id"] for line in lines} >= {job["_id"] for job in jobs}


def is_postponed(jobs: Collection[Document], due: list[Document]) -> bool:
    ids = [job["_id"] for job in due]
    return jobs.count_documents({"_id": {"$in": ids}, "next_dispatch_ms": {"$gt": now_ms()}}) == len(due)
