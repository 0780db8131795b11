"""Variants over HTTP: which file of a rendition a request gets, and how long caches may keep it."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from gateway.middleware.cors import Cors
from pipeline.http_settings import CorsSettings
from storage.blobs import Blobs
from storage.documents import Failure, Job, JobState, Operation, PreviousResults, StageRecord
from tests.support.fakes import FakeJobs
from tests.support.variants import CARD, content_of, done_card, record_card

CHROMIUM = {"Accept": "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"}
FIREFOX_91 = {"Accept": "image/webp,*/*"}
FOR_EVER, ASK = "private, max-age=31536000, immutable", "private, no-cache"


@pytest.fixture
async def done(jobs: FakeJobs, blobs: Blobs) -> Job:
    job = done_card(blobs)
    await jobs.insert(job)
    return job


async def version_of(http: httpx.AsyncClient, job: Job) -> str:
    version: str = (await http.get(f"/task-status/{job.id}")).json()["renditions"]["card"]["version"]
    return version


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        ("/card", CHROMIUM, ("avif", 1)),
        ("", CHROMIUM, ("avif", 1)),
        ("/card", FIREFOX_91, ("webp", 1)),
        ("/card", {}, ("jpeg", 1)),
        ("/card@2x", CHROMIUM, ("avif", 2)),
        ("/card@2x", {}, ("jpeg", 2)),
        ("/card%402x.avif", {}, ("avif", 2)),
        ("/card.jpg", CHROMIUM, ("jpeg", 1)),
        ("/card.jpeg", CHROMIUM, ("jpeg", 1)),
        ("/card.AVIF", {}, ("avif", 1)),
        ("/card@2.0x.webp", {}, ("webp", 2)),
        ("/card?format=webp", CHROMIUM, ("webp", 1)),
        ("/card?format=jpg&dpr=2", CHROMIUM, ("jpeg", 2)),
        ("?format=avif&dpr=2", {}, ("avif", 2)),
        ("/card?dpr=2", FIREFOX_91, ("webp", 2)),
        ("/card.avif?format=webp", {}, ("avif", 1)),
    ],
)
async def test_a_request_gets_the_file_that_it_asks_for(
    http: httpx.AsyncClient, done: Job, path: str, headers: dict[str, str], expected: tuple[str, int]
) -> None:
    answer = await http.get(f"/result/{done.id}{path}", headers=headers)

    assert answer.content == content_of(*expected)
    assert answer.headers["content-type"] == f"image/{expected[0]}"
    assert answer.headers["etag"] == f'"{sha256(content_of(*expected)).hexdigest()}"'


@pytest.mark.parametrize("path", ["/card.png", "/card@3x", "/card@1.5x.avif", "/card?format=tiff", "?dpr=1.5"])
async def test_a_file_that_is_not_there_is_answered_with_those_that_are(
    http: httpx.AsyncClient, done: Job, path: str
) -> None:
    answer = await http.get(f"/result/{done.id}{path}")

    assert (answer.status_code, answer.json()["code"]) == (404, "rendition_not_found")
    assert "card.avif, card@2x.avif, card.webp, card@2x.webp, card.jpg, card@2x.jpg" in answer.json()["detail"]


@pytest.mark.parametrize(
    "name", ["card@2x.avif.1", "card@@2x", ".avif", "@2x", "card@x", "card.", "card@2X@2x", "card@9999x"]
)
async def test_what_is_no_name_of_a_file_is_not_found(http: httpx.AsyncClient, done: Job, name: str) -> None:
    answer = await http.get(f"/result/{done.id}/{name}")

    assert (answer.status_code, answer.json()["code"]) == (404, "rendition_not_found")


@pytest.mark.parametrize("query", ["dpr=two", "dpr=nan", "dpr=-1"])
async def test_a_density_is_a_number(http: httpx.AsyncClient, done: Job, query: str) -> None:
    assert (await http.get(f"/result/{done.id}/card?{query}")).status_code == 422


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/card", {}, 200),
        ("/card", {"Range": "bytes=0-1"}, 206),
        ("/card", {"If-None-Match": "*"}, 304),
        ("/card", {"If-Match": '"other"'}, 412),
        ("/card", {"Range": "bytes=9999999-"}, 416),
        ("/card@2x?dpr=2", CHROMIUM, 200),
    ],
)
async def test_an_answer_that_depends_on_accept_says_so(
    http: httpx.AsyncClient, done: Job, path: str, headers: dict[str, str], status: int
) -> None:
    answer = await http.get(f"/result/{done.id}{path}", headers=headers)

    assert (answer.status_code, answer.headers.get("vary")) == (status, "Accept")


async def test_a_file_with_its_format_does_not_depend_on_accept(http: httpx.AsyncClient, done: Job) -> None:
    answers = [await http.get(f"/result/{done.id}/card{path}") for path in (".avif", "@2x.jpg", "?format=webp", ".gif")]

    assert [answer.headers.get("vary") for answer in answers] == [None] * 4


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        ("/card", {}, ("webp", 1)),
        ("/card", CHROMIUM, ("webp", 1)),
        ("/card@2x", CHROMIUM, ("png", 2)),
        ("/card?dpr=2", {}, ("png", 2)),
        ("/card.png?dpr=2", {}, ("png", 2)),
    ],
)
async def test_a_density_comes_in_a_format_that_can_hold_it(
    http: httpx.AsyncClient,
    jobs: FakeJobs,
    blobs: Blobs,
    path: str,
    headers: dict[str, str],
    expected: tuple[str, int],
) -> None:
    await jobs.insert(job := done_card(blobs, formats=("webp", "png"), missing=[("webp", 2), ("png", 1)]))

    answer = await http.get(f"/result/{job.id}{path}", headers=headers)

    assert (answer.status_code, answer.content) == (200, content_of(*expected))


async def test_a_rendition_with_one_format_does_not_depend_on_accept(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs
) -> None:
    await jobs.insert(job := done_card(blobs, formats=("webp",)))

    answer = await http.get(f"/result/{job.id}/card", headers=CHROMIUM)

    assert (answer.headers["content-type"], answer.headers.get("vary")) == ("image/webp", None)


@pytest.mark.usefixtures("http")
async def test_vary_names_the_origin_too_where_pages_of_others_may_read(app: FastAPI, done: Job) -> None:
    transport = httpx.ASGITransport(Cors(app, settings=CorsSettings(origins=("https://app.example",))))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get(f"/result/{done.id}/card", headers={"Origin": "https://app.example"})

    assert answer.headers["vary"] == "Accept, Origin"


async def test_each_format_is_found_unchanged_by_its_own_tag(http: httpx.AsyncClient, done: Job) -> None:
    path = f"/result/{done.id}/card"
    avif = (await http.get(path, headers=CHROMIUM)).headers["etag"]

    same = await http.get(path, headers={**CHROMIUM, "If-None-Match": avif})
    other = await http.get(path, headers={**FIREFOX_91, "If-None-Match": avif})
    part = await http.get(path, headers={**FIREFOX_91, "Range": "bytes=0-1", "If-Range": avif})

    assert (same.status_code, other.status_code, part.status_code) == (304, 200, 200)
    assert (same.headers["etag"], same.headers["cache-control"]) == (avif, ASK)
    assert other.content == part.content == content_of("webp", 1)


async def test_a_file_is_saved_under_its_own_name(http: httpx.AsyncClient, done: Job) -> None:
    answers = [await http.get(f"/result/{done.id}/{name}") for name in ("card", "card@2x.avif")]

    assert [answer.headers["content-disposition"].partition("; filename*")[0] for answer in answers] == [
        'inline; filename="cat-card.jpg"',
        'inline; filename="cat-card@2x.avif"',
    ]


async def test_an_address_with_the_current_version_may_be_kept_for_ever(http: httpx.AsyncClient, done: Job) -> None:
    version = await version_of(http, done)
    paths = ["card", f"card?v={version}", f"card@2x.avif?v={version}", "card?v=other", "card?v="]

    found = [(await http.get(f"/result/{done.id}/{path}")).headers["cache-control"] for path in paths]

    assert found == [ASK, FOR_EVER, FOR_EVER, ASK, ASK]


async def test_another_variant_makes_another_version(http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs) -> None:
    contents: dict[str, Any] = {"contents": {("avif", 2): b"other"}}
    one, same, other = done_card(blobs), done_card(blobs), done_card(blobs, **contents)
    for job in (one, same, other):
        await jobs.insert(job)

    versions = [await version_of(http, job) for job in (one, same, other)]

    assert versions[0] == versions[1] != versions[2]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("card@2x.avif", ("jpeg", 1)),
        ("card.webp", ("webp", 1)),
        ("card@2x.webp", ("webp", 1)),
        ("card@3x", ("jpeg", 1)),
    ],
)
async def test_a_link_of_an_earlier_version_gets_the_nearest_file_that_there_is_now(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs, path: str, expected: tuple[str, int]
) -> None:
    await jobs.insert(job := done_card(blobs, formats=("webp", "jpeg"), densities={1: 400}))

    answer = await http.get(f"/result/{job.id}/{path}?v=earlier")

    assert (answer.content, answer.headers["cache-control"]) == (content_of(*expected), ASK)


def reprocessed(job: Job, **changes: Any) -> Job:
    """Return a job that is being reprocessed: its stages begin again, and its results from before are kept."""
    previous = PreviousResults(operation=job.operation, stages=job.stages)
    operation = Operation(renditions={"card": CARD | {"formats": ["jpeg"]}, "hero": 2000})
    stages = {name: StageRecord() for name in ("validate", "normalize", "card", "hero", "finalize")}
    fields = {"state": JobState.PROCESSING, "revision": 1, "previous": previous, "operation": operation}
    return job.model_copy(update={**fields, "stages": stages, **changes})


@pytest.mark.parametrize("state", [JobState.ACCEPTED, JobState.PROCESSING])
async def test_a_job_that_is_reprocessed_serves_its_results_from_before(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs, state: JobState
) -> None:
    done = done_card(blobs)
    made = record_card(done.id, blobs, formats=("jpeg",), revision=1)
    job = reprocessed(done, state=state)
    job.stages["card"] = made
    await jobs.insert(job)

    answers = [await http.get(f"/result/{job.id}{path}", headers=CHROMIUM) for path in ("", "/card", "/card@2x.webp")]
    status = (await http.get(f"/task-status/{job.id}")).json()

    assert [answer.content for answer in answers] == [
        content_of("avif", 1),
        content_of("avif", 1),
        content_of("webp", 2),
    ]
    assert list(status["renditions"]) == ["card"]
    assert list(status["renditions"]["card"]["srcset"]) == ["avif", "webp", "jpeg"]
    assert status["placeholder"]["color"] == "#7f6a52"


async def test_a_rendition_that_reprocessing_adds_is_not_ready_yet(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs
) -> None:
    await jobs.insert(job := reprocessed(done_card(blobs)))

    answer = await http.get(f"/result/{job.id}/hero")

    assert (answer.status_code, answer.json()["code"]) == (409, "not_ready")


async def test_a_reprocessing_that_failed_leaves_the_results(
    http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs
) -> None:
    failure = Failure(stage="card", code="image_corrupt", message="It is damaged.")
    job = done_card(blobs).model_copy(update={"revision": 1, "reprocess_failure": failure})
    await jobs.insert(job)

    assert (await http.get(f"/result/{job.id}/card")).content == content_of("jpeg", 1)


class ReplacedJobs(FakeJobs):
    """Jobs whose results are replaced just after a request has read the job."""

    replacement: Job | None = None

    async def get(self, job_id: str, *, owner: str | None = None, token_id: str | None = None) -> Job:
        job = await super().get(job_id, owner=owner, token_id=token_id)
        if self.replacement is not None:
            self._documents[job_id], self.replacement = self.replacement, None
        return job


class TestReplacedResults:
    @pytest.fixture
    def jobs(self) -> ReplacedJobs:
        return ReplacedJobs()

    @pytest.mark.parametrize("path", ["/card", "/card@2x.avif", ""])
    async def test_a_request_that_finds_its_file_gone_gets_the_new_one(
        self, http: httpx.AsyncClient, jobs: ReplacedJobs, blobs: Blobs, path: str
    ) -> None:
        before = Blobs.open("memory:///")
        await jobs.insert(old := done_card(before))
        jobs.replacement = done_card(blobs, job_id=old.id, revision=1)

        answer = await http.get(f"/result/{old.id}{path}", headers=CHROMIUM)

        expected = content_of("avif", 2 if "@2x" in path else 1, revision=1)
        assert (answer.status_code, answer.content) == (200, expected)
        assert answer.headers["etag"] == f'"{sha256(expected).hexdigest()}"'

    async def test_a_request_whose_new_file_is_gone_too_says_that_it_is_no_longer_kept(
        self, http: httpx.AsyncClient, jobs: ReplacedJobs
    ) -> None:
        nowhere = Blobs.open("memory:///")
        await jobs.insert(old := done_card(nowhere))
        jobs.replacement = done_card(nowhere, job_id=old.id, revision=1)

        answer = await http.get(f"/result/{old.id}/card")

        assert (answer.status_code, answer.json()["code"]) == (410, "expired")
