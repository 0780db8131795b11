"""Results over HTTP: which bytes, with which headers, and why there are none."""

from __future__ import annotations

from base64 import b64decode
from hashlib import sha256
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from pipeline.http_settings import CorsSettings, HttpSettings
from storage.blobs import Blobs
from storage.clock import now_ms
from storage.documents import Failure, Job, JobState, Kind, StageRecord, StageState
from tests.support.fakes import FakeJobs, new_job
from tests.unit.gateway.conftest import SETTINGS

CONTENT = {name: name.encode() * 5000 for name in ("small", "medium", "large")}
OPERATIONS = [Kind.CROP, Kind.GRAYSCALE, Kind.RESIZE, Kind.PROCESS]
LARGE = CONTENT["large"]
ETAG = f'"{sha256(LARGE).hexdigest()}"'


def made(job_id: str, name: str, content: bytes) -> StageRecord:
    """Return the record of a rendition that is done."""
    return StageRecord(
        state=StageState.DONE,
        result={
            "blob": f"{job_id}/{name}.1",
            "format": "jpeg",
            "media_type": "image/jpeg",
            "width": 160,
            "height": 120,
            "bytes": len(content),
            "sha256": sha256(content).hexdigest(),
        },
    )


async def with_renditions(jobs: FakeJobs, blobs: Blobs, *names: str, **fields: Any) -> Job:
    """Accept a job that has made some of its renditions."""
    blank = new_job()
    stages = {name: made(blank.id, name, CONTENT[name]) for name in names}
    values: dict[str, Any] = {"id": blank.id, "stages": stages, "state": JobState.PROCESSING}
    job = new_job(**(values | fields))
    for name in names:
        blobs.put(f"{job.id}/{name}.1", CONTENT[name])
    await jobs.insert(job)
    return job


@pytest.fixture
async def done(jobs: FakeJobs, blobs: Blobs) -> Job:
    return await with_renditions(jobs, blobs, *CONTENT, state=JobState.DONE, finished_ms=now_ms())


async def test_a_result_is_the_largest_rendition(http: httpx.AsyncClient, done: Job) -> None:
    assert (await http.get(f"/result/{done.id}")).content == LARGE


@pytest.mark.parametrize("name", list(CONTENT))
async def test_a_rendition_is_served_by_its_name(http: httpx.AsyncClient, done: Job, name: str) -> None:
    assert (await http.get(f"/result/{done.id}/{name}")).content == CONTENT[name]


async def operated(jobs: FakeJobs, blobs: Blobs, kind: Kind, **fields: Any) -> Job:
    """Accept an operation whose output is made."""
    task_id = new_job().id
    stages = {"transform": made(task_id, "output", b"output")}
    job = new_job(kind, **({"id": task_id, "state": JobState.DONE, "stages": stages} | fields))
    blobs.put(f"{task_id}/output.1", b"output")
    await jobs.insert(job)
    return job


@pytest.mark.parametrize("kind", OPERATIONS)
async def test_the_result_of_an_operation_is_its_output(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs, kind: Kind
) -> None:
    job = await operated(jobs, blobs, kind)

    assert (await http.get(f"/result/{job.id}")).content == b"output"


async def test_an_output_is_served_by_its_name(http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs) -> None:
    job = await operated(jobs, blobs, Kind.CROP)

    assert (await http.get(f"/result/{job.id}/output")).content == b"output"


@pytest.mark.parametrize("name", ["transform", "large", "validate"])
async def test_an_operation_has_no_other_rendition(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs, name: str
) -> None:
    job = await operated(jobs, blobs, Kind.CROP)

    answer = await http.get(f"/result/{job.id}/{name}")

    assert (answer.status_code, answer.json()["code"]) == (404, "rendition_not_found")


async def test_a_rendition_is_served_before_the_others_are_made(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs
) -> None:
    job = await with_renditions(jobs, blobs, "small")

    assert (await http.get(f"/result/{job.id}/small")).content == CONTENT["small"]


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("content-type", "image/jpeg"),
        ("content-length", "25000"),
        ("etag", ETAG),
        ("accept-ranges", "bytes"),
        ("cache-control", "private, no-cache"),
        ("content-disposition", "inline; filename=\"cat-large.jpg\"; filename*=UTF-8''cat-large.jpg"),
        ("content-security-policy", "default-src 'none'; sandbox"),
        ("x-content-type-options", "nosniff"),
    ],
)
async def test_a_result_has_its_headers(http: httpx.AsyncClient, done: Job, header: str, value: str) -> None:
    assert (await http.get(f"/result/{done.id}")).headers[header] == value


async def test_a_result_has_the_digest_of_its_bytes(http: httpx.AsyncClient, done: Job) -> None:
    digest = (await http.get(f"/result/{done.id}")).headers["repr-digest"]

    assert b64decode(digest.removeprefix("sha-256=:").removesuffix(":")) == sha256(LARGE).digest()


