"""The gateway over real stores: what an upload leaves behind, whether or not the broker takes it."""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256

import httpx
import pytest
from pymongo.errors import AutoReconnect, ServerSelectionTimeoutError
from redis import Redis
from starlette.types import ASGIApp, Message

from pipeline.settings import Settings
from storage.clock import now_ms
from storage.documents import Job, JobState
from storage.stores import Stores
from tests.contract.conftest import UPLOAD_BYTES, create_client, create_gateway
from tests.support.fakes import FORM_TYPE, UNREACHABLE_URL, FakeJobs, FakeStores, form, part, use_broker

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 100
FORM = form(part("file", JPEG, filename="cat.jpg"))


class BrokenJobs(FakeJobs):
    """Jobs of a database that goes away just when a job is to be accepted."""

    async def insert(self, job: Job) -> None:  # noqa: ARG002
        raise AutoReconnect("10.0.0.7 is away")


class SilentJobs(FakeJobs):
    """Jobs of a database that carries out a cancellation, or refuses it, and whose answer is lost."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    async def cancel(self, job: Job) -> bool:  # noqa: ARG002
        raise self._error


async def upload(http: httpx.AsyncClient, body: bytes = FORM) -> httpx.Response:
    return await http.post("/upload", content=body, headers={"Content-Type": FORM_TYPE})


async def accepted(http: httpx.AsyncClient, stores: Stores) -> Job:
    answer = await upload(http)
    return await stores.jobs.get(answer.json()["task_id"])


async def test_an_upload_is_accepted(http: httpx.AsyncClient) -> None:
    answer = await upload(http)

    assert (answer.status_code, answer.json()["status"]) == (202, "accepted")


async def test_an_upload_says_where_to_look(http: httpx.AsyncClient) -> None:
    answer = await upload(http)

    task_id = answer.json()["task_id"]
    assert answer.json()["links"] == {"status": f"/task-status/{task_id}", "result": f"/result/{task_id}"}


async def test_an_upload_is_located_at_its_status(http: httpx.AsyncClient) -> None:
    answer = await upload(http)

    assert answer.headers["location"] == answer.json()["links"]["status"]


async def test_an_upload_says_when_to_ask(http: httpx.AsyncClient) -> None:
    assert (await upload(http)).headers["retry-after"] == "1"


async def test_an_upload_is_a_job(http: httpx.AsyncClient, stores: Stores) -> None:
    job = await accepted(http, stores)

    assert (job.state, job.kind, job.generation) == (JobState.ACCEPTED, "previews", 0)


async def test_a_job_knows_its_original(http: httpx.AsyncClient, stores: Stores) -> None:
    job = await accepted(http, stores)

    assert job.original.model_dump() == {
        "blob": f"{job.id}/original",
        "name": "cat.jpg",
        "media_type": "image/jpeg",
        "bytes": len(JPEG),
        "sha256": sha256(JPEG).hexdigest(),
    }


async def test_a_job_has_a_stage_for_all_that_is_to_do(http: httpx.AsyncClient, stores: Stores) -> None:
    job = await accepted(http, stores)

    assert list(job.stages) == ["validate", "normalize", "small", "medium", "large", "finalize"]


async def test_the_first_stage_waits_from_the_start(http: httpx.AsyncClient, stores: Stores) -> None:
    job = await accepted(http, stores)

    assert [name for name, record in job.stages.items() if record.queued_ms is not None] == ["validate"]


async def test_the_original_is_in_its_blob(http: httpx.AsyncClient, stores: Stores) -> None:
    job = await accepted(http, stores)

    assert stores.blobs.get(job.original.blob) == JPEG


async def test_a_job_is_published_once(http: httpx.AsyncClient, redis: Redis) -> None:
    await upload(http)

    assert redis.llen("validate") == 1


async def test_a_job_that_was_published_is_left_to_the_workers_at_first(
    http: httpx.AsyncClient, stores: Stores, settings: Settings
) -> None:
    job = await accepted(http, stores)

    patience_ms = settings.sweeper.accept_patience * 1000
    assert job.next_dispatch_ms == pytest.approx(now_ms() + patience_ms, abs=5000)


async def test_an_upload_without_a_broker_is_accepted(http: httpx.AsyncClient, settings: Settings) -> None:
    use_broker(settings.model_copy(update={"redis_url": UNREACHABLE_URL}))

    assert (await upload(http)).status_code == 202


async def test_a_job_that_the_broker_did_not_take_is_due(
    http: httpx.AsyncClient, stores: Stores, settings: Settings
) -> None:
    use_broker(settings.model_copy(update={"redis_url": UNREACHABLE_URL}))

    job = await accepted(http, stores)

    assert [due.id for due in await stores.jobs.find_due(limit=10)] == [job.id]


async def test_an_upload_without_a_database_is_refused(stores: Stores, settings: Settings, redis: Redis) -> None:  # noqa: ARG001
    async with create_client(create_gateway(FakeStores(BrokenJobs(), stores.blobs), settings)) as http:
        answer = await upload(http)

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (AutoReconnect("10.0.0.7 is away"), 504, "outcome_unknown"),
        (ServerSelectionTimeoutError("10.0.0.7 is away"), 503, "unavailable"),
    ],
)
async def test_a_delete_whose_outcome_is_unknown_is_not_said_to_be_undone(
    stores: Stores,
    settings: Settings,
    redis: Redis,  # noqa: ARG001
    error: Exception,
    status: int,
    code: str,
) -> None:
    async with create_client(create_gateway(FakeStores(SilentJobs(error), stores.blobs), settings)) as http:
        task_id = (await upload(http)).json()["task_id"]
        answer = await http.delete(f"/jobs/{task_id}")

    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (form(part("file", b"", filename="a.jpg")), 422, "empty_file"),
        (form(part("file", b"hello", filename="a.jpg")), 415, "unsupported_format"),
        (form(part("quality", JPEG, filename="a.jpg")), 422, "invalid_form"),
        (form(part("quality", b"80")), 422, "file_missing"),
        (FORM[:-30], 400, "malformed_form"),
        (form(part("file", JPEG, filename="a.jpg"), part("qualty", b"10")), 422, "invalid_form"),
        (form(*[part("file", JPEG, filename="a.jpg")] * 2), 422, "too_many_files"),
        (form(part("file", JPEG + bytes(UPLOAD_BYTES), filename="a.jpg")), 413, "upload_too_large"),
    ],
    ids=["empty", "no image", "a field of text", "no file", "cut short", "a misspelt field", "two files", "too large"],
)
class TestARefusedUpload:
    async def test_says_why(self, http: httpx.AsyncClient, body: bytes, status: int, code: str) -> None:
        answer = await upload(http, body)

        assert (answer.status_code, answer.json()["code"]) == (status, code)

    async def test_leaves_no_job(self, http: httpx.AsyncClient, body: bytes, status: int, code: str) -> None:  # noqa: ARG002
        await upload(http, body)

        assert await Job.find_all().to_list() == []

    async def test_leaves_no_blob(
        self,
        http: httpx.AsyncClient,
        stores: Stores,
        body: bytes,
        status: int,  # noqa: ARG002
        code: str,  # noqa: ARG002
    ) -> None:
        await upload(http, body)

        assert stores.blobs.list_folders() == []


async def test_an_upload_that_breaks_off_leaves_no_job(gateway: ASGIApp) -> None:
    await break_off(gateway)

    assert await Job.find_all().to_list() == []


async def test_an_upload_that_breaks_off_leaves_no_blob(gateway: ASGIApp, stores: Stores) -> None:
    await break_off(gateway)

    assert stores.blobs.list_folders() == []


async def break_off(app: ASGIApp) -> None:
    """Send half of an upload and hang up."""
    messages: list[Message] = [
        {"type": "http.request", "body": FORM[:10_000], "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        pass

    headers = [(b"content-type", FORM_TYPE.encode())]
    scope = {"type": "http", "method": "POST", "path": "/upload", "query_string": b"", "headers": headers}
    with suppress(Exception):
        await app(scope, receive, send)
