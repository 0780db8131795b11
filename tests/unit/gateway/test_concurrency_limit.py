"""Limits of what is open at a time: uploads, downloads and streams, in all and for each caller."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message

from gateway.concurrency_limit import ConcurrencyLimit
from gateway.problems import TooManyUploads
from storage.blobs import Blobs
from storage.clock import now_ms
from storage.documents import JobState
from tests.support.fakes import FakeJobs, new_job
from tests.unit.gateway.test_results import with_renditions

CLIENT = ("127.0.0.1", 123)
CALLER = "address:127.0.0.1"


@pytest.fixture
def limit() -> ConcurrencyLimit:
    return ConcurrencyLimit(TooManyUploads, noun="uploads", total=3, per_caller=2, retry_after_seconds=7)


def test_one_caller_cannot_take_all(limit: ConcurrencyLimit) -> None:
    with limit.hold("ann"), limit.hold("ann"):
        with pytest.raises(TooManyUploads, match="You have 2 uploads open") as refusal, limit.hold("ann"):
            pass
        with limit.hold("bob"):
            pass

    assert refusal.value.headers == {"Retry-After": "7"}


def test_all_callers_together_cannot_take_more_than_the_total(limit: ConcurrencyLimit) -> None:
    with ExitStack() as held:
        for caller in ("ann", "bob", "eve"):
            held.enter_context(limit.hold(caller))
        with pytest.raises(TooManyUploads, match="has 3 uploads open"), limit.hold("ida"):
            pass

    with limit.hold("ida"):
        pass


async def test_an_upload_over_the_limit_is_refused_before_its_body_is_read(
    app: FastAPI, http: httpx.AsyncClient
) -> None:
    async def body_that_nobody_reads() -> object:
        pytest.fail("the body was read")
        yield b""

    with ExitStack() as held:
        for _ in range(app.state.settings.http.max_uploads_per_caller):
            held.enter_context(app.state.uploads.hold(CALLER))
        answer = await http.post("/upload", content=body_that_nobody_reads())  # type: ignore[arg-type]
    later = await http.post("/upload")

    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "too_many_uploads", "1")
    assert later.json()["code"] != "too_many_uploads"


@pytest.fixture
def full(app: FastAPI) -> Iterator[ExitStack]:
    """The caller has one stream fewer open than it may."""
    with ExitStack() as held:
        for _ in range(app.state.settings.http.max_streams_per_caller - 1):
            held.enter_context(app.state.streams.hold(CALLER))
        yield held


async def test_a_request_that_waits_over_the_limit_is_refused(
    app: FastAPI, http: httpx.AsyncClient, jobs: FakeJobs, full: ExitStack
) -> None:
    job = new_job(state=JobState.DONE)
    await jobs.insert(job)

    allowed = [(await http.get(f"/task-status/{job.id}?wait=9")).status_code for _ in range(2)]
    full.enter_context(app.state.streams.hold(CALLER))
    refused = await http.get(f"/task-status/{job.id}?wait=9")

    assert allowed == [200, 200]
    assert (refused.status_code, refused.json()["code"]) == (503, "too_many_streams")


async def test_a_stream_over_the_limit_is_to_be_opened_again(
    app: FastAPI, http: httpx.AsyncClient, jobs: FakeJobs, full: ExitStack
) -> None:
    job = new_job()
    await jobs.insert(job)

    with full.pop_all() as held:
        held.enter_context(app.state.streams.hold(CALLER))
        refused = await http.get(f"/task-status/{job.id}/events")

    assert (refused.status_code, refused.text) == (200, "retry: 2000\n\n")


@pytest.mark.usefixtures("full")
async def test_a_stream_counts_until_it_ends(app: FastAPI, http: httpx.AsyncClient, jobs: FakeJobs) -> None:
    job = new_job()
    await jobs.insert(job)
    has_begun = asyncio.Event()

    async def note_begin(_: Message) -> None:
        has_begun.set()

    async def wait_for_ever() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    path = f"/task-status/{job.id}"
    scope = {
        "type": "http",
        "method": "GET",
        "path": f"{path}/events",
        "query_string": b"",
        "headers": [],
        "client": CLIENT,
    }
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(app(scope, wait_for_ever, note_begin))
        await has_begun.wait()
        during = await http.get(f"{path}?wait=9")
        await jobs.cancel(job)
    after = await http.get(f"{path}?wait=9")

    assert (during.status_code, after.status_code) == (503, 200)


@pytest.mark.parametrize("address", ["/result/a-job", "/result/a-job/small", "/image/a-job/default/small.jpeg"])
async def test_a_download_over_the_limit_is_refused(app: FastAPI, http: httpx.AsyncClient, address: str) -> None:
    with ExitStack() as held:
        for _ in range(app.state.settings.http.max_downloads_per_caller):
            held.enter_context(app.state.downloads.hold(CALLER))
        refused = await http.get(address)
    later = await http.get(address)

    assert (refused.status_code, refused.json()["code"]) == (503, "too_many_downloads")
    assert later.status_code == 404


async def test_a_download_counts_until_its_client_has_taken_all_of_it(
    app: FastAPI, http: httpx.AsyncClient, jobs: FakeJobs, blobs: Blobs
) -> None:
    job = await with_renditions(jobs, blobs, "small", state=JobState.DONE, finished_ms=now_ms())
    path, has_begun, may_end = f"/result/{job.id}/small", asyncio.Event(), asyncio.Event()

    async def take_slowly(message: Message) -> None:
        if message["type"] == "http.response.body":
            has_begun.set()
            await may_end.wait()

    async def wait_for_ever() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": [], "client": CLIENT}
    with ExitStack() as held:
        for _ in range(app.state.settings.http.max_downloads_per_caller - 1):
            held.enter_context(app.state.downloads.hold(CALLER))
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            tasks.create_task(app(scope, wait_for_ever, take_slowly))
            await has_begun.wait()
            during = await http.get(path)
            may_end.set()
        after = await http.get(path)

    assert (during.status_code, after.status_code) == (503, 200)
