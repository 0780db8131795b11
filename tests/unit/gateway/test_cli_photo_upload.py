"""The upload of one photo: refusals, retries, lost jobs and an unavailable gateway, and the journal after each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.cli.batch import Batch
from gateway.cli.journal import JournalEntry, read_entries
from gateway.cli.photo_search import find_photos
from gateway.cli.photos import Photo, PhotoSet, UploadRequest
from gateway.cli.plan import UploadOptions
from gateway.cli.report import PhotoOutcome, Result
from gateway.client import AsyncClient, RetryPolicy
from gateway.client.models import JobStatus

ACCEPTS = {"jpeg": "image/jpeg"}
SAVE = UploadOptions(wait=False, save=True, retry_failed=False)
SAVE_AND_RETRY_FAILED = replace(SAVE, retry_failed=True)
PLACEHOLDER = {"thumbhash": "3OcR", "blurhash": "LEHV", "color": "#7f6a52"}
IMAGE = b"a small image"
REQUEST = UploadRequest(name="upload", fields={}, url="http://darkroom")


class Gateway:
    """A gateway in memory: jobs by id, the keys of all uploads, and a `refusal` that answers every upload, if set."""

    def __init__(self) -> None:
        self.jobs: dict[str, str] = {}
        self.keys: list[str] = []
        self.refusal: tuple[int, str] | None = None
        self.retryable = True
        self.ends_as = "done"
        self.keeps_results = True
        self.image = IMAGE

    def __call__(self, request: httpx.Request) -> httpx.Response:
        match request.method, request.url.path.split("/")[1:]:
            case "POST", ["upload"]:
                return self._upload(request.headers["idempotency-key"])
            case "POST", ["jobs", task_id, "retry"]:
                return self._retry(task_id)
            case "GET", ["task-status", task_id] if task_id in self.jobs:
                return httpx.Response(200, json=self._job(task_id))
            case "GET", ["result", task_id, _] if task_id in self.jobs and self.keeps_results:
                return httpx.Response(200, content=self.image)
        return problem(404, "job_not_found")

    def _upload(self, key: str) -> httpx.Response:
        self.keys.append(key)
        if self.refusal:
            return problem(*self.refusal)
        self.jobs[key] = self.ends_as
        return httpx.Response(202, json={"task_id": key, "status": "accepted"})

    def _retry(self, task_id: str) -> httpx.Response:
        if not self.retryable or self.jobs.get(task_id) != "dead":
            return problem(409, "not_retryable")
        self.jobs[task_id] = "done"
        return httpx.Response(202, json={"task_id": task_id, "status": "accepted"})

    def _job(self, task_id: str) -> dict[str, Any]:
        digest = sha256(self.image).hexdigest()
        rendition = {"format": "jpeg", "width": 1, "height": 1, "bytes": len(self.image), "sha256": digest}
        has_results = self.jobs[task_id] == "done" and self.keeps_results
        failure = None if self.jobs[task_id] == "done" else {"code": "attempts_exhausted", "message": "Too often."}
        facts = {"task_id": task_id, "kind": "previews", "status": self.jobs[task_id], "failure": failure}
        facts["placeholder"] = PLACEHOLDER if has_results else None
        return facts | {"renditions": {"small": rendition} if has_results else {}}


class NoBar:
    """A bar that shows nothing."""

    def show_sent(self, count: int, total: int) -> None: ...

    def show_job(self, job: JobStatus) -> None: ...

    def show_saving(self) -> None: ...


@contextmanager
def unseen(_: Photo) -> Iterator[NoBar]:
    yield NoBar()


def problem(status: int, code: str) -> httpx.Response:
    return httpx.Response(status, json={"status": status, "code": code, "detail": "A sentence."})


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def album(tmp_path: Path) -> Path:
    folder = tmp_path / "album"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"a photo")
    return folder


def last_entry(album: Path) -> JournalEntry:
    return list(read_entries(album.parent / "out"))[-1]


def small(outcome: PhotoOutcome) -> Path:
    return Path(outcome.saved["small"])


async def run(
    gateway: Gateway, album: Path, options: UploadOptions = SAVE, request: UploadRequest = REQUEST
) -> list[PhotoOutcome]:
    with ExitStack() as resources:
        photo_set = PhotoSet(resources, album.parent / "out", warn=pytest.fail)
        photos = photo_set.photos_from_files(find_photos([album], ACCEPTS, recursive=True, out=None))
        batch = Batch(photos, request, options, bars=unseen, on_outcome=lambda _: None)
        transport = httpx.MockTransport(gateway)
        async with AsyncClient(REQUEST.url, retry_policy=RetryPolicy(seconds=0), transport=transport) as client:
            await batch.run(client, concurrency=1, upload_bytes=100)
        return batch.outcomes


async def test_a_photo_is_uploaded_followed_and_saved(gateway: Gateway, album: Path) -> None:
    (outcome,) = await run(gateway, album)

    assert (outcome.result, outcome.skipped, outcome.placeholder) == (Result.DONE, False, PLACEHOLDER)
    assert small(outcome).read_bytes() == IMAGE
    assert (last_entry(album).state, last_entry(album).stem) == ("done", "a")


async def test_a_photo_that_is_done_causes_no_request(gateway: Gateway, album: Path) -> None:
    await run(gateway, album)
    gateway.jobs.clear()

    (outcome,) = await run(gateway, album)

    assert outcome.skipped
    assert outcome.to_document()["placeholder"] == PLACEHOLDER
    assert len(gateway.keys) == 1


async def test_results_whose_files_were_removed_are_saved_again(gateway: Gateway, album: Path) -> None:
    (before,) = await run(gateway, album)
    small(before).unlink()

    (after,) = await run(gateway, album)

    assert small(after).read_bytes() == IMAGE
    assert len(gateway.keys) == 1


async def test_the_results_of_two_requests_for_a_photo_are_saved_side_by_side(gateway: Gateway, album: Path) -> None:
    (before,) = await run(gateway, album)
    gateway.image = b"another image"

    (after,) = await run(gateway, album, request=replace(REQUEST, fields={"quality": 50}))
    (once_more,) = await run(gateway, album, request=replace(REQUEST, fields={"quality": 51}))

    assert small(before).read_bytes() == IMAGE
    assert small(after).read_bytes() == small(once_more).read_bytes() == b"another image"
    assert [small(outcome).name for outcome in (before, after, once_more)] == [
        "a-small.jpg",
        "a.jpg-small.jpg",
        "a.jpg-small.jpg",
    ]
    assert (await run(gateway, album))[0].skipped


async def test_a_photo_whose_job_is_unknown_to_the_gateway_is_uploaded_again(gateway: Gateway, album: Path) -> None:
    (before,) = await run(gateway, album)
    small(before).unlink()
    gateway.jobs.clear()

    (after,) = await run(gateway, album)

    assert after.result is Result.DONE
    assert len(set(gateway.keys)) == 2


async def test_a_photo_whose_results_expired_is_uploaded_again_once(gateway: Gateway, album: Path) -> None:
    (before,) = await run(gateway, album)
    small(before).unlink()
    gateway.keeps_results = False

    (after,) = await run(gateway, album)

    assert (after.result, after.code) == (Result.REFUSED, "expired")
    assert len(set(gateway.keys)) == 2


async def test_an_interrupted_upload_is_repeated_with_the_same_key(gateway: Gateway, album: Path) -> None:
    gateway.refusal = (503, "overloaded")
    await run(gateway, album)
    gateway.refusal = None

    (outcome,) = await run(gateway, album)

    assert outcome.result is Result.DONE
    assert len(gateway.keys) == 2
    assert len(set(gateway.keys)) == 1


async def test_a_key_that_the_gateway_knows_for_another_request_is_replaced(gateway: Gateway, album: Path) -> None:
    gateway.refusal = (503, "overloaded")
    await run(gateway, album)
    gateway.refusal = (422, "idempotency_key_reused")

    (outcome,) = await run(gateway, album)

    assert len(set(gateway.keys)) == 2
    assert (outcome.result, outcome.code) == (Result.REFUSED, "idempotency_key_reused")


async def test_a_refusal_is_final_without_retry_failed(gateway: Gateway, album: Path) -> None:
    gateway.refusal = (415, "unsupported_format")
    first = await run(gateway, album)
    second = await run(gateway, album)
    gateway.refusal = None
    third = await run(gateway, album, SAVE_AND_RETRY_FAILED)

    assert [outcome.result for outcome in first + second + third] == [Result.REFUSED, Result.REFUSED, Result.DONE]
    assert [outcome.skipped for outcome in first + second + third] == [False, True, False]
    assert len(set(gateway.keys)) == 2


async def test_a_refusal_not_due_to_the_photo_is_not_recorded(gateway: Gateway, album: Path) -> None:
    gateway.refusal = (401, "unauthorized")

    (outcome,) = await run(gateway, album)

    assert (outcome.result, outcome.code) == (Result.REFUSED, "unauthorized")
    assert last_entry(album).state == "sending"


async def test_a_dead_job_is_retried_and_its_photo_not_uploaded_again(gateway: Gateway, album: Path) -> None:
    gateway.ends_as = "dead"
    (dead,) = await run(gateway, album)

    (retried,) = await run(gateway, album, SAVE_AND_RETRY_FAILED)

    assert (dead.result, dead.status, dead.code) == (Result.FAILED, "dead", "attempts_exhausted")
    assert (retried.result, retried.task_id, retried.code) == (Result.DONE, dead.task_id, None)
    assert len(gateway.keys) == 1


async def test_a_photo_whose_dead_job_cannot_be_retried_is_uploaded_again(gateway: Gateway, album: Path) -> None:
    gateway.ends_as = "dead"
    await run(gateway, album)
    gateway.retryable, gateway.ends_as = False, "done"

    (outcome,) = await run(gateway, album, SAVE_AND_RETRY_FAILED)

    assert outcome.result is Result.DONE
    assert len(set(gateway.keys)) == 2


async def test_a_busy_gateway_ends_the_batch(gateway: Gateway, album: Path) -> None:
    (album / "b.jpg").write_bytes(b"another")
    gateway.refusal = (503, "overloaded")

    outcomes = await run(gateway, album)

    assert [outcome.result for outcome in outcomes] == [Result.UNAVAILABLE]


async def test_an_internal_error_fails_one_photo_only(gateway: Gateway, album: Path) -> None:
    (album / "b.jpg").write_bytes(b"another")
    gateway.refusal = (500, "internal_error")

    outcomes = await run(gateway, album)

    assert [outcome.result for outcome in outcomes] == [Result.UNAVAILABLE] * 2
    assert last_entry(album).state == "sending"


async def test_a_photo_that_is_too_large_is_not_uploaded(gateway: Gateway, album: Path) -> None:
    (album / "a.jpg").write_bytes(b"x" * 101)

    (outcome,) = await run(gateway, album)

    assert (outcome.result, outcome.code) == (Result.REFUSED, "upload_too_large")
    assert outcome.message == "The file has 101 B; the limit is 100 B."
    assert gateway.keys == []


async def test_a_removed_photo_fails_alone(gateway: Gateway, album: Path) -> None:
    (album / "b.jpg").write_bytes(b"another")

    with ExitStack() as resources:
        photos = PhotoSet(resources, None, warn=pytest.fail).photos_from_files(
            find_photos([album], ACCEPTS, recursive=True, out=None)
        )
        (album / "a.jpg").unlink()
        batch = Batch(photos, REQUEST, replace(SAVE, save=False), bars=unseen, on_outcome=lambda _: None)
        async with AsyncClient(REQUEST.url, transport=httpx.MockTransport(gateway)) as client:
            await batch.run(client, concurrency=1, upload_bytes=None)

    assert [outcome.result for outcome in batch.outcomes] == [Result.UNUSABLE, Result.ACCEPTED]


async def test_a_result_that_cannot_be_written_ends_the_batch(gateway: Gateway, album: Path) -> None:
    for name in ("deep/a.jpg", "deep/b.jpg"):
        (album / name).parent.mkdir(exist_ok=True)
        (album / name).write_bytes(b"a photo")
    (album / "a.jpg").unlink()
    (album.parent / "out").mkdir()
    (album.parent / "out" / "deep").write_text("a file where a folder should be")

    outcomes = await run(gateway, album)

    assert [outcome.result for outcome in outcomes] == [Result.UNUSABLE]
    assert "deep" in str(outcomes[0].message)


async def test_a_failed_upload_is_repeated_while_other_photos_are_accepted(gateway: Gateway, album: Path) -> None:
    (album / "b.jpg").write_bytes(b"another")
    other_is_done = asyncio.Event()
    unlucky: list[str] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        key = request.headers.get("idempotency-key")
        if key and not unlucky:
            unlucky.append(key)
            await other_is_done.wait()
            raise httpx.ReadError("reset")
        return gateway(request)

    with ExitStack() as resources:
        photos = PhotoSet(resources, None, warn=pytest.fail).photos_from_files(
            find_photos([album], ACCEPTS, recursive=True, out=None)
        )
        batch = Batch(photos, REQUEST, replace(SAVE, save=False), bars=unseen, on_outcome=lambda _: other_is_done.set())
        transport = httpx.MockTransport(answer)
        async with AsyncClient(REQUEST.url, retry_policy=RetryPolicy(seconds=0), transport=transport) as client:
            await batch.run(client, concurrency=2, upload_bytes=None)

    assert [outcome.result for outcome in batch.outcomes] == [Result.ACCEPTED] * 2
    assert sorted(gateway.keys) == sorted({*gateway.keys, *unlucky})
