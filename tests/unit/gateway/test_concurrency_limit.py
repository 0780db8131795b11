"""Limits of what is open at a time: uploads and streams, in all and for each caller."""

from __future__ import annotations

from contextlib import ExitStack

import httpx
import pytest
from fastapi import FastAPI

from gateway.concurrency_limit import ConcurrencyLimit
from gateway.problems import TooManyUploads
from storage.documents import JobState
from tests.support.fakes import FakeJobs, new_job

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


@pytest.mark.parametrize("path", ["/task-status/{}/events", "/task-status/{}?wait=9"])
async def test_streams_over_the_limit_are_refused(
    app: FastAPI, http: httpx.AsyncClient, jobs: FakeJobs, path: str
) -> None:
    job = new_job(state=JobState.DONE)
    await jobs.insert(job)

    with ExitStack() as held:
        for _ in range(app.state.settings.http.max_streams_per_caller - 1):
            held.enter_context(app.state.streams.hold(CALLER))
        allowed = [await http.get(path.format(job.id)) for _ in range(2)]
        held.enter_context(app.state.streams.hold(CALLER))
        refused = await http.get(path.format(job.id))

    assert [answer.status_code for answer in allowed] == [200, 200]
    assert (refused.status_code, refused.json()["code"]) == (503, "too_many_streams")
