"""The whole pipeline on an object store: bytes in and out of it, links into it, and what happens while it is away."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import obstore
import pymongo
import pytest
from obstore.store import S3Store

from deploy.local import processes
from deploy.local.ports import free_port
from deploy.local.stack import Stack
from pipeline.routing import QUEUES
from storage.job_ids import new_job_id
from tests.conftest import SHORT_TIMEOUTS
from tests.integration import raw_http
from tests.integration.api_helpers import submit_photo, upload, wait_for_all, wait_for_end, wait_for_image, wait_until
from tests.support.http_options import HTTP_CLIENT_OPTIONS, HTTP_OPTIONS
from tests.support.images import encode_image, photo, photo_file
from tests.support.object_store import ObjectStore, run_object_store
from tests.support.programs import run_logged_program

URL = "s3://darkroom/some/prefix"
some_photo, little_photo = partial(photo_file, 2000, 1500), partial(photo_file, 600, 400)
PATIENCE = {  # more than a busy machine's store takes
    "AWS_READ_TIMEOUT": "30s",
    "DARKROOM_WORK__SOFT_TIME_LIMIT": "40",
    "DARKROOM_WORK__TIME_LIMIT": "50",
    "DARKROOM_BROKER__VISIBILITY_TIMEOUT": "60",
}
IMPATIENCE = {"AWS_READ_TIMEOUT": "1s"}  # for those who meet a store that hangs, and nothing else
PARTS_BYTES = 20 * 1024 * 1024
"""Three parts of 5 MiB, what comes in and goes out meanwhile, and less than the whole file."""


@cache
def large_photo() -> bytes:
    """Draw one just under the limit of 25 MiB."""
    return encode_image(photo(2940, 2940), "bmp")


@pytest.fixture(scope="module")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with run_object_store(tmp_path_factory.mktemp("s3_server")) as store:
        yield store


@pytest.fixture(scope="module")
def bucket(s3_server: ObjectStore) -> S3Store:
    """The bucket, for looking into it without the application."""
    return s3_server.create_bucket("darkroom")


@pytest.fixture(scope="module")
def environment(s3_server: ObjectStore, bucket: S3Store) -> dict[str, str]:  # noqa: ARG001  # it must be there
    return SHORT_TIMEOUTS | s3_server.environment | {"DARKROOM_BLOB_URL": URL} | PATIENCE


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Iterator[Stack]:
    """A stack that keeps its blobs there."""
    with Stack(tmp_path_factory.mktemp("remote"), shared_pool=4, environment=environment) as stack:
        yield stack


@pytest.fixture(scope="module")
def http(remote: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=remote.url, timeout=60, **HTTP_CLIENT_OPTIONS) as client:
        yield client


@contextmanager
def another_gateway(stack: Stack, folder: Path, **environment: str) -> Iterator[httpx.Client]:
    """Run a second gateway on the stores of a stack, and return a client of it."""
    port = free_port()
    command = [sys.executable, "-m", "gateway", "--port", str(port)]
    with (
        run_logged_program(*command, log=folder / f"gateway-{port}.log", **(_stores_of(stack) | environment)),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, **HTTP_CLIENT_OPTIONS) as client,
    ):
        wait_until(lambda: _answers(client), "another gateway")
        yield client


@pytest.fixture(scope="module")
def redirecting(remote: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("redirecting")
    with another_gateway(remote, folder, DARKROOM_RESULTS__REDIRECT="true") as client:
        yield client


@pytest.fixture(scope="module")
def done(http: httpx.Client) -> str:
    """A job with all its previews."""
    task_id = submit_photo(http, some_photo(), "fóto.jpg")
    assert wait_for_end(http, task_id)["status"] == "done"
    return task_id


def names(bucket: S3Store, task_id: str) -> list[str]:
    """Return the names of a job's objects."""
    found = obstore.list(bucket, f"some/prefix/{task_id}").collect()
    return sorted(item["path"].rpartition("/")[2] for item in found)


def folders(bucket: S3Store) -> set[str]:
    """Return the folders of all jobs that have objects."""
    return {item["path"].split("/")[-2] for item in obstore.list(bucket, "some/prefix").collect()}


def test_a_photo_becomes_previews_in_the_store(http: httpx.Client, bucket: S3Store, done: str) -> None:
    sizes = {name: wait_for_image(http, done, name).size for name in ("small", "medium", "large")}

    assert sizes == {"small": (160, 120), "medium": (640, 480), "large": (1600, 1200)}
    assert names(bucket, done) == ["large.1", "medium.1", "original", "small.1"]


def test_a_result_is_served_whole_in_ranges_and_not_again(http: httpx.Client, done: str) -> None:
    whole = http.get(f"/result/{done}")
    part = http.get(f"/result/{done}", headers={"Range": "bytes=100-199"})
    again = http.get(f"/result/{done}", headers={"If-None-Match": whole.headers["etag"]})
    head = http.head(f"/result/{done}")

    assert whole.headers["etag"] == f'"{sha256(whole.content).hexdigest()}"'
    assert (part.status_code, part.content) == (206, whole.content[100:200])
    assert (again.status_code, again.content) == (304, b"")
    assert (head.headers["content-length"], head.content) == (str(len(whole.content)), b"")