@pytest.mark.parametrize(
    ("name", "plain", "full"),
    [
        (None, "image", "image"),
        ("Käse.png", "K_se", "K%C3%A4se"),
        ("../../etc/passwd.png", "passwd", "passwd"),
        ('a";\r\nX-Evil: 1.png', "a__X-Evil_ 1", "a%22%3BX-Evil%3A%201"),
        ("C:\\photos\\cat.png", "cat", "cat"),
        ("gpj.\u202etac.png", "gpj.tac", "gpj.tac"),
        ("noextension", "noextension", "noextension"),
        ("", "image", "image"),
        ("x" * 5000 + ".png", "x" * 150, "x" * 150),
    ],
    ids=["none", "umlaut", "path", "header", "windows", "right to left", "no extension", "empty", "long"],
)
async def test_a_file_name_cannot_break_its_header(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs, name: str | None, plain: str, full: str
) -> None:
    original = new_job().original.model_copy(update={"name": name})
    job = await with_renditions(jobs, blobs, *CONTENT, state=JobState.DONE, original=original)

    answer = await http.get(f"/result/{job.id}")

    assert answer.headers["content-disposition"] == (
        f"inline; filename=\"{plain}-large.jpg\"; filename*=UTF-8''{full}-large.jpg"
    )


@pytest.mark.parametrize("kind", OPERATIONS)
async def test_the_output_of_an_operation_is_named_after_the_operation(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs, kind: Kind
) -> None:
    job = await operated(jobs, blobs, kind)

    answer = await http.get(f"/result/{job.id}")

    assert answer.headers["content-disposition"].endswith(f"filename*=UTF-8''cat-{kind}.jpg")


async def test_a_result_of_a_result_adds_its_operation_to_the_name(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs
) -> None:
    original = new_job().original.model_copy(update={"name": "cat-crop.jpg"})
    job = await operated(jobs, blobs, Kind.GRAYSCALE, original=original)

    answer = await http.get(f"/result/{job.id}")

    assert answer.headers["content-disposition"].endswith("filename*=UTF-8''cat-crop-grayscale.jpg")


@pytest.mark.parametrize("name", ["x" * 5000, "猫" * 200, "🐈" * 200])
async def test_a_file_name_fits_a_file_system(http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs, name: str) -> None:
    original = new_job().original.model_copy(update={"name": f"{name}.png"})
    job = await with_renditions(jobs, blobs, *CONTENT, state=JobState.DONE, original=original)

    status = (await http.get(f"/task-status/{job.id}")).json()

    assert all(len(made["filename"].encode()) <= 255 for made in status["renditions"].values())


async def test_the_status_of_a_job_gives_the_names_that_its_results_have(http: httpx.AsyncClient, done: Job) -> None:
    status = (await http.get(f"/task-status/{done.id}")).json()

    names = {name: made["filename"] for name, made in status["renditions"].items()}
    assert names == {"small": "cat-small.jpg", "medium": "cat-medium.jpg", "large": "cat-large.jpg"}
    for name, filename in names.items():
        answer = await http.get(f"/result/{done.id}/{name}")
        assert f'filename="{filename}"' in answer.headers["content-disposition"]


@pytest.mark.parametrize("tag", [ETAG, f"W/{ETAG}", f'"other", {ETAG}', "*"])
async def test_a_result_that_the_client_has_is_not_sent_again(http: httpx.AsyncClient, done: Job, tag: str) -> None:
    answer = await http.get(f"/result/{done.id}", headers={"If-None-Match": tag})

    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", ETAG)


@pytest.mark.parametrize("tag", ['"other"', ETAG[1:-1], ""])
async def test_a_result_that_the_client_does_not_have_is_sent(http: httpx.AsyncClient, done: Job, tag: str) -> None:
    answer = await http.get(f"/result/{done.id}", headers={"If-None-Match": tag})

    assert answer.status_code == 200


async def test_a_range_is_a_part_of_the_bytes(http: httpx.AsyncClient, done: Job) -> None:
    answer = await http.get(f"/result/{done.id}", headers={"Range": "bytes=7-11"})

    assert (answer.status_code, answer.content) == (206, LARGE[7:12])


async def test_a_range_says_where_it_is(http: httpx.AsyncClient, done: Job) -> None:
    answer = await http.get(f"/result/{done.id}", headers={"Range": "bytes=7-11"})

    assert (answer.headers["content-range"], answer.headers["content-length"]) == ("bytes 7-11/25000", "5")


async def test_a_range_outside_the_bytes_is_refused(http: httpx.AsyncClient, done: Job) -> None:
    answer = await http.get(f"/result/{done.id}", headers={"Range": "bytes=25000-"})

    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */25000")


async def test_a_range_of_the_bytes_that_the_client_began_with_is_served(http: httpx.AsyncClient, done: Job) -> None:
    answer = await http.get(f"/result/{done.id}", headers={"Range": "bytes=7-11", "If-Range": ETAG})

    assert answer.status_code == 206


