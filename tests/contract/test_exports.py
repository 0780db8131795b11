"""The stage export and what a bucket may answer: all of it is the bucket's fault, none of it gets into an error."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import obstore
import pytest
from obstore.exceptions import GenericError
from obstore.store import MemoryStore
from prometheus_client import CollectorRegistry

from pipeline import exporting
from pipeline.exporting import export_renditions
from pipeline.metrics import StageMetrics
from pipeline.outbound_settings import Destination
from pipeline.settings import Settings
from pipeline.stage_blobs import StageBlobs
from pipeline.stage_run import StageRun
from pipeline.worker_child import WorkerChild, open_worker_child
from pipeline.worker_settings import WorkSettings
from stages.errors import ExportFailed, TemporaryError
from storage.blobs import Blobs
from storage.documents import DestinationReference, Job, Operation, StageRecord, StageState
from storage.object_store import connect
from storage.stores import Stores
from tests.support.fakes import new_job
from tests.support.object_store import ObjectStore

SECRET = "the-secret-key-of-the-bucket"  # noqa: S105
CONTENT = {"small": b"small file", "large": b"large file!"}
TEMPLATE = "{metadata.sku}/{rendition}.{ext}"
REFUSAL = "The bucket of the destination shop did not take the results."


@dataclass
class Bucket:
    """A server that answers as it is told: with a status for each method, or never."""

    statuses: dict[str, int] = field(default_factory=dict)
    head_bytes: int | None = None
    """The size that every object has; None: its own."""
    hangs: bool = False
    objects: dict[str, tuple[bytes, dict[str, str]]] = field(default_factory=dict)
    url: str = ""
    released: Event = field(default_factory=Event)


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    bucket = Bucket()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            if bucket.hangs:
                bucket.released.wait()
            status = bucket.statuses.get("PUT", 200)
            if status == 200:
                bucket.objects[self.path] = (content, dict(self.headers))
            self.answer(status, f"<Error><Message>{SECRET} is not the key of {self.path}</Message></Error>")

        def do_HEAD(self) -> None:
            content, _ = bucket.objects.get(self.path, (b"", {}))
            size = len(content) if bucket.head_bytes is None else bucket.head_bytes
            self.answer(bucket.statuses.get("HEAD", 200), "", Content_Length=str(size))

        def answer(self, status: int, text: str, **headers: str) -> None:
            body = b"" if status == 200 else text.encode()
            self.send_response(status)
            for name, value in {"ETag": '"tag"', "Content_Length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Last-Modified", "Mon, 30 Nov 2026 12:00:00 GMT")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    bucket.url = f"http://127.0.0.1:{server.server_port}"
    yield bucket
    bucket.released.set()
    server.shutdown()
    server.server_close()
    thread.join()


@contextmanager
def open_child(settings: Settings, **destinations: Destination) -> Iterator[WorkerChild]:
    changed = settings.model_copy(update={"destinations": destinations})
    with open_worker_child(changed, StageMetrics(CollectorRegistry())) as child:
        yield child


def destination_of(bucket: Bucket) -> Destination:
    return Destination(
        url="s3://results/folder",
        options={
            "aws_access_key_id": "key-id",
            "aws_secret_access_key": SECRET,
            "aws_endpoint_url": bucket.url,
            "aws_allow_http": "true",
        },
    )


def destination_on(server: ObjectStore) -> Destination:
    """Return a folder in the bucket of a real object store."""
    options = {name.lower(): value for name, value in server.environment.items()}
    return Destination(url="s3://contract/exports", options=options)


@pytest.fixture
def child(settings: Settings, bucket: Bucket) -> Iterator[WorkerChild]:
    patient = settings.model_copy(update={"work": WorkSettings(soft_time_limit=30)})
    with open_child(patient, shop=destination_of(bucket)) as child:
        yield child


def file_of(blob: str, content: bytes) -> dict[str, Any]:
    return {
        "blob": blob,
        "format": "jpeg",
        "media_type": "image/jpeg",
        "width": 1,
        "height": 1,
        "bytes": len(content),
        "sha256": sha256(content).hexdigest(),
    }


async def claim_export(child: WorkerChild, stores: Stores, contents: dict[str, bytes], **changes: Any) -> StageRun:
    """Claim the export of a job whose renditions are done."""
    destination = DestinationReference(name="shop", key=TEMPLATE, cache_control="max-age=60")
    operation = Operation(renditions=dict.fromkeys(contents, 10), destination=destination)
    values: dict[str, Any] = {"operation": operation, "metadata": {"sku": "A-1"}}
    blank = new_job(renditions=dict.fromkeys(contents, 10), operation=operation)
    done = {name: StageRecord(state=StageState.DONE, result={}) for name in ("validate", "normalize")}
    for name, content in contents.items():
        blob = f"{blank.id}/{name}.1"
        child.blobs.put(blob, content)
        done[name] = StageRecord(state=StageState.DONE, result=file_of(blob, content))
    job: Job = new_job(id=blank.id, renditions=dict.fromkeys(contents, 10), stages=done, **(values | changes))
    await stores.jobs.insert(job)
    run = StageRun.claim(child, job.id, "export", message_id="message", worker="here")
    assert run is not None
    return run


async def export(run: StageRun) -> Mapping[str, Any]:
    """Do the work of the stage, which has an event loop of its own."""
    return await asyncio.to_thread(export_renditions, run)


async def failure_of(run: StageRun) -> TemporaryError:
    with pytest.raises(TemporaryError) as raised:
        await export(run)
    assert (raised.value.refusal.code, raised.value.refusal.message) == ("export_failed", REFUSAL)
    return raised.value


@pytest.mark.parametrize("times", [1, 2])
async def test_each_file_is_put_with_its_headers_and_doing_it_twice_is_harmless(
    child: WorkerChild, stores: Stores, bucket: Bucket, times: int
) -> None:
    run = await claim_export(child, stores, CONTENT)

    results = [await export(run) for _ in range(times)]

    paths = {name: f"/results/folder/A-1/{name}.jpg" for name in CONTENT}
    assert {path: content for path, (content, _) in bucket.objects.items()} == {
        paths[name]: content for name, content in CONTENT.items()
    }
    for _, headers in bucket.objects.values():
        sent = {name.lower(): value for name, value in headers.items()}
        assert (sent["content-type"], sent["cache-control"]) == ("image/jpeg", "max-age=60")
    expected = [
        {"rendition": name, "format": "jpeg", "dpr": 1, "key": f"A-1/{name}.jpg", "bytes": len(content)}
        for name, content in CONTENT.items()
    ]
    assert results == [{"destination": "shop", "objects": expected}] * times


@pytest.mark.parametrize(
    ("method", "status", "error"),
    [
        ("PUT", 401, "UnauthenticatedError"),
        ("PUT", 403, "PermissionDeniedError"),
        ("PUT", 404, "FileNotFoundError"),
        ("PUT", 400, "GenericError"),
        ("HEAD", 404, "FileNotFoundError"),
    ],
)
async def test_what_a_bucket_answers_is_in_no_error(
    child: WorkerChild, stores: Stores, bucket: Bucket, method: str, status: int, error: str
) -> None:
    bucket.statuses[method] = status
    run = await claim_export(child, stores, CONTENT)

    failure = await failure_of(run)

    assert failure.detail == f"shop: {error}"
    shown = f"{failure} {failure!r} {failure.refusal!r}"
    assert not re.search(rf"{SECRET}|key-id|127\.0\.0\.1|A-1", shown)


async def test_a_bucket_that_never_answers_is_left_in_time_for_the_attempt_to_be_its_own(
    settings: Settings, stores: Stores, bucket: Bucket
) -> None:
    bucket.hangs = True
    hurried = settings.model_copy(update={"work": WorkSettings(soft_time_limit=1)})
    with open_child(hurried, shop=destination_of(bucket)) as child:
        run = await claim_export(child, stores, CONTENT)

        assert (await failure_of(run)).detail == "shop: time_limit"


async def test_keys_that_may_only_write_are_enough(child: WorkerChild, stores: Stores, bucket: Bucket) -> None:
    bucket.statuses["HEAD"] = 403
    run = await claim_export(child, stores, CONTENT)

    await export(run)

    assert len(bucket.objects) == 2


async def test_an_object_that_has_another_size_is_an_error(child: WorkerChild, stores: Stores, bucket: Bucket) -> None:
    bucket.head_bytes = 3
    run = await claim_export(child, stores, CONTENT)

    assert (await failure_of(run)).detail == "shop: OSError"


async def test_a_destination_that_this_worker_does_not_know_is_named(settings: Settings, stores: Stores) -> None:
    with open_child(settings) as child:
        run = await claim_export(child, stores, CONTENT)

        assert (await failure_of(run)).detail == "shop: not_in_settings"


async def test_metadata_that_is_missing_is_final(child: WorkerChild, stores: Stores) -> None:
    run = await claim_export(child, stores, CONTENT, metadata={})

    with pytest.raises(ExportFailed, match=r"need metadata\.sku, which this job does not have"):
        await export(run)


async def test_a_file_that_our_own_store_lacks_is_not_the_fault_of_the_bucket(
    child: WorkerChild, stores: Stores
) -> None:
    run = await claim_export(child, stores, CONTENT)
    child.blobs.remove_folder(run.job.id)

    with pytest.raises(FileNotFoundError):
        await export(run)


class BreakingBlobs(Blobs):
    """Blobs that end in the middle of each."""

    async def stream(self, key: str, *, start: int, stop: int) -> AsyncIterator[bytes]:
        whole = await super().stream(key, start=start, stop=stop)

        async def begin() -> AsyncIterator[bytes]:
            yield await anext(whole)
            raise GenericError("our own store has ended")

        return begin()


@pytest.mark.parametrize("size", [10, exporting.LARGE_BYTES + 1])
async def test_our_own_store_that_ends_in_the_middle_is_not_the_fault_of_the_bucket(
    settings: Settings, stores: Stores, s3_server: ObjectStore, size: int
) -> None:
    with open_child(settings, shop=destination_on(s3_server)) as child:
        run = await claim_export(child, stores, {"small": bytes(size)})
        blobs = BreakingBlobs(MemoryStore())
        blobs.put(f"{run.job.id}/small.1", bytes(size))
        run.blobs = StageBlobs(blobs, run.job, attempt=1)

        with pytest.raises(GenericError, match="our own store has ended"):
            await export(run)


async def test_a_large_file_is_put_in_parts_whole(settings: Settings, stores: Stores, s3_server: ObjectStore) -> None:
    contents = {"small": b"small", "large": bytes(range(256)) * (3 * exporting.LARGE_BYTES // 256) + b"the end"}
    destination = destination_on(s3_server)
    with open_child(settings, shop=destination) as child:
        run = await claim_export(child, stores, contents)

        await export(run)

    found = obstore.get(connect(destination.url, options=destination.options), "A-1/large.jpg")
    assert bytes(found.bytes()) == contents["large"]
    assert found.attributes == {"Content-Type": "image/jpeg", "Cache-Control": "max-age=60"}
