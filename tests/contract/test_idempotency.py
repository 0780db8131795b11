"""Idempotency keys over HTTP and real stores: one effect a key, and a refused request has none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from pymongo.errors import AutoReconnect
from redis import Redis
from starlette.types import Message

from pipeline.settings import Settings
from storage.documents import Job
from storage.idempotency import KeyState
from storage.jobs import Jobs
from storage.stores import Stores
from tests.contract.conftest import create_client, create_gateway
from tests.contract.http_helpers import ADA_KEY, CAT_PART, JPEG, ZOE_KEY, get_accepted_job, list_job_ids, post
from tests.support.fakes import FORM_TYPE, FakeJobs, FakeStores, form, part

OTHER = JPEG[:-1]
MINUTE = 60_000


class LostJobs(FakeJobs):
    """Jobs of a database that goes away just when a job is to be accepted."""

    async def insert(self, job: Job) -> None:  # noqa: ARG002
        raise AutoReconnect("10.0.0.7 is away")


class UncertainJobs(Jobs):
    """Jobs of a database that goes away once it has accepted a job, and before it says so."""

    async def insert(self, job: Job) -> None:
        await super().insert(job)
        raise AutoReconnect("10.0.0.7 is away")


async def test_a_request_without_a_key_is_a_job_each_time(http: httpx.AsyncClient) -> None:
    answers = [await post(http, CAT_PART) for _ in range(2)]

    assert sorted(await list_job_ids()) == sorted(answer.json()["task_id"] for answer in answers)


async def test_a_request_sent_again_under_its_key_has_the_first_answer(http: httpx.AsyncClient) -> None:
    first, second = [await post(http, CAT_PART, key="key") for _ in range(2)]

    assert (second.status_code, second.json()) == (202, first.json())


async def test_the_first_answer_when_it_is_given_again_says_so(http: httpx.AsyncClient) -> None:
    first, second = [await post(http, CAT_PART, key="key") for _ in range(2)]

    assert (first.headers.get("idempotency-replayed"), second.headers["idempotency-replayed"]) == (None, "true")


async def test_the_first_answer_when_it_is_given_again_says_where_to_look(http: httpx.AsyncClient) -> None:
    first, second = [await post(http, CAT_PART, key="key") for _ in range(2)]

    assert second.headers["location"] == first.headers["location"]


async def test_a_request_sent_again_makes_no_job(http: httpx.AsyncClient) -> None:
    first, _ = [await post(http, CAT_PART, key="key") for _ in range(2)]

    assert await list_job_ids() == [first.json()["task_id"]]


async def test_a_request_sent_again_stores_nothing(http: httpx.AsyncClient, stores: Stores) -> None:
    first, _ = [await post(http, CAT_PART, key="key") for _ in range(2)]

    assert stores.blobs.list_folders() == [first.json()["task_id"]]


async def test_a_request_sent_again_is_not_published(http: httpx.AsyncClient, redis: Redis) -> None:
    for _ in range(2):
        await post(http, CAT_PART, key="key")

    assert redis.llen("validate") == 1


async def test_a_request_sent_again_tells_what_became_of_its_job(http: httpx.AsyncClient, stores: Stores) -> None:
    job = await get_accepted_job(stores, await post(http, CAT_PART, key="key"))
    await stores.jobs.cancel(job)

    assert (await post(http, CAT_PART, key="key")).json()["status"] == "cancelled"


async def test_a_request_sent_again_after_its_job_was_deleted_is_a_new_job(
    http: httpx.AsyncClient, stores: Stores
) -> None:
    first = await get_accepted_job(stores, await post(http, CAT_PART, key="key"))
    await stores.jobs.withdraw(first.id)

    again = await post(http, CAT_PART, key="key")

    assert (again.status_code, again.headers.get("idempotency-replayed")) == (202, None)
    assert await list_job_ids() == [again.json()["task_id"]]
    assert (await post(http, CAT_PART, key="key")).json()["task_id"] == again.json()["task_id"]


async def test_a_request_during_which_the_job_of_its_key_is_deleted_may_be_sent_again(
    http: httpx.AsyncClient, stores: Stores
) -> None:
    first = await get_accepted_job(stores, await post(http, CAT_PART, key="key"))

    async def body() -> AsyncIterator[bytes]:
        yield form(CAT_PART)[:1000]
        await stores.jobs.withdraw(first.id)
        yield form(CAT_PART)[1000:]

    headers = {"Content-Type": FORM_TYPE, "Idempotency-Key": "key"}
    answer = await http.post("/upload", content=body(), headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_in_use")
    assert int(answer.headers["retry-after"]) >= 1
    assert (await post(http, CAT_PART, key="key")).status_code == 202


async def test_a_key_is_good_for_as_long_as_it_may_be(http: httpx.AsyncClient) -> None:
    assert (await post(http, CAT_PART, key="k" * 255)).status_code == 202


@pytest.mark.parametrize("key", ["", "k" * 256])
async def test_a_key_of_another_length_is_refused(http: httpx.AsyncClient, key: str) -> None:
    answer = await post(http, CAT_PART, key=key)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_header")


OTHERWISE = pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("/upload", [part("file", OTHER, filename="cat.jpg")]),
        ("/upload", [part("file", JPEG, filename="dog.jpg")]),
        ("/upload", [CAT_PART, part("format", b"png")]),
        ("/upload", [CAT_PART, part("animated", b"true")]),
        ("/grayscale", [CAT_PART]),
    ],
    ids=["another file", "another name", "another format", "animated", "another route"],
)


@OTHERWISE
async def test_a_key_is_not_good_for_another_request(http: httpx.AsyncClient, path: str, parts: list[bytes]) -> None:
    await post(http, CAT_PART, key="key")

    answer = await post(http, *parts, path=path, key="key")

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


@OTHERWISE
async def test_another_request_under_a_key_leaves_nothing(
    http: httpx.AsyncClient, stores: Stores, path: str, parts: list[bytes]
) -> None:
    first = await post(http, CAT_PART, key="key")

    await post(http, *parts, path=path, key="key")

    assert (await list_job_ids(), stores.blobs.list_folders()) == ([first.json()["task_id"]], [first.json()["task_id"]])


async def test_another_request_under_a_key_leaves_the_key_to_the_first(http: httpx.AsyncClient) -> None:
    first = await post(http, CAT_PART, key="key")
    await post(http, CAT_PART, part("format", b"png"), key="key")

    again = await post(http, CAT_PART, key="key")

    assert again.json()["task_id"] == first.json()["task_id"]


async def test_a_default_that_is_named_makes_no_other_request(http: httpx.AsyncClient) -> None:
    first = await post(http, CAT_PART, key="key")

    again = await post(http, CAT_PART, part("format", b"auto"), part("quality", b""), key="key")

    assert again.json()["task_id"] == first.json()["task_id"]


async def test_a_key_whose_request_is_being_received_is_in_use(http: httpx.AsyncClient, stores: Stores) -> None:
    await stores.idempotency_keys.acquire(":key", job_id="first", lease_ms=MINUTE)

    answer = await post(http, CAT_PART, key="key")

    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_in_use")


@pytest.mark.parametrize(("lease_ms", "seconds"), [(2500, "3"), (900, "1"), (2 * MINUTE, "16")])
async def test_a_key_in_use_says_when_its_lease_ends_at_the_latest(
    http: httpx.AsyncClient, stores: Stores, lease_ms: int, seconds: str
) -> None:
    await stores.idempotency_keys.acquire(":key", job_id="first", lease_ms=lease_ms)

    answer = await post(http, CAT_PART, key="key")

    assert (answer.status_code, answer.headers["retry-after"]) == (409, seconds)


async def test_a_key_in_use_stays_with_who_has_it(http: httpx.AsyncClient, stores: Stores) -> None:
    await stores.idempotency_keys.acquire(":key", job_id="first", lease_ms=MINUTE)

    await post(http, CAT_PART, key="key")

    found = await stores.idempotency_keys.acquire(":key", job_id="third", lease_ms=MINUTE)
    assert found is not None
    assert (found.job_id, found.state) == ("first", KeyState.RUNNING)


async def test_requests_at_once_under_one_key_are_one_job(http: httpx.AsyncClient, stores: Stores) -> None:
    answers = await asyncio.gather(*(post(http, CAT_PART, key="key") for _ in range(6)))

    assert {answer.status_code for answer in answers} <= {202, 409}
    assert stores.blobs.list_folders() == await list_job_ids() != []
    assert len(await list_job_ids()) == 1


async def test_a_key_is_its_owners(keyed_client: httpx.AsyncClient) -> None:
    hers, theirs = [await post(keyed_client, CAT_PART, key="key", api_key=api_key) for api_key in (ADA_KEY, ZOE_KEY)]

    assert (hers.status_code, theirs.status_code) == (202, 202)
    assert hers.json()["task_id"] != theirs.json()["task_id"]


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ([part("file", b"hello", filename="cat.jpg")], 415),
        ([CAT_PART, part("quality", b"101")], 422),
        ([CAT_PART, CAT_PART], 422),
        ([], 422),
    ],
    ids=["no image", "a broken rule", "two files", "no file"],
)
async def test_a_refused_request_frees_its_key(http: httpx.AsyncClient, parts: list[bytes], status: int) -> None:
    refused = await post(http, *parts, key="key")

    mended = await post(http, CAT_PART, key="key")

    assert (refused.status_code, mended.status_code) == (status, 202)


async def test_a_request_that_breaks_off_frees_its_key(
    http: httpx.AsyncClient, stores: Stores, settings: Settings
) -> None:
    messages: list[Message] = [
        {"type": "http.request", "body": form(CAT_PART)[:10_000], "more_body": True},
        {"type": "http.disconnect"},
    ]
    headers = [(b"content-type", FORM_TYPE.encode()), (b"idempotency-key", b"key")]
    scope = {"type": "http", "method": "POST", "path": "/upload", "query_string": b"", "headers": headers}

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        pass

    await create_gateway(stores, settings)(scope, receive, send)

    assert (await post(http, CAT_PART, key="key")).status_code == 202


async def test_a_job_that_may_have_been_accepted_keeps_its_key(
    stores: Stores, settings: Settings, http: httpx.AsyncClient
) -> None:
    async with create_client(
        create_gateway(FakeStores(LostJobs(), stores.blobs, stores.idempotency_keys), settings)
    ) as broken:
        answer = await post(broken, CAT_PART, key="key")

    again = await post(http, CAT_PART, key="key")

    assert (answer.status_code, again.status_code) == (503, 409)


async def test_a_job_that_may_have_been_accepted_keeps_its_blob(stores: Stores, settings: Settings) -> None:
    async with create_client(
        create_gateway(FakeStores(LostJobs(), stores.blobs, stores.idempotency_keys), settings)
    ) as broken:
        await post(broken, CAT_PART, key="key")

    [folder] = stores.blobs.list_folders()
    assert stores.blobs.get(f"{folder}/original") == JPEG


async def test_a_job_that_was_accepted_without_an_answer_is_answered_under_its_key(
    stores: Stores, settings: Settings, http: httpx.AsyncClient
) -> None:
    async with create_client(
        create_gateway(FakeStores(UncertainJobs(), stores.blobs, stores.idempotency_keys), settings)
    ) as broken:
        await post(broken, CAT_PART, key="key")
    [made] = await list_job_ids()

    again = await post(http, CAT_PART, key="key")

    assert (again.json()["task_id"], again.headers["idempotency-replayed"]) == (made, "true")