@pytest.mark.parametrize("condition", ['"other"', f"W/{ETAG}", "Wed, 21 Oct 2015 07:28:00 GMT"])
async def test_a_range_of_other_bytes_is_answered_with_all(http: httpx.AsyncClient, done: Job, condition: str) -> None:
    answer = await http.get(f"/result/{done.id}", headers={"Range": "bytes=7-11", "If-Range": condition})

    assert (answer.status_code, answer.content) == (200, LARGE)


async def test_a_head_has_no_range(http: httpx.AsyncClient, done: Job) -> None:
    answer = await http.head(f"/result/{done.id}", headers={"Range": "bytes=7-11"})

    assert (answer.status_code, answer.headers["content-length"]) == (200, "25000")


@pytest.mark.parametrize(("condition", "status"), [(ETAG, 200), ("*", 200), (f"W/{ETAG}", 412), ('"other"', 412)])
async def test_a_result_is_served_if_it_is_the_one_expected(
    http: httpx.AsyncClient, done: Job, condition: str, status: int
) -> None:
    answer = await http.get(f"/result/{done.id}", headers={"If-Match": condition})

    assert (answer.status_code, answer.headers["etag"]) == (status, ETAG)


@pytest.mark.parametrize(
    ("changed", "policy"),
    [
        ({}, "same-origin"),
        ({"http": HttpSettings(cross_origin_results=True)}, "cross-origin"),
        ({"cors": CorsSettings(origins=("https://app.example",))}, "cross-origin"),
    ],
)
async def test_other_origins_embed_results_only_where_it_is_set(
    http: httpx.AsyncClient, app: FastAPI, done: Job, changed: dict[str, object], policy: str
) -> None:
    app.state.settings = SETTINGS.model_copy(update=changed)
    paths = [f"/result/{done.id}", f"/result/{done.id}/nothing", f"/task-status/{done.id}", "/nowhere"]

    policies = [(await http.get(path)).headers.get_list("cross-origin-resource-policy") for path in paths]

    assert policies == [[policy], ["same-origin"], ["same-origin"], ["same-origin"]]


async def test_a_head_has_the_headers_of_the_result(http: httpx.AsyncClient, done: Job) -> None:
    http.headers["X-Request-ID"] = "the-same"

    whole, head = await http.get(f"/result/{done.id}"), await http.head(f"/result/{done.id}")

    assert head.headers == whole.headers


async def test_a_head_has_no_bytes(http: httpx.AsyncClient, done: Job) -> None:
    assert (await http.head(f"/result/{done.id}")).content == b""


async def test_a_result_of_an_unknown_job_is_not_found(http: httpx.AsyncClient) -> None:
    answer = await http.get("/result/nobody")

    assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")


async def test_a_rendition_that_the_job_does_not_have_is_not_found(http: httpx.AsyncClient, done: Job) -> None:
    answer = await http.get(f"/result/{done.id}/huge")

    assert (answer.status_code, answer.json()["code"]) == (404, "rendition_not_found")


@pytest.mark.parametrize("name", ["validate", "finalize", "original"])
async def test_what_is_no_rendition_is_not_served(http: httpx.AsyncClient, done: Job, name: str) -> None:
    assert (await http.get(f"/result/{done.id}/{name}")).status_code == 404


@pytest.mark.parametrize("state", [JobState.ACCEPTED, JobState.PROCESSING])
async def test_a_result_that_is_not_there_yet_is_to_be_asked_for_again(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs, state: JobState
) -> None:
    job = await with_renditions(jobs, blobs, state=state)

    answer = await http.get(f"/result/{job.id}")

    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (409, "not_ready", "1")


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.DEAD, JobState.CANCELLED])
async def test_a_job_that_failed_has_no_result(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs, state: JobState
) -> None:
    job = await with_renditions(jobs, blobs, "small", state=state, finished_ms=now_ms())

    answer = await http.get(f"/result/{job.id}/small")

    assert (answer.status_code, answer.json()["code"]) == (409, "job_failed")


async def test_a_job_that_failed_says_why_there_is_no_result(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs
) -> None:
    failure = Failure(stage="validate", code="image_corrupt", message="It is damaged.")
    job = await with_renditions(jobs, blobs, state=JobState.FAILED, finished_ms=now_ms(), failure=failure)

    answer = await http.get(f"/result/{job.id}")

    assert answer.json()["failure"] == failure.model_dump()


@pytest.mark.parametrize("field", ["expiring_ms", "blobs_removed_ms"])
async def test_a_result_whose_blobs_are_gone_or_going_has_expired(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs, field: str
) -> None:
    job = await with_renditions(jobs, blobs, *CONTENT, state=JobState.DONE, **{field: now_ms()})

    answer = await http.get(f"/result/{job.id}")

    assert (answer.status_code, answer.json()["code"]) == (410, "expired")


async def test_a_result_whose_blob_is_missing_has_expired(http: httpx.AsyncClient, done: Job, blobs: Blobs) -> None:
    blobs.remove_folder(done.id)

    answer = await http.get(f"/result/{done.id}")

    assert (answer.status_code, answer.json()["code"]) == (410, "expired")
