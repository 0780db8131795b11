"""The stage fetch on real stores: what the job is told of its original, and what a failed one leaves."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from celery.exceptions import Ignore, Retry
from prometheus_client import CollectorRegistry
from redis import Redis

from pipeline import tasks
from pipeline.fetching import fetch_original
from pipeline.metrics import StageMetrics
from pipeline.outbound_settings import FetchSettings, OutboundSettings, SourceBucket
from pipeline.settings import Settings
from pipeline.stage_run import StageRun
from pipeline.worker_child import WorkerChild, open_worker_child
from stages.errors import StageError
from stages.limits import Limits
from storage.documents import Job, JobState, Original, Source, StageState
from storage.stores import Stores
from tests.contract.conftest import UPLOAD_BYTES
from tests.support.image_server import Scripted, ScriptedServer, run_scripted_server
from tests.support.images import photo_file
from tests.support.unfetched import new_unfetched_job

PHOTO = photo_file(300, 200)
MESSAGE = "a-message"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with run_scripted_server() as server:
        yield server


@pytest.fixture
def fetching(settings: Settings, tmp_path: Path) -> Settings:
    """Settings of a worker that may fetch from this machine, and that keeps its blobs in a folder."""
    return settings.model_copy(
        update={
            "blob_url": (tmp_path / "blobs").as_uri(),
            "outbound": OutboundSettings(allow=("127.0.0.0/8:*",)),
            "fetch": FetchSettings(timeout=10, idle_timeout=0.5),
            "limits": Limits(upload_bytes=UPLOAD_BYTES),
            "sources": {"ada": (SourceBucket(url=(tmp_path / "ada").as_uri()),)},
        }
    )


@pytest.fixture
def child(fetching: Settings, redis: Redis) -> Iterator[WorkerChild]:  # noqa: ARG001
    with open_worker_child(fetching, StageMetrics(CollectorRegistry())) as child:
        yield child


def run_fetch(job: Job, *, message: str = MESSAGE, retries: int = 0) -> None:
    """Run the task, as a worker does with its message."""
    tasks.fetch.push_request(id=message, hostname="here", retries=retries, called_directly=False, args=[job.id])
    try:
        tasks.fetch.run(job.id)
    finally:
        tasks.fetch.pop_request()


def names_of(child: WorkerChild, job: Job) -> list[str]:
    return sorted(child.blobs.list_all_names(job.id))


async def test_a_fetched_original_is_that_of_the_job(
    stores: Stores, child: WorkerChild, server: ScriptedServer
) -> None:
    job = new_unfetched_job(server.script("/a.jpg", Scripted(PHOTO)))
    await stores.jobs.insert(job)

    run_fetch(job)

    found = await stores.jobs.get(job.id)
    assert found.original == Original(
        blob=f"{job.id}/original.1",
        name="a.jpg",
        media_type="image/jpeg",
        bytes=len(PHOTO),
        sha256=sha256(PHOTO).hexdigest(),
    )
    assert child.blobs.get(found.original.blob) == PHOTO
    assert (found.stages["fetch"].state, found.stages["fetch"].result) == (StageState.DONE, {"bytes": len(PHOTO)})
    assert found.stages["validate"].queued_ms is not None


@pytest.mark.usefixtures("child")
async def test_a_fetched_job_forgets_the_query_of_its_address(stores: Stores, server: ScriptedServer) -> None:
    url = server.script("/a.jpg", Scripted(PHOTO))
    job = new_unfetched_job(f"{url}?signature=secret")
    await stores.jobs.insert(job)

    run_fetch(job)

    assert (await stores.jobs.get(job.id)).source == Source(address=url)
    assert server.requests[0].path == "/a.jpg?signature=secret"


@pytest.mark.usefixtures("child")
async def test_a_job_whose_fetch_failed_keeps_the_query_for_a_retry(stores: Stores, server: ScriptedServer) -> None:
    job = new_unfetched_job(server.script("/a.jpg", Scripted(status=404), Scripted(PHOTO)) + "?signature=secret")
    await stores.jobs.insert(job)
    with pytest.raises(StageError):
        run_fetch(job)
    failed = await stores.jobs.get(job.id)
    await stores.jobs.clear_outbox(failed)

    retried = await stores.jobs.retry(failed.model_copy(update={"outbox": {}, "outbox_ms": None}), next_dispatch_ms=0)
    assert retried is not None
    run_fetch(job, message="another")

    assert (await stores.jobs.get(job.id)).original.is_stored
    assert [each.path for each in server.requests] == ["/a.jpg?signature=secret"] * 2


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param(Scripted(status=404), "fetch_failed", id="missing"),
        pytest.param(Scripted(b""), "empty_file", id="empty"),
        pytest.param(Scripted(b"<!doctype html><title>Sign in</title>"), "unsupported_format", id="a page"),
        pytest.param(
            Scripted(gzip.compress(PHOTO), headers={"Content-Encoding": "gzip"}), "fetch_failed", id="compressed"
        ),
        pytest.param(Scripted(PHOTO + bytes(UPLOAD_BYTES)), "fetch_too_large", id="too large"),
        pytest.param(
            Scripted(PHOTO + bytes(UPLOAD_BYTES), headers={"Content-Length": None}), "fetch_too_large", id="no length"
        ),
        pytest.param(
            Scripted(status=302, headers={"Location": "http://10.0.0.1/"}), "fetch_refused", id="a redirect inside"
        ),
    ],
)
async def test_what_is_no_image_fails_the_job_and_leaves_nothing(
    stores: Stores, child: WorkerChild, server: ScriptedServer, answer: Scripted, code: str
) -> None:
    job = new_unfetched_job(server.script("/a.jpg", answer))
    await stores.jobs.insert(job)

    with pytest.raises(StageError):
        run_fetch(job)

    found = await stores.jobs.get(job.id)
    assert (found.state, found.failure and found.failure.code) == (JobState.FAILED, code)
    assert found.failure is not None
    assert found.failure.stage == "fetch"
    assert names_of(child, job) == []


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        (Scripted(status=500), "fetch_failed", "The server answered 500."),
        (Scripted(PHOTO, sent=0, is_silent=True), "fetch_timeout", "Fetching the image took too long."),
    ],
    ids=["status", "silent"],
)
async def test_an_error_that_stays_fails_the_job_after_its_last_attempt(
    stores: Stores, child: WorkerChild, server: ScriptedServer, answer: Scripted, code: str, message: str
) -> None:
    job = new_unfetched_job(server.script("/a.jpg", answer))
    await stores.jobs.insert(job)
    *earlier, last = range(child.settings.work.max_attempts)

    for retries in earlier:
        with pytest.raises(Retry):
            run_fetch(job, retries=retries)
        record = (await stores.jobs.get(job.id)).stages["fetch"]
        assert (record.state, record.error) == (StageState.PENDING, code)
    with pytest.raises(StageError):
        run_fetch(job, retries=last)

    found = await stores.jobs.get(job.id)
    assert found.failure is not None
    assert (found.state, found.failure.code, found.failure.message) == (JobState.FAILED, code, message)
    assert names_of(child, job) == []


async def test_an_error_that_passes_is_no_failure(stores: Stores, child: WorkerChild, server: ScriptedServer) -> None:
    job = new_unfetched_job(server.script("/a.jpg", Scripted(status=500), Scripted(PHOTO)))
    await stores.jobs.insert(job)

    with pytest.raises(Retry):
        run_fetch(job)
    run_fetch(job, retries=1)

    assert names_of(child, job) == ["original.2"]
    assert (await stores.jobs.get(job.id)).original.blob == f"{job.id}/original.2"


async def test_a_file_that_is_read_again_is_not_mixed_with_what_came_before(
    stores: Stores, child: WorkerChild, server: ScriptedServer
) -> None:
    other = photo_file(320, 200)
    job = new_unfetched_job(server.script("/a.jpg", Scripted(other, sent=len(other) // 2), Scripted(PHOTO)))
    await stores.jobs.insert(job)

    run_fetch(job)

    assert child.blobs.get((await stores.jobs.get(job.id)).original.blob) == PHOTO
    assert names_of(child, job) == ["original.1"]


async def test_a_run_that_is_fenced_removes_what_it_fetched(
    stores: Stores, child: WorkerChild, server: ScriptedServer
) -> None:
    job = new_unfetched_job(server.script("/a.jpg", Scripted(PHOTO)))
    await stores.jobs.insert(job)
    run = StageRun.claim(child, job.id, "fetch", message_id=MESSAGE, worker="here")
    assert run is not None
    result = fetch_original(run)
    await stores.jobs.cancel(job)

    assert not run.complete(result)

    assert names_of(child, job) == []
    assert not (await stores.jobs.get(job.id)).original.is_stored


@pytest.mark.usefixtures("redis")
async def test_fetched_bytes_are_counted(stores: Stores, fetching: Settings, server: ScriptedServer) -> None:
    registry = CollectorRegistry()
    job = new_unfetched_job(server.script("/a.jpg", Scripted(PHOTO)))
    await stores.jobs.insert(job)

    with open_worker_child(fetching, StageMetrics(registry)):
        run_fetch(job)

    assert registry.get_sample_value("darkroom_fetched_bytes_total") == len(PHOTO)


@pytest.mark.usefixtures("child")
async def test_a_full_disk_postpones_a_fetch(stores: Stores, fetching: Settings, server: ScriptedServer) -> None:
    job = new_unfetched_job(server.script("/a.jpg", Scripted(PHOTO)))
    await stores.jobs.insert(job)
    full = fetching.model_copy(update={"limits": Limits(upload_bytes=2**62)})

    with open_worker_child(full, StageMetrics(CollectorRegistry())), pytest.raises(Retry):
        run_fetch(job)

    assert (await stores.jobs.get(job.id)).stages["fetch"].error == "infrastructure_error"
    assert server.requests == []


def put(fetching: Settings, name: str, content: bytes | None) -> str:
    """Put a file into Ada's folder, or none, and return its address."""
    url = fetching.sources["ada"][0].url
    folder = Path(url.removeprefix("file://"))
    folder.mkdir(parents=True, exist_ok=True)
    if content is not None:
        (folder / name).write_bytes(content)
    return f"{url}/{name}"


