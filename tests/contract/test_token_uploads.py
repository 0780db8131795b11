"""Upload tokens over HTTP and real stores: what they may upload, from where, and how often."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from hashlib import sha256
from typing import Any

import httpx
import pytest
from motor.motor_asyncio import AsyncIOMotorClient

from pipeline.http_settings import HttpSettings
from pipeline.settings import Settings
from storage.stores import Stores, database_name
from storage.token_uses import COLLECTION as TOKEN_USES
from storage.token_uses import TokenUses
from tests.contract.conftest import create_client, create_gateway
from tests.contract.http_helpers import ADA_KEY, JPEG, list_job_ids
from tests.support.fakes import FORM_TYPE, form, part
from tests.support.tokens import SECRETS, bearer, upload_claims

PAGE, OTHER_PAGE = "https://app.example", "https://other.example"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01" + bytes(64)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    keys = {owner: sha256(f"{owner}'s key".encode()).hexdigest() for owner in ("ada", "zoe")}
    http = HttpSettings(allowed_origins=(PAGE, OTHER_PAGE))
    return settings.model_copy(update={"api_keys": keys, "signing_secrets": SECRETS, "http": http})


async def post(
    http: httpx.AsyncClient, headers: dict[str, str], *, content: bytes = JPEG, path: str = "/upload", **fields: str
) -> httpx.Response:
    parts = [part(name, value.encode()) for name, value in fields.items()]
    body = form(*parts, *([part("file", content, filename="cat.jpg")] if content else []))
    return await http.post(path, content=body, headers=headers | {"Content-Type": FORM_TYPE})


async def test_a_token_uploads_for_its_owner(http: httpx.AsyncClient, stores: Stores) -> None:
    answer = await post(http, bearer(upload_claims(metadata={"order": "4711"})))

    job = await stores.jobs.get(answer.json()["task_id"])
    assert answer.status_code == 202
    assert (job.owner, job.token_id, job.metadata) == ("ada", "token-one", {"order": "4711"})


async def test_the_backend_finds_the_metadata_in_the_job_and_in_the_list(http: httpx.AsyncClient) -> None:
    answer = await post(http, bearer(upload_claims(metadata={"order": "4711"})))

    shown = (await http.get(answer.json()["links"]["status"], headers={"X-API-Key": ADA_KEY})).json()
    listed = (await http.get("/jobs", headers={"X-API-Key": ADA_KEY})).json()["jobs"]
    assert shown["metadata"] == {"order": "4711"}
    assert {"order": "4711"} in [job["metadata"] for job in listed]


async def test_the_answer_to_an_upload_has_a_token_that_reads_the_job(http: httpx.AsyncClient) -> None:
    answer = await post(http, bearer(upload_claims()))

    view_token = answer.json()["view_token"]
    status = await http.get(answer.json()["links"]["status"], params={"token": view_token})
    assert (answer.headers["view-token"], status.status_code) == (view_token, 200)
    assert status.json()["task_id"] == answer.json()["task_id"]


async def test_a_file_that_is_larger_than_the_token_allows_is_refused(http: httpx.AsyncClient, stores: Stores) -> None:
    answer = await post(http, bearer(upload_claims(max_bytes=len(JPEG) - 1)))

    assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_large")
    assert stores.blobs.list_folders() == []


async def test_a_file_of_the_largest_size_is_accepted(http: httpx.AsyncClient) -> None:
    assert (await post(http, bearer(upload_claims(max_bytes=len(JPEG))))).status_code == 202


@pytest.mark.parametrize(("content", "status"), [(PNG, 202), (JPEG, 415)], ids=["png", "jpeg named png"])
async def test_the_format_is_that_of_the_bytes(
    http: httpx.AsyncClient, stores: Stores, content: bytes, status: int
) -> None:
    answer = await post(http, bearer(upload_claims(formats=["png", "webp"])), content=content)

    assert answer.status_code == status
    if status == 415:
        assert (answer.json()["code"], answer.json()["detail"]) == (
            "format_not_allowed",
            "The token allows no file of the format jpeg. Send one of: png, webp.",
        )
        assert stores.blobs.list_folders() == []


@pytest.mark.parametrize(
    ("origin", "status"), [(PAGE, 202), (OTHER_PAGE, 403), (None, 403)], ids=["its own", "other", "none"]
)
async def test_a_token_of_a_page_is_for_that_page(http: httpx.AsyncClient, origin: str | None, status: int) -> None:
    headers = bearer(upload_claims(origin=PAGE)) | ({"Origin": origin} if origin else {})

    answer = await post(http, headers)

    assert answer.status_code == status
    if status == 403:
        assert answer.json()["code"] == "origin_not_allowed"


async def test_a_token_makes_as_many_jobs_as_it_may(http: httpx.AsyncClient, stores: Stores) -> None:
    headers = bearer(upload_claims(uses=2))

    answers = [await post(http, headers) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202, 202, 403]
    assert answers[2].json()["code"] == "token_used_up"
    assert len(stores.blobs.list_folders()) == 2


async def test_a_refused_upload_uses_nothing_up(http: httpx.AsyncClient) -> None:
    headers = bearer(upload_claims(uses=1, formats=["jpeg"]))

    answers = [
        await post(http, headers, content=PNG),
        await post(http, headers, content=b""),
        await post(http, headers, format="none"),
        await post(http, headers),
    ]

    assert [answer.status_code for answer in answers] == [415, 422, 422, 202]


async def test_an_upload_that_is_repeated_by_its_key_is_counted_once(http: httpx.AsyncClient) -> None:
    headers = bearer(upload_claims(uses=1)) | {"Idempotency-Key": "one"}

    first, second = [await post(http, headers) for _ in range(2)]

    assert (second.status_code, second.json()["task_id"]) == (202, first.json()["task_id"])


async def test_two_tokens_share_no_idempotency_keys(http: httpx.AsyncClient) -> None:
    one, two = (bearer(upload_claims(jti=jti)) | {"Idempotency-Key": "one"} for jti in ("token-one", "token-two"))

    first, second = await post(http, one), await post(http, two)

    assert second.status_code == 202
    assert second.json()["task_id"] != first.json()["task_id"]


async def test_a_token_and_its_owner_share_no_idempotency_keys(http: httpx.AsyncClient) -> None:
    by_key = await post(http, {"X-API-Key": ADA_KEY, "Idempotency-Key": "token-one:one"})

    by_token = await post(http, bearer(upload_claims(jti="token-one")) | {"Idempotency-Key": "one"})

    assert by_token.status_code == 202
    assert by_token.json()["task_id"] != by_key.json()["task_id"]


async def test_an_operation_takes_the_image_of_the_tokens_own_job_only(http: httpx.AsyncClient) -> None:
    own, other = [await post(http, bearer(upload_claims(jti=jti))) for jti in ("token-one", "token-two")]
    headers = bearer(upload_claims(jti="token-one"))

    answers = [
        await post(http, headers, path="/grayscale", content=b"", source_task_id=source.json()["task_id"])
        for source in (own, other)
    ]

    assert [answer.status_code for answer in answers] == [202, 404]


@pytest.mark.usefixtures("redis")
async def test_a_token_of_one_use_that_is_replayed_at_once_on_two_gateways_makes_one_job(
    stores: Stores, settings: Settings, mongo_url: str
) -> None:
    headers = bearer(upload_claims(uses=1))
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(mongo_url)
    others = replace(stores, token_uses=TokenUses(client[database_name(mongo_url)][TOKEN_USES]))
    gateways = [create_gateway(each, settings) for each in (stores, others)]

    async with create_client(gateways[0]) as one, create_client(gateways[1]) as two:
        answers = await asyncio.gather(*(post((one, two)[number % 2], headers) for number in range(20)))

    client.close()
    assert sorted(answer.status_code for answer in answers) == [202] + [403] * 19
    assert len(await list_job_ids()) == 1
    assert len(stores.blobs.list_folders()) == 1
