"""Submission over real stores: the job that each route makes, and the original of an earlier one."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import Any

import httpx
import pytest

from pipeline.http_settings import FormsSettings
from pipeline.settings import Settings
from storage.documents import Lane, Operation
from storage.stores import Stores
from tests.contract.conftest import create_client, create_gateway
from tests.contract.http_helpers import ADA_KEY, CAT_PART, JPEG, ZOE_KEY, get_accepted_job, list_job_ids, post
from tests.support.fakes import RENDITIONS, form, part


async def test_a_body_that_is_what_its_digest_says_is_accepted(http: httpx.AsyncClient) -> None:
    digest = b64encode(sha256(form(CAT_PART)).digest()).decode()

    assert (await post(http, CAT_PART, Content_Digest=f"sha-256=:{digest}:")).status_code == 202


async def test_a_body_that_is_not_what_its_digest_says_leaves_nothing(http: httpx.AsyncClient, stores: Stores) -> None:
    digest = b64encode(sha256(b"another body").digest()).decode()

    answer = await post(http, CAT_PART, Content_Digest=f"sha-256=:{digest}:")

    assert (answer.status_code, answer.json()["code"]) == (400, "digest_mismatch")
    assert (await list_job_ids(), stores.blobs.list_folders()) == ([], [])


@pytest.mark.parametrize(
    ("path", "fields", "stages"),
    [
        ("/upload", [], ["validate", "normalize", "small", "medium", "large", "finalize"]),
        ("/crop", [part("aspect", b"1:1")], ["validate", "transform", "finalize"]),
        ("/grayscale", [], ["validate", "transform", "finalize"]),
        ("/resize", [part("width", b"10")], ["validate", "transform", "finalize"]),
        ("/process", [part("steps", b'["grayscale"]')], ["validate", "transform", "finalize"]),
    ],
    ids=["upload", "crop", "grayscale", "resize", "process"],
)
async def test_each_route_makes_a_job_of_its_kind(
    http: httpx.AsyncClient, stores: Stores, path: str, fields: list[bytes], stages: list[str]
) -> None:
    job = await get_accepted_job(stores, await post(http, CAT_PART, *fields, path=path))

    assert (job.kind, list(job.stages)) == ("previews" if path == "/upload" else path[1:], stages)


@pytest.mark.parametrize(
    ("path", "fields", "operation"),
    [
        ("/upload", {}, Operation(renditions=RENDITIONS)),
        (
            "/upload",
            {"format": "gif", "animated": "true", "quality": "70"},
            Operation(renditions=RENDITIONS, format="gif", animated=True, quality=70),
        ),
        (
            "/crop",
            {"left": "1", "top": "0", "width": "30", "height": "40"},
            Operation(parameters={"left": 1, "top": 0, "width": 30, "height": 40}),
        ),
        ("/crop", {"aspect": "16:9"}, Operation(parameters={"aspect": [16, 9]})),
        (
            "/grayscale",
            {"format": "png", "background": "#102030"},
            Operation(format="png", background="#102030"),
        ),
        ("/resize", {"width": "30"}, Operation(parameters={"width": 30, "fit": "contain", "enlarge": False})),
        (
            "/resize",
            {"width": "30", "height": "40", "fit": "cover", "enlarge": "true"},
            Operation(parameters={"width": 30, "height": 40, "fit": "cover", "enlarge": True}),
        ),
    ],
    ids=["upload", "animated", "box", "aspect", "grayscale", "width", "cover"],
)
async def test_a_job_knows_what_was_asked(
    http: httpx.AsyncClient, stores: Stores, path: str, fields: dict[str, str], operation: Operation
) -> None:
    given = [part(name, value.encode()) for name, value in fields.items()]

    job = await get_accepted_job(stores, await post(http, CAT_PART, *given, path=path))

    assert job.operation.requests_same(operation)


async def test_a_burst_goes_to_the_bulk_lane(http: httpx.AsyncClient, stores: Stores) -> None:
    jobs = [await get_accepted_job(stores, await post(http, CAT_PART)) for _ in range(31)]

    assert [job.lane for job in jobs] == [Lane.EXPRESS] * 30 + [Lane.BULK]


async def test_a_job_is_its_owners(keyed_client: httpx.AsyncClient, stores: Stores) -> None:
    job = await get_accepted_job(stores, await post(keyed_client, CAT_PART, api_key=ADA_KEY))

    assert job.owner == "ada"


async def test_where_no_keys_are_set_a_job_is_nobodys(http: httpx.AsyncClient, stores: Stores) -> None:
    job = await get_accepted_job(stores, await post(http, CAT_PART))

    assert job.owner is None


async def from_source(http: httpx.AsyncClient, source_id: str, *parts: bytes, **options: Any) -> httpx.Response:
    """Ask for a grayscale of an earlier job's original."""
    return await post(http, part("source_task_id", source_id.encode()), *parts, path="/grayscale", **options)


