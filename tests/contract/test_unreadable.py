"""Documents that this version cannot read: they stop nothing beside them, and stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from structlog.typing import EventDict

from storage.clock import now_ms
from storage.documents import ACTIVE_STATES, Job, JobState, Kind, StageState
from storage.errors import JobNotFound, JobUnreadable, KeyUnreadable
from storage.idempotency import ABANDONED_MS, IdempotencyKey
from storage.jobs import UNREADABLE_DELAY_MS
from storage.ledger import Ledger
from storage.stores import Stores
from tests.support.fakes import new_job, new_job_id
from tests.support.unreadable_documents import FROM_A_NEWER_VERSION, UNREADABLE, Document

MINUTE_MS = 60_000
A_NEW_KIND = FROM_A_NEWER_VERSION["a new kind"]

unreadable = pytest.mark.parametrize("change", UNREADABLE.values(), ids=UNREADABLE)


async def insert(change: Callable[[Document], None] = lambda _: None, **fields: Any) -> Document:
    """Store a job as `change` leaves it, and return its document."""
    document: Document = new_job(**fields).model_dump(mode="json", by_alias=True, exclude={"revision_id"})
    change(document)
    await Job.get_motor_collection().insert_one(document)
    return document


async def stored(document: Document) -> Document | None:
    found: Document | None = await Job.get_motor_collection().find_one({"_id": document["_id"]})
    return found


def ids(jobs: list[Job]) -> list[str]:
    return [job.id for job in jobs]


@unreadable
async def test_an_unreadable_job_is_neither_lost_nor_shown(stores: Stores, change: Callable[[Document], None]) -> None:
    job = await insert(change)

    with pytest.raises(JobUnreadable):
        await stores.jobs.get(job["_id"])


@unreadable
async def test_lists_show_the_jobs_beside_an_unreadable_one(stores: Stores, change: Callable[[Document], None]) -> None:
    await insert(change)
    job = await insert()
    await insert(change)

    page = await stores.jobs.page(owner=None, state=None, kind=None, before_id=None, limit=5)
    many = await stores.jobs.get_many([job["_id"]])

    assert (ids(page.jobs), page.next_before_id, ids(many)) == ([job["_id"]], None, [job["_id"]])


@unreadable
async def test_the_sweeper_finds_the_jobs_beside_unreadable_ones(
    stores: Stores, change: Callable[[Document], None]
) -> None:
    for _ in range(3):
        await insert(change, next_dispatch_ms=now_ms() - 2 * MINUTE_MS)
    job = await insert(next_dispatch_ms=now_ms() - MINUTE_MS)

    due = await stores.jobs.find_due(limit=2)

    assert ids(due) == [job["_id"]]


@unreadable
async def test_the_sweeper_postpones_an_unreadable_job_and_changes_nothing_else(
    stores: Stores, change: Callable[[Document], None]
) -> None:
    job = await insert(change, next_dispatch_ms=now_ms() - MINUTE_MS)
    before = now_ms()

    await stores.jobs.find_due(limit=2)

    found = await stored(job)
    assert found
    assert found["next_dispatch_ms"] >= before + UNREADABLE_DELAY_MS
    assert found == job | {"next_dispatch_ms": found["next_dispatch_ms"]}


@unreadable
@pytest.mark.parametrize("stage", ["validate", "normalize", "sharpen"])
async def test_no_worker_claims_a_stage_of_an_unreadable_job(
    stores: Stores,  # noqa: ARG001  # empties the collection
    ledger: Ledger,
    change: Callable[[Document], None],
    stage: str,
) -> None:
    job = await insert(change)

    with pytest.raises(JobUnreadable):
        ledger.claim(job["_id"], stage, message_id="m", worker="w", lease_ms=1000)

    assert await stored(job) == job


@pytest.mark.parametrize("stage", ["sharpen", "", "a.b", "$x", "validate.state"])
async def test_no_worker_claims_a_stage_that_the_job_does_not_have(
    stores: Stores,  # noqa: ARG001
    ledger: Ledger,
    stage: str,
) -> None:
    job = await insert()

    assert ledger.claim(job["_id"], stage, message_id="m", worker="w", lease_ms=1000) is None
    assert await stored(job) == job


@pytest.mark.parametrize("name", ["fetch", "export", "notify"])
async def test_a_job_of_an_earlier_version_whose_rendition_has_the_name_of_a_new_stage_can_be_read(
    stores: Stores, name: str
) -> None:
    document = await insert(renditions={name: 160})

    assert [*(await stores.jobs.get(document["_id"])).operation.renditions] == [name]


async def test_a_job_of_another_owner_is_not_found_even_if_it_is_unreadable(stores: Stores) -> None:
    job = await insert(A_NEW_KIND, owner="ada")

    with pytest.raises(JobNotFound):
        await stores.jobs.get(job["_id"], owner="zoe")


async def test_expiry_finds_the_jobs_beside_unreadable_ones(stores: Stores) -> None:
    fields: dict[str, Any] = {"state": JobState.DONE, "finished_ms": 10}
    unread = [await insert(A_NEW_KIND, **fields) for _ in range(3)]
    job = await insert(**fields)

    found = await stores.jobs.find_with_blobs([JobState.DONE], before_ms=now_ms(), limit=2)

    assert ids(found) == [job["_id"]]
    assert [await stored(each) for each in unread] == unread


async def test_a_job_in_a_new_state_is_not_deleted(stores: Stores) -> None:
    job = await insert(lambda document: document.update(state="archived"), blobs_removed_ms=10)

    await stores.jobs.delete_expired(before_ms=now_ms(), limit=10)

    assert await stored(job) == job


async def test_a_duplicate_is_found_behind_an_unreadable_one(stores: Stores) -> None:
    duplicate = await insert(state=JobState.DONE)
    await insert(lambda document: document["stages"].pop("finalize"), state=JobState.DONE)

    found = await stores.jobs.find_duplicate(new_job())

    assert found
    assert found.id == duplicate["_id"]


async def test_the_oldest_job_is_the_oldest_readable_one(stores: Stores) -> None:
    for _ in range(2):
        await insert(A_NEW_KIND)
    job = await insert()

    found = await stores.jobs.find_oldest(JobState.ACCEPTED)

    assert found
    assert found.id == job["_id"]


async def test_no_job_is_the_oldest_when_all_are_unreadable(stores: Stores) -> None:
    await insert(A_NEW_KIND)

    assert await stores.jobs.find_oldest(JobState.ACCEPTED) is None


async def test_a_list_goes_on_behind_pages_of_unreadable_jobs(stores: Stores) -> None:
    oldest = [await insert(id=new_job_id(at_ms=10 + number)) for number in range(2)]
    for number in range(25):
        await insert(A_NEW_KIND, id=new_job_id(at_ms=100 + number))
    newest = await insert(id=new_job_id(at_ms=1000))
    shown: list[str] = []
    before_id = None

    for _ in range(50):
        page = await stores.jobs.page(owner=None, state=None, kind=None, before_id=before_id, limit=1)
        shown, before_id = shown + ids(page.jobs), page.next_before_id
        if before_id is None:
            break

    assert shown == [newest["_id"], oldest[1]["_id"], oldest[0]["_id"]]


async def test_an_unreadable_job_is_logged_once_with_its_id(stores: Stores, logs: list[EventDict]) -> None:
    job = await insert(A_NEW_KIND, owner="ada")

    for _ in range(3):
        await stores.jobs.find_due(limit=5)
        await stores.jobs.get_many([job["_id"]])

    lines = [line for line in logs if line["event"] == "document.unreadable"]
    assert [(line["task_id"], line["error"]) for line in lines] == [(job["_id"], "kind: enum")]


async def test_unreadable_jobs_are_counted_until_they_can_be_read_or_are_gone(stores: Stores) -> None:
    kept, mended, removed = [await insert(A_NEW_KIND) for _ in range(3)]
    await stores.jobs.find_due(limit=5)
    collection = Job.get_motor_collection()
    assert await stores.jobs.count_unreadable() == 3

    await collection.update_one({"_id": mended["_id"]}, {"$set": {"kind": Kind.PREVIEWS.value}})
    await collection.delete_one({"_id": removed["_id"]})

    assert await stores.jobs.count_unreadable() == 1
    await collection.delete_one({"_id": kept["_id"]})
    assert await stores.jobs.count_unreadable() == 0


async def test_a_job_in_a_new_state_is_counted_as_unreadable(stores: Stores) -> None:
    await insert()
    await insert(lambda document: document.update(state="archived"))

    counts = await stores.jobs.count_by_state()

    assert counts == {state: int(state in ACTIVE_STATES[:1]) for state in JobState}
    assert await stores.jobs.count_unreadable() == 1
    await Job.get_motor_collection().delete_many({})
    assert await stores.jobs.count_unreadable() == 0


async def test_fields_of_a_newer_version_survive_every_write(stores: Stores, ledger: Ledger) -> None:
    def add_fields(document: Document) -> None:
        for part in (document, document["original"], document["operation"], *document["stages"].values()):
            part["colour_profile"] = {"of": ["a", "newer", 1]}

    written = await insert(add_fields, kind=Kind.CROP, renditions={})
    job_id = written["_id"]
    claim = ledger.claim(job_id, "validate", message_id="m", worker="w", lease_ms=1000)
    assert claim
    assert ledger.complete_stage(claim, {"frames": 1}, due_stages=["transform"])
    claim = ledger.claim(job_id, "transform", message_id="m", worker="w", lease_ms=1000)
    assert claim
    ledger.release(claim, "internal_error", counts_as_attempt=True)
    assert await stores.jobs.postpone(await stores.jobs.get(job_id), until_ms=5)
    redispatched = await stores.jobs.redispatch(await stores.jobs.get(job_id), next_dispatch_ms=6)
    assert redispatched
    await stores.jobs.undo_redispatch(redispatched, dispatched_ms=4, next_dispatch_ms=7)
    await Job.get_motor_collection().update_one({"_id": job_id}, {"$set": {"state": JobState.DEAD.value}})
    assert await stores.jobs.retry(await stores.jobs.get(job_id), next_dispatch_ms=8)
    assert await stores.jobs.cancel(await stores.jobs.get(job_id))
    await stores.jobs.mark_blobs_removed(await stores.jobs.get(job_id))

    found = await stored(written)
    assert found
    parts = (found, found["original"], found["operation"], *found["stages"].values())
    assert [part["colour_profile"] for part in parts] == [{"of": ["a", "newer", 1]}] * 6
    assert found["stages"]["validate"]["state"] == StageState.DONE.value
    assert found["stages"]["transform"]["retries"] == 1


async def test_a_key_of_a_newer_version_gives_no_second_job(stores: Stores) -> None:
    key = {"_id": "ada:k", "task_id": new_job_id(), "state": "streaming", "expires_ms": now_ms() + MINUTE_MS}
    await IdempotencyKey.get_motor_collection().insert_one(key)

    with pytest.raises(KeyUnreadable):
        await stores.idempotency_keys.acquire("ada:k", job_id=new_job_id(), lease_ms=MINUTE_MS)

    assert await IdempotencyKey.get_motor_collection().find_one({"_id": "ada:k"}) == key


async def test_the_key_of_an_unreadable_job_counts_as_answered(stores: Stores) -> None:
    job = await insert(A_NEW_KIND, fingerprint="f")
    await stores.idempotency_keys.acquire("ada:k", job_id=job["_id"], lease_ms=-MINUTE_MS)
    await stores.idempotency_keys.delete_expired()

    found = await stores.idempotency_keys.acquire("ada:k", job_id=new_job_id(), lease_ms=MINUTE_MS)

    assert found
    assert (found.job_id, found.fingerprint) == (job["_id"], "f")


async def test_expired_keys_are_removed_beside_an_unreadable_one(stores: Stores) -> None:
    collection = IdempotencyKey.get_motor_collection()
    await collection.insert_one({"_id": "ada:0", "state": "running", "task_id": 5, "expires_ms": 10})
    await stores.idempotency_keys.acquire("ada:k", job_id=new_job_id(), lease_ms=-ABANDONED_MS - MINUTE_MS)

    await stores.idempotency_keys.delete_expired()

    assert await collection.find_one({"_id": "ada:k"}) is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/task-status/{}"),
        ("GET", "/task-status/{}?wait=5"),
        ("GET", "/result/{}"),
        ("GET", "/result/{}/small"),
        ("POST", "/jobs/{}/retry"),
        ("DELETE", "/jobs/{}"),
    ],
)
async def test_requests_for_an_unreadable_job_are_answered_503(http: httpx.AsyncClient, method: str, path: str) -> None:
    job = await insert(A_NEW_KIND)

    answer = await http.request(method, path.format(job["_id"]))

    assert (answer.status_code, answer.json()["code"]) == (503, "job_unreadable")
    assert answer.headers["retry-after"] == "30"
    assert job["_id"] in answer.json()["detail"]
    assert "kind" not in answer.json()["detail"]
    assert await stored(job) == job


async def test_the_stream_of_an_unreadable_job_is_to_be_opened_again(http: httpx.AsyncClient) -> None:
    job = await insert(A_NEW_KIND)

    answer = await http.get(f"/task-status/{job['_id']}/events")

    assert (answer.status_code, answer.text) == (200, "retry: 2000\n\n")


async def test_the_list_of_a_gateway_leaves_out_an_unreadable_job(http: httpx.AsyncClient) -> None:
    await insert(A_NEW_KIND)
    job = await insert()

    answer = await http.get("/jobs")

    assert [each["task_id"] for each in answer.json()["jobs"]] == [job["_id"]]
    assert answer.json()["next"] is None


@unreadable
async def test_the_list_of_a_gateway_shows_the_job_beside_any_unreadable_one(
    http: httpx.AsyncClient, change: Callable[[Document], None]
) -> None:
    await insert(change)
    job = await insert()

    answer = await http.get("/jobs")

    assert (answer.status_code, [each["task_id"] for each in answer.json()["jobs"]]) == (200, [job["_id"]])


async def test_an_operation_on_an_unreadable_job_is_answered_503(http: httpx.AsyncClient) -> None:
    job = await insert(A_NEW_KIND)

    answer = await http.post("/grayscale", files={"source_task_id": (None, job["_id"])})

    assert (answer.status_code, answer.json()["code"]) == (503, "job_unreadable")


async def test_an_unreadable_key_is_answered_503_and_accepts_no_job(http: httpx.AsyncClient, stores: Stores) -> None:
    key = {"_id": ":k", "task_id": new_job_id(), "state": "streaming", "expires_ms": now_ms() + MINUTE_MS}
    await IdempotencyKey.get_motor_collection().insert_one(key)

    answer = await http.post("/upload", files={"file": b"x"}, headers={"Idempotency-Key": "k"})

    assert (answer.status_code, answer.json()["code"]) == (503, "idempotency_key_unreadable")
    assert (await stores.jobs.page(owner=None, state=None, kind=None, before_id=None, limit=5)).jobs == []
