"""The rules of the tus protocol, one by one: a request, its status, and what it changes."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from hashlib import sha1, sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo.errors import AutoReconnect

from pipeline.http_settings import AccessSettings, BlobsSettings, ResumableSettings
from pipeline.settings import Settings
from storage.blobs import Blobs
from storage.clock import now_ms
from storage.documents import Job
from storage.resumable_uploads import ResumableUpload, UploadState
from storage.stores import Stores
from tests.contract.conftest import UPLOAD_BYTES, create_client, create_gateway
from tests.contract.http_helpers import ADA_KEY, JPEG, ZOE_KEY, list_job_ids
from tests.contract.tus_helpers import BYTES, VERSION, create, create_upload, head, metadata, patch, read_offset
from tests.support.fakes import FakeUploads

SIZE = {"Upload-Length": str(len(JPEG))}


def id_of(path: str) -> str:
    return path.rpartition("/")[2]


def checksum(algorithm: str, content: bytes) -> str:
    digest = {"sha1": sha1, "sha256": sha256}[algorithm](content).digest()
    return f"{algorithm} {b64encode(digest).decode()}"


REFUSED_CREATIONS: dict[str, tuple[dict[str, str], int, str]] = {
    "no version": (SIZE, 412, "tus_version_unsupported"),
    "another version": (SIZE | {"Tus-Resumable": "0.2.2"}, 412, "tus_version_unsupported"),
    "no length": (VERSION, 400, "invalid_header"),
    "a deferred length": (VERSION | {"Upload-Defer-Length": "1"}, 400, "invalid_header"),
    "a negative length": (VERSION | {"Upload-Length": "-1"}, 400, "invalid_header"),
    "no bytes": (VERSION | {"Upload-Length": "0"}, 422, "empty_file"),
    "too many bytes": (VERSION | {"Upload-Length": str(UPLOAD_BYTES + 1)}, 413, "upload_too_large"),
    "far too many bytes": (VERSION | {"Upload-Length": "9" * 40}, 413, "upload_too_large"),
    "a field twice": (VERSION | SIZE | {"Upload-Metadata": "a YQ==,a YQ=="}, 400, "invalid_header"),
    "a field without a name": (VERSION | SIZE | {"Upload-Metadata": "a YQ==,"}, 400, "invalid_header"),
    "a field that is not base64": (VERSION | SIZE | {"Upload-Metadata": "format png"}, 400, "invalid_header"),
    "very long fields": (VERSION | SIZE | {"Upload-Metadata": "a " + "YWFh" * 3000}, 400, "invalid_header"),
    "a misspelt field": (VERSION | SIZE | {"Upload-Metadata": metadata(qualty="80")}, 422, "invalid_form"),
    "a wrong value": (VERSION | SIZE | {"Upload-Metadata": metadata(quality="101")}, 422, "invalid_form"),
    "an unknown operation": (VERSION | SIZE | {"Upload-Metadata": metadata(operation="blur")}, 422, "invalid_form"),
    "an operation without its fields": (
        VERSION | SIZE | {"Upload-Metadata": metadata(operation="resize")},
        422,
        "invalid_form",
    ),
    "a source": (
        VERSION | SIZE | {"Upload-Metadata": metadata(operation="grayscale", source_task_id="a")},
        422,
        "too_many_files",
    ),
    "a body of another type": (
        VERSION | SIZE | {"Content-Type": "image/jpeg", "Content-Length": "3"},
        415,
        "unsupported_media_type",
    ),
}


@pytest.mark.parametrize(("headers", "status", "code"), REFUSED_CREATIONS.values(), ids=REFUSED_CREATIONS)
async def test_an_upload_that_could_not_become_a_job_is_refused_at_its_creation(
    http: httpx.AsyncClient, stores: Stores, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await http.post("/files", headers=headers, content=b"abc" if "Content-Length" in headers else b"")

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert await stores.resumable_uploads.count_unfinished("address:127.0.0.1", limit=9) == 0


async def test_a_refused_form_lists_each_broken_rule(http: httpx.AsyncClient) -> None:
    answer = await create(http, quality="0", format="gif")

    assert {error["pointer"] for error in answer.json()["errors"]} >= {"/quality"}


@pytest.mark.parametrize("fields", [{}, {"filename": "é.jpg", "filetype": "image/jpeg", "name": "x", "type": "y"}])
async def test_fields_that_clients_add_by_themselves_are_accepted(
    http: httpx.AsyncClient, fields: dict[str, Any]
) -> None:
    assert (await create(http, **fields)).status_code == 201


@pytest.mark.parametrize("content", [b"", JPEG], ids=["empty", "whole"])
async def test_the_answer_of_a_creation_names_the_fields_that_are_ignored(
    http: httpx.AsyncClient, content: bytes
) -> None:
    headers = BYTES | SIZE | {"Upload-Metadata": metadata(colour="red", format="png")}

    answers = [await http.post("/files", content=content, headers=headers), await create(http, format="png")]

    assert [answer.status_code for answer in answers] == [201, 201]
    named, none = [answer.json()["warnings"] for answer in answers]
    assert ([(each["pointer"], each["rule"]) for each in named], none) == ([("/colour", "unknown")], [])


@pytest.mark.usefixtures("redis")
async def test_a_strict_gateway_refuses_unknown_fields_of_an_upload(stores: Stores, settings: Settings) -> None:
    strict = settings.model_copy(update={"forms": settings.forms.model_copy(update={"strict": True})})
    async with create_client(create_gateway(stores, strict)) as http:
        answer = await create(http, colour="red")

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_form")


async def test_a_field_may_have_no_value(http: httpx.AsyncClient) -> None:
    answer = await create(http, headers={"Upload-Metadata": "quality,filename Y2F0"})

    assert answer.status_code == 201


async def test_options_describe_the_protocol_without_a_version(http: httpx.AsyncClient) -> None:
    path = await create_upload(http)

    for url in ("/files", path):
        answer = await http.options(url)

        assert answer.status_code == 204
        assert {name: answer.headers[name] for name in answer.headers if name.startswith("tus-")} == {
            "tus-resumable": "1.0.0",
            "tus-version": "1.0.0",
            "tus-extension": "creation,creation-with-upload,expiration,termination,checksum",
            "tus-max-size": str(UPLOAD_BYTES),
            "tus-checksum-algorithm": "sha1,sha256",
        }


async def test_an_upload_may_be_created_with_a_slash_behind_the_path(keyed_client: httpx.AsyncClient) -> None:
    """Many clients of tus write the address so."""
    headers = VERSION | SIZE | {"X-API-Key": ADA_KEY}

    created = await keyed_client.post("/files/", headers=headers)
    described = await keyed_client.options("/files/")

    assert (created.status_code, created.headers["location"].count("/")) == (201, 2)
    assert (described.status_code, described.headers["tus-version"]) == (204, "1.0.0")


REFUSED_PIECES: dict[str, tuple[dict[str, str], bytes, int, str]] = {
    "no version": ({"Tus-Resumable": ""}, b"abc", 412, "tus_version_unsupported"),
    "another media type": ({"Content-Type": "image/jpeg"}, b"abc", 415, "unsupported_media_type"),
    "no offset": ({"Upload-Offset": ""}, b"abc", 400, "invalid_header"),
    "an offset behind the stored bytes": ({"Upload-Offset": "101"}, b"abc", 409, "offset_mismatch"),
    "an offset before their end": ({"Upload-Offset": "99"}, b"abc", 409, "offset_mismatch"),
    "more bytes than are missing": ({}, bytes(len(JPEG) - 99), 413, "upload_too_large"),
    "an unknown checksum": ({"Upload-Checksum": "crc32 AAAA"}, b"abc", 400, "invalid_header"),
    "a malformed checksum": ({"Upload-Checksum": "sha1 ????"}, b"abc", 400, "invalid_header"),
    "a checksum that is too short": ({"Upload-Checksum": "sha1 AAAA"}, b"abc", 400, "invalid_header"),
    "another checksum": ({"Upload-Checksum": checksum("sha1", b"other")}, b"abc", 460, "checksum_mismatch"),
    "another checksum of the rest": (
        {"Upload-Checksum": checksum("sha256", b"other")},
        JPEG[100:],
        460,
        "checksum_mismatch",
    ),
}


@pytest.mark.parametrize(("headers", "content", "status", "code"), REFUSED_PIECES.values(), ids=REFUSED_PIECES)
async def test_a_refused_piece_changes_nothing(
    http: httpx.AsyncClient, stores: Stores, headers: dict[str, str], content: bytes, status: int, code: str
) -> None:
    path = await create_upload(http)
    await patch(http, path, JPEG[:100], 0)
    before = stores.blobs.list_names(id_of(path))

    answer = await http.patch(path, content=content, headers=BYTES | {"Upload-Offset": "100"} | headers)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await read_offset(http, path) == 100
    assert stores.blobs.list_names(id_of(path)) == before
    assert (await patch(http, path, JPEG[100:], 100)).headers["task-id"] == id_of(path)


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
async def test_a_piece_that_matches_its_checksum_is_stored(http: httpx.AsyncClient, algorithm: str) -> None:
    path = await create_upload(http)

    first = await patch(http, path, JPEG[:100], 0, Upload_Checksum=checksum(algorithm, JPEG[:100]))
    last = await patch(http, path, JPEG[100:], 100, Upload_Checksum=checksum(algorithm, JPEG[100:]))

    assert (first.status_code, last.status_code) == (204, 204)
    assert await list_job_ids() == [id_of(path)]


async def test_a_piece_of_unknown_length_that_is_too_long_is_refused(http: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield JPEG
        yield b"more"

    path = await create_upload(http)

    answer = await patch(http, path, chunks(), 0)

    assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_large")
    assert (await read_offset(http, path), await list_job_ids()) == (0, [])


@pytest.mark.parametrize("sizes", [(100,), (3, 97), (63, 1)], ids=str)
async def test_a_file_that_is_no_image_is_refused_by_its_first_bytes(
    http: httpx.AsyncClient, stores: Stores, sizes: tuple[int, ...]
) -> None:
    path, offset, statuses = await create_upload(http, length=1000), 0, []

    for size in sizes:
        statuses.append((await patch(http, path, b"x" * size, offset)).status_code)
        offset += size

    assert statuses == [204] * (len(sizes) - 1) + [415]
    assert stores.blobs.list_folders() == []
    assert (await head(http, path)).status_code == 410
    assert (await patch(http, path, b"x", offset)).json()["code"] == "upload_ended"


async def test_a_file_that_is_no_image_is_refused_at_its_creation(http: httpx.AsyncClient, stores: Stores) -> None:
    answer = await http.post("/files", content=b"x" * 100, headers=BYTES | {"Upload-Length": "1000"})

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_format")
    assert stores.blobs.list_folders() == []


async def test_the_first_bytes_may_come_with_the_creation(http: httpx.AsyncClient) -> None:
    created = await http.post("/files", content=JPEG[:100], headers=BYTES | SIZE)

    assert (created.status_code, created.headers["upload-offset"]) == (201, "100")
    assert (await patch(http, created.headers["location"], JPEG[100:], 100)).headers["task-id"]


async def test_a_piece_may_be_empty(http: httpx.AsyncClient) -> None:
    path = await create_upload(http)

    answer = await patch(http, path, b"", 0)

    assert (answer.status_code, answer.headers["upload-offset"]) == (204, "0")


async def test_an_upload_says_when_it_expires(http: httpx.AsyncClient) -> None:
    created = await create(http)
    stored = await patch(http, created.headers["location"], JPEG[:100], 0)
    shown = await head(http, created.headers["location"])

    for answer in (created, stored, shown):
        assert answer.headers["upload-expires"].endswith(" GMT")


async def test_a_removed_upload_leaves_nothing(http: httpx.AsyncClient, stores: Stores) -> None:
    path = await create_upload(http)
    await patch(http, path, JPEG[:100], 0)

    answer = await http.delete(path, headers=VERSION)

    assert answer.status_code == 204
    assert stores.blobs.list_folders() == []
    assert [(await head(http, path)).status_code, (await http.delete(path, headers=VERSION)).status_code] == [410, 410]
    assert (await patch(http, path, JPEG[100:], 100)).status_code == 410


async def test_a_complete_upload_may_be_removed_and_its_job_stays(http: httpx.AsyncClient, stores: Stores) -> None:
    path = await create_upload(http)
    await patch(http, path, JPEG, 0)

    answer = await http.delete(path, headers=VERSION)

    assert answer.status_code == 204
    assert stores.blobs.get((await stores.jobs.get(id_of(path))).original.blob) == JPEG
    later = [await head(http, path), await patch(http, path, JPEG, 0), await http.delete(path, headers=VERSION)]
    assert [each.status_code for each in later] == [410, 410, 410]


async def test_a_complete_upload_shows_its_job(http: httpx.AsyncClient) -> None:
    path = await create_upload(http)
    last = await patch(http, path, JPEG, 0)

    shown = await head(http, path)

    assert (shown.status_code, shown.headers["upload-offset"]) == (200, str(len(JPEG)))
    assert [shown.headers[name] for name in ("task-id", "link")] == [last.headers[n] for n in ("task-id", "link")]
    assert "upload-expires" not in shown.headers


@pytest.mark.parametrize(("start", "content"), [(100, JPEG[100:]), (len(JPEG), b"")], ids=["last", "empty"])
async def test_a_complete_upload_takes_its_last_piece_again(
    http: httpx.AsyncClient, start: int, content: bytes
) -> None:
    path = await create_upload(http)
    await patch(http, path, JPEG, 0)

    answer = await patch(http, path, content, start)

    assert (answer.status_code, answer.headers["task-id"]) == (204, id_of(path))


@pytest.mark.parametrize(("start", "content"), [(100, JPEG[100:200]), (0, b"")], ids=["earlier", "empty"])
async def test_a_complete_upload_takes_no_other_piece(http: httpx.AsyncClient, start: int, content: bytes) -> None:
    path = await create_upload(http)
    await patch(http, path, JPEG, 0)

    answer = await patch(http, path, content, start)

    assert (answer.status_code, answer.json()["code"]) == (409, "offset_mismatch")


async def test_an_upload_whose_job_was_removed_is_gone(http: httpx.AsyncClient) -> None:
    path = await create_upload(http)
    await patch(http, path, JPEG, 0)
    for _ in range(2):  # cancel it, then remove it
        await http.delete(f"/jobs/{id_of(path)}")

    assert (await head(http, path)).status_code == 410
    assert (await patch(http, path, JPEG[100:], 100)).status_code == 410
    assert await list_job_ids() == []


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE"])
async def test_an_unknown_upload_is_not_found(http: httpx.AsyncClient, method: str) -> None:
    headers = BYTES | {"Upload-Offset": "0"}

    answer = await http.request(method, "/files/019392f0-7c1e-7d4a-b4d8-0f5e2c9a1b77", headers=headers)

    assert (answer.status_code, answer.headers.get("upload-offset")) == (404, None)


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE"])
async def test_the_upload_of_another_owner_is_not_found(keyed_client: httpx.AsyncClient, method: str) -> None:
    path = await create_upload(keyed_client, headers={"X-API-Key": ADA_KEY})
    headers = BYTES | {"Upload-Offset": "0"}

    statuses = [
        (await keyed_client.request(method, path, headers=headers | {"X-API-Key": key})).status_code
        for key in (ZOE_KEY, ADA_KEY)
    ]

    assert statuses == [404, 200 if method == "HEAD" else 204]


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_a_post_may_name_another_method(http: httpx.AsyncClient, method: str) -> None:
    path = await create_upload(http)
    headers = BYTES | {"Upload-Offset": "0", "X-HTTP-Method-Override": method}

    answer = await http.post(path, content=JPEG[:100] if method == "PATCH" else b"", headers=headers)

    assert answer.status_code == 204
    assert (await head(http, path)).status_code == (200 if method == "PATCH" else 410)


@pytest.mark.usefixtures("redis")
async def test_a_caller_has_so_many_unfinished_uploads(stores: Stores, settings: Settings) -> None:
    few = settings.model_copy(update={"resumable": ResumableSettings(max_unfinished_per_caller=2)})
    async with create_client(create_gateway(stores, few)) as http:
        first, _ = [await create_upload(http) for _ in range(2)]

        refused = await create(http)
        await patch(http, first, JPEG, 0)
        accepted = await create(http)

    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_unfinished_uploads")
    assert refused.headers["retry-after"]
    assert accepted.status_code == 201


async def test_an_expired_upload_is_gone_before_the_tidier_has_come(http: httpx.AsyncClient, stores: Stores) -> None:
    path = await create_upload(http)
    upload = await stores.resumable_uploads.get(id_of(path))
    await (
        Job.get_motor_collection()
        .database["resumable_uploads"]
        .update_one({"_id": upload.id}, {"$set": {"expires_ms": now_ms() - 1}})
    )

    answer = await patch(http, path, JPEG, 0)

    assert (answer.status_code, answer.json()["code"]) == (410, "upload_expired")


@pytest.mark.usefixtures("redis")
async def test_links_of_an_upload_begin_with_the_root_path(stores: Stores, settings: Settings) -> None:
    prefixed = settings.model_copy(update={"http": settings.http.model_copy(update={"root_path": "/api"})})
    async with create_client(create_gateway(stores, prefixed)) as http:
        created = await create(http)
        path = created.headers["location"].removeprefix("/api")
        last = await patch(http, path, JPEG, 0)

    assert created.headers["location"].startswith("/api/files/")
    assert last.headers["link"].startswith("</api/task-status/")


@pytest.mark.parametrize(
    ("fields", "headers"), [({"format": "png"}, {}), ({}, {"Upload-Checksum": checksum("sha1", JPEG)})], ids=str
)
async def test_a_creation_with_all_bytes_is_like_any_other(
    http: httpx.AsyncClient, stores: Stores, fields: dict[str, str], headers: Mapping[str, str]
) -> None:
    given = BYTES | SIZE | {"Upload-Metadata": metadata(filename="a.jpg", **fields)} | dict(headers)

    answer = await http.post("/files", content=JPEG, headers=given)

    job = await stores.jobs.get(answer.headers["task-id"])
    assert (job.original.name, job.operation.format) == ("a.jpg", fields.get("format", "auto"))
    assert (await stores.resumable_uploads.get(job.id)).state is UploadState.COMPLETE


async def test_no_upload_is_created_while_a_queue_is_full(stores: Stores, settings: Settings) -> None:
    busy = settings.model_copy(update={"access": AccessSettings(max_queue=1)})
    gateway = create_gateway(stores, busy)
    gateway.state.queues.push("validate", now_ms())
    async with create_client(gateway) as http:
        answer = await create(http)

    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")


@pytest.mark.usefixtures("redis")
async def test_an_upload_that_was_created_is_accepted_while_a_queue_is_full(stores: Stores, settings: Settings) -> None:
    gateway = create_gateway(stores, settings.model_copy(update={"access": AccessSettings(max_queue=1)}))
    async with create_client(gateway) as http:
        path = await create_upload(http)
        gateway.state.queues.push("validate", now_ms())

        answer = await patch(http, path, JPEG, 0)

    assert answer.headers["task-id"] == id_of(path)


async def test_a_full_disk_refuses_uploads_and_their_pieces(
    stores: Stores, settings: Settings, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    path = await create_upload(http)
    full = settings.model_copy(update={"blobs": BlobsSettings(reserve_bytes=10**18, reserve_share=0.999)})
    local = replace(stores, blobs=Blobs.open(tmp_path.as_uri()))
    async with create_client(create_gateway(local, full)) as there:
        answers = [await create(there), await patch(there, path, JPEG, 0)]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(503, "storage_full")] * 2
    assert await read_offset(http, path) == 0


@pytest.mark.usefixtures("redis")
async def test_a_piece_counts_as_one_of_the_uploads_of_its_caller(stores: Stores, settings: Settings) -> None:
    few = settings.model_copy(update={"http": settings.http.model_copy(update={"max_uploads_per_caller": 1})})
    async with create_client(create_gateway(stores, few)) as http:
        path, other = [await create_upload(http) for _ in range(2)]
        answers = []

        async def chunks() -> AsyncIterator[bytes]:
            yield JPEG[:1000]
            answers.append(await patch(http, other, JPEG, 0))
            yield JPEG[1000:]

        answers.append(await patch(http, path, chunks(), 0))

    assert [answer.status_code for answer in answers] == [503, 204]
    assert answers[0].json()["code"] == "too_many_uploads"


async def test_a_removal_that_the_database_has_not_answered_may_be_repeated(
    stores: Stores, settings: Settings, http: httpx.AsyncClient
) -> None:
    class Away(FakeUploads):
        async def get(self, upload_id: str, **_: Any) -> ResumableUpload:
            raise AutoReconnect(upload_id)

    path = await create_upload(http)
    async with create_client(create_gateway(replace(stores, resumable_uploads=Away()), settings)) as away:
        answer = await away.delete(path, headers=VERSION)

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