@pytest.mark.parametrize("path", ["/capabilities", "/metrics", "/readyz", "/jobs"])
def test_what_a_gateway_tells_of_itself_needs_no_local_folder(http: httpx.Client, path: str) -> None:
    told = http.get(path)

    assert told.status_code == 200
    assert "blob_store_" not in told.text


def test_a_redirect_leads_to_the_bytes(http: httpx.Client, redirecting: httpx.Client, done: str) -> None:
    sent_on = redirecting.get(f"/result/{done}/small")
    there = httpx.get(sent_on.headers["location"], **HTTP_OPTIONS)

    assert (sent_on.status_code, sent_on.headers["cache-control"], sent_on.content) == (307, "no-store", b"")
    assert there.content == http.get(f"/result/{done}/small").content
    assert there.headers["content-type"] == "image/jpeg"
    assert there.headers["content-disposition"].endswith("filename*=UTF-8''f%C3%B3to-small.jpg")


def test_a_redirect_is_followed_with_what_was_asked(redirecting: httpx.Client, done: str) -> None:
    part = redirecting.get(f"/result/{done}", headers={"Range": "bytes=0-9"}, follow_redirects=True)
    head = redirecting.head(f"/result/{done}", follow_redirects=True)

    assert (part.status_code, len(part.content)) == (206, 10)
    assert (head.status_code, head.headers["content-type"], head.content) == (200, "image/jpeg", b"")


def test_redirects_change_no_other_answer(http: httpx.Client, redirecting: httpx.Client, done: str) -> None:
    etag = http.get(f"/result/{done}").headers["etag"]
    asked: list[tuple[str, dict[str, str], int]] = [
        (f"/result/{done}", {"If-None-Match": etag}, 304),
        (f"/result/{done}", {"Range": "bytes=99999999-"}, 416),
        (f"/result/{done}/huge", {}, 404),
        (f"/result/{new_job_id()}", {}, 404),
    ]

    assert [redirecting.get(path, headers=headers).status_code for path, headers, _ in asked] == [
        status for *_, status in asked
    ]


def test_a_result_that_is_gone_from_the_store_is_gone(
    http: httpx.Client, redirecting: httpx.Client, bucket: S3Store
) -> None:
    task_id = submit_photo(http, some_photo())
    wait_for_end(http, task_id)
    obstore.delete(bucket, f"some/prefix/{task_id}/large.1")

    assert {client.get(f"/result/{task_id}").status_code for client in (http, redirecting)} == {410}


def test_a_deleted_job_leaves_no_objects(http: httpx.Client, bucket: S3Store) -> None:
    task_id = submit_photo(http, some_photo())
    wait_for_end(http, task_id)

    http.delete(f"/jobs/{task_id}").raise_for_status()

    assert names(bucket, task_id) == []


