"""Resumable uploads over real stores: from the first byte to one job."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from redis import Redis

from storage.clock import now_ms
from storage.documents import Kind
from storage.stores import Stores
from tests.contract.http_helpers import JPEG, list_job_ids
from tests.contract.tus_helpers import BYTES, create, create_upload, head, patch, read_offset


async def test_the_name_of_a_file_has_no_control_characters(http: httpx.AsyncClient, stores: Stores) -> None:
    path = await create_upload(http, filename="c\x1b[31ma\nt\x00\x85.jpg")

    answer = await patch(http, path, JPEG, 0)

    assert (await stores.jobs.get(answer.headers["task-id"])).original.name == "c[31mat.jpg"


async def test_an_upload_in_two_pieces_becomes_a_job(http: httpx.AsyncClient, stores: Stores) -> None:
    path = await create_upload(http, filename="cat.jpg", format="png", quality="70")

    first = await patch(http, path, JPEG[:1000], 0)
    last = await patch(http, path, JPEG[1000:], 1000)

    job = await stores.jobs.get(last.headers["task-id"])
    assert (first.status_code, first.headers["upload-offset"]) == (204, "1000")
    assert (last.status_code, last.headers["upload-offset"]) == (204, str(len(JPEG)))
    assert path == f"/files/{job.id}"
    assert stores.blobs.get(job.original.blob) == JPEG
    assert (job.kind, job.original.name, job.operation.format, job.operation.quality) == (
        Kind.PREVIEWS,
        "cat.jpg",
        "png",
        70,
    )


async def test_the_answer_of_the_last_piece_links_to_the_job(http: httpx.AsyncClient) -> None:
    path = await create_upload(http)

    last = await patch(http, path, JPEG, 0)

    [job_id] = await list_job_ids()
    assert last.headers["task-id"] == job_id
    assert last.headers["link"] == f'</task-status/{job_id}>; rel="status", </result/{job_id}>; rel="result"'


async def test_a_complete_upload_keeps_nothing_but_the_original(http: httpx.AsyncClient, stores: Stores) -> None:
    path = await create_upload(http)

    for start in range(0, len(JPEG), 5000):
        await patch(http, path, JPEG[start : start + 5000], start)

    [job_id] = await list_job_ids()
    names = stores.blobs.list_names(job_id)
    assert [f"{job_id}/{name}" for name in names] == [(await stores.jobs.get(job_id)).original.blob]


async def test_the_last_piece_again_finds_the_same_job(http: httpx.AsyncClient) -> None:
    path = await create_upload(http)
    await patch(http, path, JPEG[:1000], 0)

    answers = [await patch(http, path, JPEG[1000:], 1000) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 204]
    assert [answer.headers["task-id"] for answer in answers] == 2 * await list_job_ids()


async def test_the_job_knows_when_its_last_byte_came(http: httpx.AsyncClient, stores: Stores) -> None:
    path, before_ms = await create_upload(http), now_ms()

    last = await patch(http, path, JPEG, 0)

    assert before_ms <= (await stores.jobs.get(last.headers["task-id"])).upload_started_ms <= now_ms()


async def test_a_complete_upload_is_published_once(http: httpx.AsyncClient, redis: Redis) -> None:
    path = await create_upload(http)
    await patch(http, path, JPEG[:1000], 0)

    for _ in range(2):
        await patch(http, path, JPEG[1000:], 1000)

    assert redis.llen("validate") == 1


async def test_a_head_shows_how_far_an_upload_has_come(http: httpx.AsyncClient) -> None:
    path = await create_upload(http, filename="cat.jpg")
    await patch(http, path, JPEG[:1000], 0)

    shown = await head(http, path)

    assert shown.status_code == 200
    assert {name: shown.headers[name] for name in ("upload-offset", "upload-length", "upload-metadata")} == {
        "upload-offset": "1000",
        "upload-length": str(len(JPEG)),
        "upload-metadata": "filename Y2F0LmpwZw==",
    }
    assert (shown.headers["cache-control"], shown.headers["tus-resumable"]) == ("no-store", "1.0.0")


async def test_an_upload_with_all_its_bytes_at_its_creation_is_a_job_at_once(
    http: httpx.AsyncClient, stores: Stores
) -> None:
    headers = BYTES | {"Upload-Length": str(len(JPEG))}

    answer = await http.post("/files", content=JPEG, headers=headers)

    assert (answer.status_code, answer.headers["upload-offset"]) == (201, str(len(JPEG)))
    job = await stores.jobs.get(answer.headers["task-id"])
    assert answer.headers["location"] == f"/files/{job.id}"
    assert stores.blobs.get(job.original.blob) == JPEG


async def test_bytes_at_another_offset_change_nothing(http: httpx.AsyncClient) -> None:
    path = await create_upload(http)
    await patch(http, path, JPEG[:1000], 0)

    answer = await patch(http, path, JPEG[:1000], 0)

    assert (answer.status_code, answer.json()["code"]) == (409, "offset_mismatch")
    assert await read_offset(http, path) == 1000


async def test_a_body_of_unknown_length_is_stored(http: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield JPEG[:10]
        yield JPEG[10:500]

    path = await create_upload(http)

    answer = await patch(http, path, chunks(), 0)

    assert (answer.status_code, answer.headers["upload-offset"]) == (204, "500")


@pytest.mark.parametrize("kind", [Kind.CROP, Kind.GRAYSCALE, Kind.RESIZE])
async def test_an_upload_may_be_for_an_operation(http: httpx.AsyncClient, stores: Stores, kind: Kind) -> None:
    fields: dict[str, Any] = {Kind.CROP: {"aspect": "1:1"}, Kind.GRAYSCALE: {}, Kind.RESIZE: {"width": "10"}}[kind]
    path = await create_upload(http, operation=kind.value, **fields)

    last = await patch(http, path, JPEG, 0)

    assert (await stores.jobs.get(last.headers["task-id"])).kind is kind


async def test_an_upload_of_another_version_is_refused(http: httpx.AsyncClient) -> None:
    answer = await create(http, headers={"Tus-Resumable": "0.2.2"})

    assert (answer.status_code, answer.headers["tus-version"]) == (412, "1.0.0")