def link_out(fetching: Settings, target: Path) -> str:
    """Put a link into Ada's folder to a photo elsewhere, and return its address."""
    target.write_bytes(PHOTO)
    link = Path(put(fetching, "inside.jpg", PHOTO).removeprefix("file://")).with_name("link.jpg")
    link.symlink_to(target)
    return link.as_uri()


async def test_an_object_of_the_owner_is_fetched(stores: Stores, child: WorkerChild, fetching: Settings) -> None:
    job = new_unfetched_job(put(fetching, "100%25 ü#?.jpg", PHOTO), key="100%25 ü#?.jpg", owner="ada")
    await stores.jobs.insert(job)

    run_fetch(job)

    found = await stores.jobs.get(job.id)
    assert (found.original.sha256, found.source) == (sha256(PHOTO).hexdigest(), job.source)
    assert child.blobs.get(found.original.blob) == PHOTO


@pytest.mark.parametrize(
    ("name", "content", "owner", "code"),
    [
        ("missing.jpg", None, "ada", "fetch_failed"),
        ("a.jpg", PHOTO, "zoe", "fetch_refused"),
        ("a.jpg", PHOTO, None, "fetch_refused"),
        ("a.jpg", PHOTO + bytes(UPLOAD_BYTES), "ada", "fetch_too_large"),
        ("a.jpg", b"<html>", "ada", "unsupported_format"),
        ("a.jpg", b"", "ada", "empty_file"),
    ],
)
@pytest.mark.usefixtures("child")
async def test_an_object_that_cannot_be_used_fails_the_job(
    stores: Stores, fetching: Settings, name: str, content: bytes | None, owner: str | None, code: str
) -> None:
    job = new_unfetched_job(put(fetching, name, content), key=name, owner=owner)
    await stores.jobs.insert(job)

    with pytest.raises(StageError):
        run_fetch(job)

    failure = (await stores.jobs.get(job.id)).failure
    assert failure is not None
    assert failure.code == code
    assert "ada" not in failure.message


@pytest.mark.usefixtures("child")
async def test_a_link_does_not_lead_out_of_a_folder(stores: Stores, fetching: Settings, tmp_path: Path) -> None:
    job = new_unfetched_job(link_out(fetching, tmp_path / "outside.jpg"), key="link.jpg", owner="ada")
    await stores.jobs.insert(job)

    with pytest.raises(StageError, match="does not exist"):
        run_fetch(job)


@pytest.mark.usefixtures("child")
async def test_a_job_that_has_ended_is_not_fetched(stores: Stores, server: ScriptedServer) -> None:
    job = new_unfetched_job(server.script("/a.jpg", Scripted(PHOTO)))
    await stores.jobs.insert(job)
    await stores.jobs.cancel(job)

    with pytest.raises(Ignore):
        run_fetch(job)

    assert server.requests == []