def test_a_refused_image_leaves_no_objects(http: httpx.Client, bucket: S3Store) -> None:
    task_id = submit_photo(http, some_photo()[: len(some_photo()) // 2])

    assert wait_for_end(http, task_id)["status"] == "failed"
    wait_until(lambda: names(bucket, task_id) == [], "its objects to go")


@pytest.mark.usefixtures("remote")
def test_objects_without_a_job_are_removed(bucket: S3Store) -> None:
    orphan = new_job_id()
    obstore.put(bucket, f"some/prefix/{orphan}/original", b"cut off")
    obstore.put(bucket, "elsewhere/kept", b"not ours")

    wait_until(lambda: names(bucket, orphan) == [], "the orphan to go")

    assert obstore.head(bucket, "elsewhere/kept")["size"] == len(b"not ours")


def test_a_client_that_goes_away_leaves_nothing_in_the_store(
    remote: Stack, s3_server: ObjectStore, bucket: S3Store
) -> None:
    before = folders(bucket)
    with _half_an_upload(remote):
        wait_until(lambda: s3_server.list_multipart_uploads("darkroom") != [], "its first part to be stored")

    wait_until(lambda: s3_server.list_multipart_uploads("darkroom") == [], "the parts to go")
    assert folders(bucket) <= before


def test_a_large_upload_is_held_in_a_few_parts_only(http: httpx.Client, remote: Stack) -> None:
    wait_for_end(http, submit_photo(http, large_photo(), "first.bmp"))  # whatever is needed once
    gateway = Path(f"/proc/{remote.pid('gateway')}")
    (gateway / "clear_refs").write_text("5")  # proc(5): the peak is what is held now
    before = _peak(gateway)

    submit_photo(http, large_photo(), "second.bmp")

    assert _peak(gateway) - before < PARTS_BYTES


def test_what_was_accepted_outlasts_an_outage_and_nothing_else_is_accepted(
    http: httpx.Client, remote: Stack, s3_server: ObjectStore, done: str
) -> None:
    remote.stop_process("worker")
    task_ids = [submit_photo(http, little_photo()) for _ in range(4)]
    s3_server.stop()
    try:
        remote.start_process("worker")
        refused, readiness = upload(http, little_photo()), http.get("/readyz")
        result = http.get(f"/result/{done}")
        wait_until(lambda: '"blobs"} 0.0' in http.get("/metrics").text, "the gauge to tell")
        wait_until(lambda: _put_off(remote.log("worker")) >= set(task_ids), "their runs to be put off")
    finally:
        s3_server.start()

    assert [_unavailable(answer) for answer in (refused, result)] == [True, True]
    assert (readiness.status_code, readiness.json()["checks"]["blobs"]["ok"]) == (503, False)
    assert {job["status"] for job in wait_for_all(http, task_ids)} == {"done"}
    assert wait_for_end(http, submit_photo(http, little_photo()))["status"] == "done"


def test_a_store_that_hangs_costs_an_answer_and_no_job(
    http: httpx.Client, remote: Stack, s3_server: ObjectStore, done: str, tmp_path: Path
) -> None:
    remote.stop_process("worker")
    try:
        task_id = submit_photo(http, little_photo())
        with (
            another_gateway(remote, tmp_path, **IMPATIENCE) as gateway,
            another_gateway(remote, tmp_path, DARKROOM_RESULTS__REDIRECT="true", **IMPATIENCE) as redirecting,
            s3_server.freeze(),
            _another_worker(remote, tmp_path / "worker.log", **IMPATIENCE),
        ):
            answers = [
                upload(gateway, little_photo()),
                *(each.get(f"/result/{done}") for each in (gateway, redirecting)),
            ]
            readiness = gateway.get("/readyz")
            wait_until(lambda: task_id in _put_off((tmp_path / "worker.log").read_text()), "a run to be put off")
    finally:
        remote.start_process("worker")

    assert [_unavailable(answer) for answer in answers] == [True, True, True]
    assert readiness.json()["checks"]["blobs"]["ok"] is False
    assert wait_for_end(http, task_id)["status"] == "done"


def test_a_gateway_killed_in_an_upload_leaves_no_object(remote: Stack, s3_server: ObjectStore, bucket: S3Store) -> None:
    before = folders(bucket)
    with _half_an_upload(remote):
        wait_until(lambda: s3_server.list_multipart_uploads("darkroom") != [], "its first part to be stored")
        remote.signal("gateway", signal.SIGKILL)
    remote.wait_ready("gateway")

    assert folders(bucket) <= before


def test_what_expires_leaves_the_store(http: httpx.Client, remote: Stack, bucket: S3Store) -> None:
    task_id = submit_photo(http, some_photo())
    wait_for_end(http, task_id)

    mongo: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(remote.mongo_url) as mongo:
        mongo.get_default_database()["jobs"].update_one({"_id": task_id}, {"$set": {"finished_ms": 1}})

    wait_until(lambda: names(bucket, task_id) == [], "its objects to go")
    assert http.get(f"/result/{task_id}").status_code == 410


@contextmanager
def _half_an_upload(stack: Stack) -> Iterator[None]:
    """Send most of a large file, and break off when the block ends."""
    whole = raw_http.form(raw_http.part("file", large_photo(), b"large.bmp"))
    with raw_http.open_socket(stack.url) as connection:
        connection.sendall(
            raw_http.build_head(stack.url, "/upload", Content_Length=len(whole)) + whole[: len(whole) * 3 // 4]
        )
        yield


def _unavailable(answer: httpx.Response) -> bool:
    problem: dict[str, Any] = answer.json()
    return (answer.status_code, problem["code"]) == (503, "unavailable") and int(answer.headers["retry-after"]) > 0


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").is_success
    except httpx.TransportError:
        return False


def _another_worker(stack: Stack, log: Path, **environment: str) -> AbstractContextManager[object]:
    """Run a second worker on the stores of a stack."""
    program = processes.worker("another", queues=QUEUES, concurrency=1, autostart=True)
    return run_logged_program(
        *program.command, log=log, **(_stores_of(stack) | dict(program.environment) | environment)
    )


def _stores_of(stack: Stack) -> dict[str, str]:
    """Return the settings of a process that is to work with a stack."""
    return stack.environment | {"DARKROOM_REDIS_URL": stack.redis_url, "DARKROOM_MONGO_URL": stack.mongo_url}


def _put_off(log: str) -> set[str]:
    """Return the jobs of which a run met the outage."""
    lines = (json.loads(line) for line in log.splitlines() if "stage.retried" in line)
    return {line["task_id"] for line in lines}


def _peak(process: Path) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", (process / "status").read_text())
    assert found, "the process has no memory"
    return int(found[1]) * 1024
