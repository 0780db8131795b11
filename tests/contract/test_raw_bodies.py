"""A body that is the image itself, and fields in the query, over real stores."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from hashlib import sha256

import httpx
import pytest

from gateway.submission.multipart import MAX_PARTS
from storage.documents import Operation
from storage.stores import Stores
from tests.contract.conftest import UPLOAD_BYTES
from tests.contract.http_helpers import CAT_PART, JPEG, get_accepted_job, list_job_ids, post
from tests.support.fakes import RENDITIONS, part


async def post_raw(
    http: httpx.AsyncClient,
    path: str = "/upload",
    content: bytes | AsyncIterator[bytes] = JPEG,
    content_type: str = "image/jpeg",
    **headers: str,
) -> httpx.Response:
    sent = {"Content-Type": content_type} | {name.replace("_", "-"): value for name, value in headers.items()}
    return await http.post(path, content=content, headers=sent)


def digest_of(content: bytes) -> str:
    return f"sha-256=:{b64encode(sha256(content).digest()).decode()}:"


async def in_chunks(content: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for i in range(0, len(content), size):
        yield content[i : i + size]


@pytest.mark.parametrize("content_type", ["image/jpeg", "IMAGE/PNG", "image/*", "application/octet-stream; x=y"])
async def test_the_body_is_the_image(http: httpx.AsyncClient, stores: Stores, content_type: str) -> None:
    job = await get_accepted_job(stores, await post_raw(http, content_type=content_type))

    assert (job.original.name, job.original.media_type, job.original.bytes) == (None, "image/jpeg", len(JPEG))
    assert stores.blobs.get(job.original.blob) == JPEG


async def test_a_chunked_body_is_the_image(http: httpx.AsyncClient, stores: Stores) -> None:
    job = await get_accepted_job(stores, await post_raw(http, content=in_chunks(JPEG)))

    assert stores.blobs.get(job.original.blob) == JPEG


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/upload?format=webp&quality=70", Operation(renditions=RENDITIONS, format="webp", quality=70)),
        ("/crop?aspect=16:9", Operation(parameters={"aspect": [16, 9]})),
        ("/grayscale?background=%23102030", Operation(background="#102030")),
        ("/resize?width=30", Operation(parameters={"width": 30, "fit": "contain", "enlarge": False})),
    ],
)
async def test_the_fields_are_in_the_query(
    http: httpx.AsyncClient, stores: Stores, path: str, operation: Operation
) -> None:
    job = await get_accepted_job(stores, await post_raw(http, path))

    assert job.operation.requests_same(operation)


async def test_a_form_may_have_fields_in_the_query_too(http: httpx.AsyncClient, stores: Stores) -> None:
    answer = await post(http, CAT_PART, part("quality", b"70"), path="/upload?format=webp")

    asked = Operation(renditions=RENDITIONS, format="webp", quality=70)
    assert (await get_accepted_job(stores, answer)).operation.requests_same(asked)


@pytest.mark.parametrize(
    "query", ["quality=70&quality=70", "quality=0", "qualty=70", "&".join(["a=1"] * (MAX_PARTS + 1))]
)
async def test_a_query_that_breaks_a_rule_leaves_nothing(http: httpx.AsyncClient, stores: Stores, query: str) -> None:
    answer = await post_raw(http, f"/upload?{query}")

    assert answer.status_code == 422
    assert (await list_job_ids(), stores.blobs.list_folders()) == ([], [])


async def test_a_field_in_both_query_and_form_is_refused(http: httpx.AsyncClient) -> None:
    answer = await post(http, CAT_PART, part("quality", b"70"), path="/upload?quality=80")

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_form")


async def test_an_unknown_field_in_the_query_is_a_warning(http: httpx.AsyncClient) -> None:
    [warning] = (await post_raw(http, "/upload?width=100")).json()["warnings"]

    assert (warning["pointer"], warning["rule"]) == ("/width", "unknown")
    assert "only for /crop and /resize" in warning["message"]


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ("attachment; filename=cat.jpg", "cat.jpg"),
        ("attachment; filename*=UTF-8''K%C3%A4se.jpg", "Käse.jpg"),
        ('inline; filename=""', None),
        ("inline", None),
    ],
)
async def test_the_name_is_in_content_disposition(
    http: httpx.AsyncClient, stores: Stores, disposition: str, name: str | None
) -> None:
    job = await get_accepted_job(stores, await post_raw(http, Content_Disposition=disposition))

    assert job.original.name == name


async def test_the_digest_is_that_of_the_file(http: httpx.AsyncClient) -> None:
    assert (await post_raw(http, Content_Digest=digest_of(JPEG))).status_code == 202


async def test_a_file_that_is_not_what_its_digest_says_leaves_nothing(http: httpx.AsyncClient, stores: Stores) -> None:
    answer = await post_raw(http, Content_Digest=digest_of(b"another file"))

    assert (answer.status_code, answer.json()["code"]) == (400, "digest_mismatch")
    assert (await list_job_ids(), stores.blobs.list_folders()) == ([], [])


async def test_a_repeated_request_gets_the_same_job(http: httpx.AsyncClient) -> None:
    first, again = [await post_raw(http, Idempotency_Key="one") for _ in range(2)]

    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["task_id"] == again.json()["task_id"]


async def test_a_key_with_another_query_is_refused(http: httpx.AsyncClient) -> None:
    await post_raw(http, Idempotency_Key="one")

    answer = await post_raw(http, "/upload?quality=10", Idempotency_Key="one")

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


async def test_the_same_request_as_a_form_gets_the_same_job(http: httpx.AsyncClient) -> None:
    named = "attachment; filename=cat.jpg"
    first = await post_raw(http, "/upload?quality=10", Idempotency_Key="one", Content_Disposition=named)

    again = await post(http, CAT_PART, part("quality", b"10"), key="one")

    assert first.json()["task_id"] == again.json()["task_id"]


@pytest.mark.parametrize(
    ("path", "content", "code"),
    [
        ("/upload", b"", "file_missing"),
        ("/upload?source_task_id=nobody", b"", "file_missing"),
        ("/grayscale?source_task_id=nobody", b"", "file_missing"),
        ("/grayscale?source_task_id=nobody", JPEG, "too_many_files"),
        ("/upload", b"hello", "unsupported_format"),
        ("/crop", JPEG, "invalid_form"),
    ],
    ids=["empty", "empty with a source", "empty operation", "file and source", "no image", "no box"],
)
async def test_a_refused_body_says_why_and_leaves_nothing(
    http: httpx.AsyncClient, stores: Stores, path: str, content: bytes, code: str
) -> None:
    answer = await post_raw(http, path, content)

    assert answer.json()["code"] == code
    assert (await list_job_ids(), stores.blobs.list_folders()) == ([], [])


@pytest.mark.parametrize(
    "content_type", ["", "application/json", "application/x-www-form-urlencoded", "text/html", "video/mp4"]
)
async def test_the_answer_to_another_type_says_what_is_taken(http: httpx.AsyncClient, content_type: str) -> None:
    answer = await post_raw(http, content_type=content_type)

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert answer.headers["accept"] == "multipart/form-data, image/*, application/octet-stream"
    assert answer.headers["accept-post"] == answer.headers["accept"]
    assert "curl -F file=@photo.jpg" in answer.json()["detail"]
    assert "multipart/form-data" in answer.json()["detail"]


async def test_a_body_that_says_that_it_is_too_large_is_not_read(http: httpx.AsyncClient) -> None:
    reads = 0

    async def count_reads() -> AsyncIterator[bytes]:
        nonlocal reads
        async for chunk in in_chunks(JPEG):
            reads += 1
            yield chunk

    answer = await post_raw(http, content=count_reads(), Content_Length=str(UPLOAD_BYTES + 1))

    assert (answer.status_code, answer.json()["code"], reads) == (413, "upload_too_large", 0)


async def test_a_chunked_body_that_is_too_large_leaves_nothing(http: httpx.AsyncClient, stores: Stores) -> None:
    answer = await post_raw(http, content=in_chunks(JPEG + bytes(UPLOAD_BYTES)))

    assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_large")
    assert (await list_job_ids(), stores.blobs.list_folders()) == ([], [])
