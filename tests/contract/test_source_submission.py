"""Submission of an image that is somewhere else: where it may be, what is stored, and what else needs its bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import httpx
import pytest
from redis import Redis

from pipeline.http_settings import AccessSettings
from pipeline.outbound_settings import SourceBucket
from pipeline.settings import Settings
from storage.documents import Failure, Job, JobState, Original, Source
from storage.stores import Stores
from tests.contract.conftest import create_client, create_gateway
from tests.contract.http_helpers import ADA_KEY, CAT_PART, JPEG, ZOE_KEY, get_accepted_job, list_job_ids, post
from tests.support.fakes import part
from tests.support.tokens import SECRETS, bearer, upload_claims
from tests.support.unfetched import new_unfetched_job

ADDRESS = "https://photos.example/2026/cat%20one.jpg"
URL = f"{ADDRESS}?signature=secret"
URL_PART = part("source_url", URL.encode())
KEY_PART = part("source_key", b"s3://incoming/ada/cat.jpg")
ID_PART = part("source_task_id", b"01a20393-7178-742a-8954-a6e97ef610d9")
FIELDS = {"/crop": [part("aspect", b"1:1")], "/resize": [part("width", b"10")], "/process": [part("steps", b"[]")]}
FAILURE = Failure(stage="fetch", code="fetch_failed", message="The server answered 404.")


@pytest.fixture
async def client(stores: Stores, settings: Settings, redis: Redis) -> AsyncIterator[httpx.AsyncClient]:  # noqa: ARG001
    """A gateway where Ada and Zoe have keys, Ada has a bucket, and duplicates are looked for."""
    keys = {owner: sha256(key.encode()).hexdigest() for owner, key in (("ada", ADA_KEY), ("zoe", ZOE_KEY))}
    sources = {"ada": (SourceBucket(url="s3://incoming/ada"),)}
    changes: dict[str, Any] = {"api_keys": keys, "signing_secrets": SECRETS, "sources": sources}
    changes["access"] = AccessSettings(deduplicate=True)
    async with create_client(create_gateway(stores, settings.model_copy(update=changes))) as client:
        yield client


async def ask(client: httpx.AsyncClient, *parts: bytes, api_key: str = ADA_KEY, **options: Any) -> httpx.Response:
    return await post(client, *parts, api_key=api_key, **options)


@pytest.mark.parametrize("path", ["/upload", "/crop", "/grayscale", "/resize", "/process"])
async def test_every_route_takes_an_address(client: httpx.AsyncClient, stores: Stores, path: str) -> None:
    fields = [part("steps", b'["grayscale"]')] if path == "/process" else FIELDS.get(path, [])

    job = await get_accepted_job(stores, await ask(client, URL_PART, *fields, path=path))

    assert list(job.stages)[:2] == ["fetch", "validate"]
    assert (job.stages["fetch"].queued_ms is None, job.stages["validate"].queued_ms is None) == (False, True)
    assert job.source == Source(address=URL)
    assert "source_url" not in job.operation.parameters


async def test_an_original_that_is_not_fetched_has_a_name_and_nothing_else(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    job = await get_accepted_job(stores, await ask(client, URL_PART))

    assert job.original == Original(
        blob=f"{job.id}/original", name="cat one.jpg", media_type="application/octet-stream", bytes=0, sha256=""
    )
    assert stores.blobs.list_folders() == []


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://photos.example", None),
        ("https://photos.example/", None),
        ("https://photos.example/a.jpg#/b.jpg", "a.jpg"),
        ("https://photos.example/?file=/a.jpg", None),
        ("https://photos.example/x%2F..%2F%00%0Acat.jpg", "cat.jpg"),
        ("https://photos.example/%D0%BA%D0%BE%D1%82.jpg", "кот.jpg"),
        ("https://photos.example/" + "a" * 300, "a" * 255),
    ],
)
async def test_an_original_is_called_after_its_address(
    client: httpx.AsyncClient, stores: Stores, url: str, name: str | None
) -> None:
    job = await get_accepted_job(stores, await ask(client, part("source_url", url.encode())))

    assert job.original.name == name
    assert job.source is not None
    assert "#" not in job.source.address


@pytest.mark.parametrize(
    ("key", "address"),
    [
        ("cat.jpg", "s3://incoming/ada/cat.jpg"),
        ("s3://incoming/ada/2026/cat?#.jpg", "s3://incoming/ada/2026/cat?#.jpg"),
    ],
)
async def test_a_key_is_an_object_of_the_owner(
    client: httpx.AsyncClient, stores: Stores, key: str, address: str
) -> None:
    job = await get_accepted_job(stores, await ask(client, part("source_key", key.encode())))

    assert job.source == Source(address=address, key=key)
    assert job.original.name == key.rpartition("/")[2]


@pytest.mark.parametrize(
    ("parts", "api_key", "status", "code"),
    [
        ([CAT_PART, URL_PART], ADA_KEY, 422, "too_many_files"),
        ([URL_PART, CAT_PART], ADA_KEY, 422, "too_many_files"),
        ([CAT_PART, KEY_PART], ADA_KEY, 422, "too_many_files"),
        ([URL_PART, KEY_PART], ADA_KEY, 422, "too_many_files"),
        ([URL_PART, ID_PART], ADA_KEY, 422, "too_many_files"),
        ([KEY_PART, ID_PART], ADA_KEY, 422, "too_many_files"),
        ([part("source_url", b"")], ADA_KEY, 422, "file_missing"),
        ([URL_PART, URL_PART], ADA_KEY, 422, "invalid_form"),
        ([part("source_url", b"https://a.example/" + b"a" * 4096)], ADA_KEY, 422, "invalid_form"),
        ([part("source_url", b"ftp://photos.example/a.jpg")], ADA_KEY, 422, "fetch_refused"),
        ([part("source_url", b"file:///etc/passwd")], ADA_KEY, 422, "fetch_refused"),
        ([part("source_url", b"//photos.example/a.jpg")], ADA_KEY, 422, "fetch_refused"),
        ([part("source_url", b"https://ada:secret@photos.example/a.jpg")], ADA_KEY, 422, "fetch_refused"),
        ([part("source_url", b"http://169.254.169.254/latest/meta-data/")], ADA_KEY, 422, "fetch_refused"),
        ([part("source_url", b"http://[::ffff:127.0.0.1]/")], ADA_KEY, 422, "fetch_refused"),
        ([part("source_url", b"http://localhost/")], ADA_KEY, 422, "fetch_refused"),
        ([part("source_url", b"http://photos.example:22/")], ADA_KEY, 422, "fetch_refused"),
        ([part("source_key", b"s3://incoming/zoe/cat.jpg")], ADA_KEY, 403, "source_not_allowed"),
        ([part("source_key", b"s3://incoming/ada/cat.jpg")], ZOE_KEY, 403, "source_not_allowed"),
        ([part("source_key", b"cat.jpg")], ZOE_KEY, 403, "source_not_allowed"),
        ([part("source_key", b"../zoe/cat.jpg")], ADA_KEY, 422, "invalid_form"),
        ([part("source_key", b"folder/")], ADA_KEY, 422, "invalid_form"),
    ],
)
async def test_a_form_that_says_wrongly_where_the_image_is_leaves_nothing(
    client: httpx.AsyncClient, stores: Stores, parts: list[bytes], api_key: str, status: int, code: str
) -> None:
    answer = await ask(client, *parts, api_key=api_key, path="/grayscale")

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await list_job_ids(), stores.blobs.list_folders()) == ([], [])
    assert "secret" not in answer.text


@pytest.mark.parametrize("sent", [URL_PART, KEY_PART])
async def test_a_token_uploads_files_only(client: httpx.AsyncClient, sent: bytes) -> None:
    answer = await post(client, sent, **bearer(upload_claims()))

    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    assert await list_job_ids() == []


async def test_a_repeated_key_has_the_same_address(client: httpx.AsyncClient) -> None:
    first = await ask(client, URL_PART, key="one")

    again = await ask(client, URL_PART, key="one")
    other = await ask(client, part("source_url", f"{URL}2".encode()), key="one")

    assert (again.status_code, again.json()["task_id"]) == (202, first.json()["task_id"])
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len(await list_job_ids()) == 1


async def test_a_resumable_upload_has_a_file_of_its_own(client: httpx.AsyncClient) -> None:
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "3", "Upload-Metadata": "source_url aHR0cHM6Ly9hLmV4YW1wbGUv"}

    answer = await client.post("/files", headers=headers | {"X-API-Key": ADA_KEY})

    assert (answer.status_code, answer.json()["code"]) == (422, "too_many_files")


async def show(client: httpx.AsyncClient, job: Job) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get(f"/task-status/{job.id}", headers={"X-API-Key": ADA_KEY})).json()
    return found


async def test_the_status_shows_the_address_without_its_query(client: httpx.AsyncClient, stores: Stores) -> None:
    job = await get_accepted_job(stores, await ask(client, URL_PART))

    status = await client.get(f"/task-status/{job.id}", headers={"X-API-Key": ADA_KEY})

    assert status.json()["source"] == {"url": ADDRESS, "key": None, "version": None}
    assert "secret" not in status.text


async def test_the_status_shows_the_key_as_it_was_given(client: httpx.AsyncClient, stores: Stores) -> None:
    job = await get_accepted_job(stores, await ask(client, part("source_key", b"cat.jpg")))

    assert (await show(client, job))["source"] == {"url": None, "key": "cat.jpg", "version": None}


async def test_an_upload_has_no_source(client: httpx.AsyncClient, stores: Stores) -> None:
    job = await get_accepted_job(stores, await ask(client, CAT_PART))

    assert (await show(client, job))["source"] is None


@pytest.mark.parametrize(
    ("state", "code"),
    [(JobState.PROCESSING, "not_ready"), (JobState.DEAD, "source_gone"), (JobState.FAILED, "source_gone")],
)
async def test_an_operation_on_a_job_that_is_not_fetched_is_refused(
    client: httpx.AsyncClient, stores: Stores, state: JobState, code: str
) -> None:
    earlier = new_unfetched_job(URL, owner="ada", state=state)
    await stores.jobs.insert(earlier)

    answer = await ask(client, part("source_task_id", earlier.id.encode()), path="/grayscale")

    assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert ("retry-after" in answer.headers) == (code == "not_ready")


async def test_no_image_is_made_of_an_original_that_is_not_fetched(client: httpx.AsyncClient, stores: Stores) -> None:
    parent = new_unfetched_job(URL, owner="ada", state=JobState.PROCESSING)
    await stores.jobs.insert(parent)

    answer = await client.get(f"/image/{parent.id}/default/small.png", headers={"X-API-Key": ADA_KEY})

    assert (answer.status_code, answer.json()["code"]) == (409, "not_ready")
    assert await list_job_ids() == [parent.id]


async def test_a_job_that_was_not_fetched_is_fetched_when_it_is_reprocessed(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    job = new_unfetched_job(URL, owner="ada", state=JobState.FAILED, finished_ms=5, failure=FAILURE)
    await stores.jobs.insert(job)

    answer = await client.post(f"/jobs/{job.id}/reprocess", headers={"X-API-Key": ADA_KEY})

    found = await stores.jobs.get(job.id)
    assert answer.status_code == 202, answer.text
    assert next(iter(found.stages)) == "fetch"
    assert found.stages["fetch"].queued_ms is not None


async def test_a_job_that_was_fetched_is_not_fetched_again(client: httpx.AsyncClient, stores: Stores) -> None:
    job = new_unfetched_job(URL, owner="ada", state=JobState.DONE, finished_ms=5)
    blob = f"{job.id}/original.1"
    original = Original(blob=blob, name=None, media_type="image/jpeg", bytes=len(JPEG), sha256="0" * 64)
    await stores.jobs.insert(job.model_copy(update={"original": original}))
    stores.blobs.put(blob, JPEG)

    answer = await client.post(f"/jobs/{job.id}/reprocess", headers={"X-API-Key": ADA_KEY})

    found = await stores.jobs.get(job.id)
    assert answer.status_code == 202, answer.text
    assert next(iter(found.stages)) == "validate"
    assert found.original == original


async def test_a_job_whose_address_is_forgotten_is_not_reprocessed(client: httpx.AsyncClient, stores: Stores) -> None:
    fields: dict[str, Any] = {
        "owner": "ada",
        "state": JobState.FAILED,
        "finished_ms": 5,
        "expiring_ms": 6,
        "blobs_removed_ms": 7,
    }
    job = new_unfetched_job(URL, **fields)
    await stores.jobs.insert(job)

    answer = await client.post(f"/jobs/{job.id}/reprocess", headers={"X-API-Key": ADA_KEY})

    assert (answer.status_code, answer.json()["code"]) == (409, "source_gone")
