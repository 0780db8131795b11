"""An object in a bucket as it is fetched: which version, by whom it is copied, and what its errors tell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.fetched_object import FetchedObject
from pipeline.outbound_settings import SourceBucket
from pipeline.settings import Settings
from pipeline.stage_blobs import StageBlobs
from stages.errors import FetchFailed, FetchTimeout, FetchTooLarge, TemporaryError
from stages.limits import Limits
from storage.blobs import Blobs
from storage.documents import Source
from tests.support.fakes import new_job
from tests.support.image_server import Scripted, ScriptedServer, run_scripted_server

CONTENT = bytes(range(256)) * 1000
HEADERS = {"ETag": '"one"', "Last-Modified": "Mon, 02 Nov 2026 10:00:00 GMT", "Content-Type": "image/jpeg"}
ADDRESS = "s3://incoming/ada/a b.jpg"
PATH = "/incoming/ada/a%20b.jpg"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server that is to look like S3."""
    with run_scripted_server() as server:
        yield server


def found(server: ScriptedServer, *, version: str | None = None, **settings: Any) -> FetchedObject:
    """Return an object in a bucket of that server."""
    keys = {"aws_access_key_id": "the-id", "aws_secret_access_key": "the-secret", "aws_region": "us-east-1"}
    options = keys | {"aws_endpoint_url": server.url, "aws_allow_http": "true", "aws_read_timeout": "500ms"}
    bucket = SourceBucket(url="s3://incoming/ada", options=options)
    source = Source(address=ADDRESS, key="a b.jpg", version=version)
    return FetchedObject.find(source, None, Settings(sources={"*": (bucket,)}, **settings))


@pytest.mark.parametrize(("version", "query"), [(None, ""), ("v1", "?versionId=v1")])
def test_an_object_is_read_in_its_version(server: ScriptedServer, version: str | None, query: str) -> None:
    server.script(PATH, Scripted(CONTENT, headers=HEADERS))

    assert b"".join(found(server, version=version).chunks()) == CONTENT
    assert server.requests[0].path == PATH + query


def test_an_object_that_is_too_large_is_not_read(server: ScriptedServer) -> None:
    server.script(PATH, Scripted(CONTENT, headers=HEADERS, sent=0, is_silent=True))

    with pytest.raises(FetchTooLarge):
        b"".join(found(server, limits=Limits(upload_bytes=len(CONTENT) - 1)).chunks())


@pytest.mark.parametrize("status", [401, 403, 404])
def test_an_object_that_may_not_be_read_is_like_a_missing_one(server: ScriptedServer, status: int) -> None:
    server.script(PATH, Scripted(b"<Error><Code>Secret</Code></Error>", status=status))

    with pytest.raises(FetchFailed) as caught:
        b"".join(found(server).chunks())

    assert caught.value.message == "The object does not exist, or may not be read."
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Scripted(status=400), id="a refusal"),
        pytest.param(Scripted(CONTENT, headers=HEADERS, sent=0, is_silent=True), id="a silence"),
    ],
)
def test_a_bucket_that_does_not_answer_is_temporary_and_has_no_name(server: ScriptedServer, answer: Scripted) -> None:
    server.script(PATH, answer)

    with pytest.raises(TemporaryError) as caught:
        b"".join(found(server).chunks())

    assert isinstance(caught.value.refusal, FetchFailed)
    shown = f"{caught.value} {caught.value.refusal.message}"
    assert not any(secret in shown for secret in ("incoming", "127.0.0.1", "the-id", "the-secret"))


def test_reading_ends_when_the_time_is_over(server: ScriptedServer) -> None:
    server.script(PATH, Scripted(CONTENT, headers=HEADERS))

    with pytest.raises(TemporaryError) as caught:
        b"".join(found(server, fetch={"timeout": 1e-9}).chunks())

    assert isinstance(caught.value.refusal, FetchTimeout)


def test_options_that_are_not_valid_are_not_shown(server: ScriptedServer) -> None:
    bucket = SourceBucket(url="s3://incoming/ada", options={"aws_allow_http": "the-secret", "aws_region": "x"})
    item = FetchedObject.find(Source(address=ADDRESS), None, Settings(sources={"*": (bucket,)}))

    with pytest.raises(TemporaryError) as caught:
        b"".join(item.chunks())

    assert "the-secret" not in f"{caught.value} {caught.value.refusal.message}"
    assert server.requests == []


def in_bucket(url: str, *, blobs: str = "blobs", options: dict[str, str] | None = None) -> tuple[FetchedObject, Blobs]:
    """Return an object of a real bucket, and the blobs in a folder beside it."""
    bucket = SourceBucket(url=f"{url}/incoming", options=options or {})
    settings = Settings(blob_url=f"{url}/{blobs}", sources={"*": (bucket,)})
    source = Source(address=f"{url}/incoming/100%25 ü.jpg", key="100%25 ü.jpg")
    return FetchedObject.find(source, None, settings), Blobs.open(settings.blob_url)


def test_an_object_in_the_bucket_of_the_blobs_is_copied_by_the_store(bucket_url: str) -> None:
    Blobs.open(f"{bucket_url}/incoming").put("100%25 ü.jpg", CONTENT)
    item, blobs = in_bucket(bucket_url)
    job = new_job()

    copied = item.copy_original(StageBlobs(blobs, job, attempt=1))

    assert item.can_be_copied
    assert copied == (f"{job.id}/original.1", CONTENT)
    assert blobs.get(f"{job.id}/original.1") == CONTENT


def test_an_object_that_is_not_there_is_not_copied(bucket_url: str) -> None:
    item, blobs = in_bucket(bucket_url)

    with pytest.raises(FetchFailed):
        item.copy_original(StageBlobs(blobs, new_job(), attempt=1))


@pytest.mark.parametrize(
    ("url", "blob_url", "options", "version", "can_be_copied"),
    [
        ("s3://photos/in", "s3://photos/blobs", {}, None, True),
        ("s3://photos/in", "s3://photos/blobs", {"aws_region": "x"}, None, False),
        ("s3://photos/in", "s3://photos/blobs", {}, "v1", False),
        ("s3://photos/in", "s3://other/blobs", {}, None, False),
        ("s3://photos/in", "gs://photos/blobs", {}, None, False),
        ("file:///photos/in", "file:///photos/blobs", {}, None, False),
    ],
)
def test_only_the_store_of_the_blobs_copies_with_their_keys(  # one column each
    url: str, blob_url: str, options: dict[str, str], version: str | None, can_be_copied: bool
) -> None:
    sources = {"*": (SourceBucket(url=url, options=options),)}
    source = Source(address=f"{url}/a.jpg", key="a.jpg", version=version)

    item = FetchedObject.find(source, None, Settings(blob_url=blob_url, sources=sources))

    assert item.can_be_copied == can_be_copied