async def test_an_operation_on_an_earlier_job_has_a_copy_of_its_original(
    http: httpx.AsyncClient, stores: Stores
) -> None:
    source = await get_accepted_job(stores, await post(http, CAT_PART))

    job = await get_accepted_job(stores, await from_source(http, source.id))

    assert job.original == source.original.model_copy(update={"blob": f"{job.id}/original"})
    assert stores.blobs.get(job.original.blob) == JPEG


async def test_an_operation_knows_the_job_that_it_works_on(http: httpx.AsyncClient, stores: Stores) -> None:
    source = await get_accepted_job(stores, await post(http, CAT_PART))

    job = await get_accepted_job(stores, await from_source(http, source.id))

    assert job.source_task_id == source.id


async def test_an_operation_does_not_need_the_earlier_job_any_more(http: httpx.AsyncClient, stores: Stores) -> None:
    source = await get_accepted_job(stores, await post(http, CAT_PART))
    job = await get_accepted_job(stores, await from_source(http, source.id))

    stores.blobs.remove_folder(source.id)

    assert stores.blobs.get(job.original.blob) == JPEG


async def test_an_operation_on_an_earlier_operation_is_on_its_original(http: httpx.AsyncClient, stores: Stores) -> None:
    first = await get_accepted_job(stores, await post(http, CAT_PART, path="/grayscale"))

    second = await get_accepted_job(stores, await from_source(http, first.id))

    assert stores.blobs.get(second.original.blob) == JPEG


@pytest.mark.parametrize(
    ("path", "parts", "status", "code"),
    [
        ("/grayscale", [part("source_task_id", b"nobody")], 404, "job_not_found"),
        ("/grayscale", [CAT_PART, part("source_task_id", b"nobody")], 422, "too_many_files"),
        ("/grayscale", [part("source_task_id", b"nobody"), CAT_PART], 422, "too_many_files"),
        ("/grayscale", [], 422, "file_missing"),
        ("/grayscale", [part("source_task_id", b"")], 422, "file_missing"),
        ("/upload", [part("source_task_id", b"nobody")], 422, "file_missing"),
        ("/crop", [CAT_PART], 422, "invalid_form"),
        ("/resize", [CAT_PART, part("width", b"0")], 422, "invalid_form"),
    ],
    ids=["unknown", "file and source", "source and file", "neither", "no id", "upload", "no box", "no width"],
)
class TestARefusedOperation:
    async def test_says_why(
        self, http: httpx.AsyncClient, path: str, parts: list[bytes], status: int, code: str
    ) -> None:
        answer = await post(http, *parts, path=path)

        assert (answer.status_code, answer.json()["code"]) == (status, code)

    async def test_leaves_nothing(
        self,
        http: httpx.AsyncClient,
        stores: Stores,
        path: str,
        parts: list[bytes],
        status: int,  # noqa: ARG002
        code: str,  # noqa: ARG002
    ) -> None:
        await post(http, *parts, path=path)

        assert (await list_job_ids(), stores.blobs.list_folders()) == ([], [])


async def test_a_job_of_another_owner_is_no_source(keyed_client: httpx.AsyncClient, stores: Stores) -> None:
    source = await get_accepted_job(stores, await post(keyed_client, CAT_PART, api_key=ADA_KEY))

    answer = await from_source(keyed_client, source.id, api_key=ZOE_KEY)

    assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")
    assert stores.blobs.list_folders() == [source.id]


async def test_a_job_whose_original_is_gone_is_no_source(http: httpx.AsyncClient, stores: Stores) -> None:
    source = await get_accepted_job(stores, await post(http, CAT_PART))
    stores.blobs.remove_folder(source.id)

    answer = await from_source(http, source.id)

    assert (answer.status_code, answer.json()["code"]) == (409, "source_gone")
    assert (await list_job_ids(), stores.blobs.list_folders()) == ([source.id], [])


async def test_an_unknown_field_is_a_warning_in_each_answer(http: httpx.AsyncClient) -> None:
    answers = [await post(http, CAT_PART, part("csrfmiddlewaretoken", b"x"), key="one") for _ in range(2)]

    for answer in answers:
        [warning] = answer.json()["warnings"]
        assert (answer.status_code, warning["pointer"], warning["rule"]) == (202, "/csrfmiddlewaretoken", "unknown")


async def test_an_answer_without_a_warning_has_an_empty_list(http: httpx.AsyncClient) -> None:
    assert (await post(http, CAT_PART)).json()["warnings"] == []


async def test_a_strict_gateway_refuses_an_unknown_field(settings: Settings, stores: Stores) -> None:
    strict = settings.model_copy(update={"forms": FormsSettings(strict=True)})

    async with create_client(create_gateway(stores, strict)) as http:
        answer = await post(http, CAT_PART, part("csrfmiddlewaretoken", b"x"))

    assert (answer.status_code, answer.json()["errors"][0]["rule"]) == (422, "unknown")
    assert (await list_job_ids(), stores.blobs.list_folders()) == ([], [])
