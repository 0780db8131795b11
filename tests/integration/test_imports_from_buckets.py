"""Objects of buckets that become jobs, on a whole stack: from the bucket of the blobs, and from one with own keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256

import httpx
import obstore
import pytest
from obstore.store import S3Store

from deploy.local.stack import Stack
from tests.conftest import SHORT_TIMEOUTS
from tests.integration.api_helpers import get_status, wait_for_end, wait_for_image
from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.support.images import photo_file
from tests.support.object_store import ObjectStore, run_object_store

PHOTO = photo_file(600, 400)
MIB = 2**20
PATIENCE = {"AWS_READ_TIMEOUT": "30s"}  # more than a busy machine's store takes


@pytest.fixture(scope="module")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with run_object_store(tmp_path_factory.mktemp("s3_server")) as store:
        yield store


@pytest.fixture(scope="module")
def bucket(s3_server: ObjectStore) -> S3Store:
    """The bucket of the blobs, with a folder of photos beside them."""
    return s3_server.create_bucket("darkroom")


@pytest.fixture(scope="module")
def other_bucket(s3_server: ObjectStore) -> S3Store:
    """A bucket of photos."""
    return s3_server.create_bucket("photos")


@pytest.fixture(scope="module")
def http(
    s3_server: ObjectStore, bucket: S3Store, other_bucket: S3Store, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A gateway whose callers may use two folders of buckets, the second one by keys of its own."""
    obstore.put(bucket, "incoming/a photo.jpg", PHOTO)
    obstore.put(bucket, "incoming/page.jpg", b"<!doctype html>")
    obstore.put(bucket, "private/a.jpg", PHOTO)
    obstore.put(other_bucket, "shop/100%25 ü.jpg", PHOTO)
    obstore.put(other_bucket, "shop/large.jpg", PHOTO + bytes(MIB))
    options = {name.lower(): value for name, value in s3_server.environment.items()}
    sources = {"*": [{"url": "s3://darkroom/incoming"}, {"url": "s3://photos/shop", "options": options}]}
    environment = {
        "DARKROOM_BLOB_URL": "s3://darkroom/blobs",
        "DARKROOM_SOURCES": json.dumps(sources),
        "DARKROOM_LIMITS__UPLOAD_BYTES": str(MIB),
    }
    environment |= SHORT_TIMEOUTS | s3_server.environment | PATIENCE
    folder = tmp_path_factory.mktemp("buckets")
    with (
        Stack(folder, shared_pool=2, outbound_pool=1, environment=environment) as stack,
        httpx.Client(base_url=stack.url, timeout=60, **HTTP_CLIENT_OPTIONS) as client,
    ):
        yield client


def post_key(client: httpx.Client, key: str) -> httpx.Response:
    return client.post("/upload", files={"source_key": (None, key)})


def submit_key(client: httpx.Client, key: str) -> str:
    """Post a key that must be accepted, and return the task id."""
    answer = post_key(client, key)
    assert answer.status_code == 202, answer.text
    task_id: str = answer.json()["task_id"]
    return task_id


def names(bucket: S3Store, task_id: str) -> list[str]:
    """Return the names of a job's objects."""
    return sorted(item["path"].rpartition("/")[2] for item in obstore.list(bucket, f"blobs/{task_id}").collect())


@pytest.mark.parametrize("key", ["s3://darkroom/incoming/a photo.jpg", "s3://photos/shop/100%25 ü.jpg"])
def test_an_object_becomes_previews(http: httpx.Client, bucket: S3Store, key: str) -> None:
    task_id = submit_key(http, key)

    assert wait_for_image(http, task_id, "small").size == (160, 107)
    job = get_status(http, task_id)
    assert (job["original"]["name"], job["original"]["media_type"]) == (key.rpartition("/")[2], "image/jpeg")
    assert (job["original"]["bytes"], job["original"]["sha256"]) == (len(PHOTO), sha256(PHOTO).hexdigest())
    assert job["source"] == {"url": None, "key": key, "version": None}
    assert names(bucket, task_id) == ["large.1", "medium.1", "original.1", "small.1"]


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("s3://darkroom/incoming/missing.jpg", "fetch_failed"),
        ("s3://photos/shop/missing.jpg", "fetch_failed"),
        ("s3://photos/shop/large.jpg", "fetch_too_large"),
        ("s3://darkroom/incoming/page.jpg", "unsupported_format"),
    ],
)
def test_an_object_that_cannot_be_used_fails_the_job_and_leaves_nothing(
    http: httpx.Client, bucket: S3Store, key: str, code: str
) -> None:
    task_id = submit_key(http, key)

    job = wait_for_end(http, task_id)

    assert (job["status"], job["failure"]["code"]) == ("failed", code)
    assert names(bucket, task_id) == []


@pytest.mark.parametrize("key", ["s3://darkroom/private/a.jpg", "s3://darkroom/private/missing.jpg", "s3://photos/a"])
def test_an_object_elsewhere_is_refused_whether_it_exists_or_not(http: httpx.Client, key: str) -> None:
    answer = post_key(http, key)

    assert (answer.status_code, answer.json()["code"]) == (403, "source_not_allowed")
