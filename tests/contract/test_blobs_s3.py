"""What only an object store has: parts, attributes, links, and ways of its own to be away."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from uuid import uuid4

import httpx
import pytest
from obstore.exceptions import AlreadyExistsError

from storage.blobs import REMOTE_CHUNK_BYTES, SINGLE_PUT_MAX_BYTES, Blobs
from storage.errors import TRANSIENT_ERRORS
from storage.object_store import TIMEOUTS, connect
from tests.integration.api_helpers import wait_until
from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.support.object_store import ObjectStore

ATTRIBUTES = {
    "Content-Type": "image/webp",
    "Content-Disposition": "inline; filename=\"photo-small.webp\"; filename*=UTF-8''f%C3%B3to-small.webp",
    "Cache-Control": "private, max-age=31536000, immutable",
}


@pytest.fixture
def blobs(bucket_url: str) -> Blobs:
    return Blobs.open(bucket_url)


async def write(blobs: Blobs, size: int, *, break_off: bool = False) -> None:
    async with blobs.writer("job/original") as file:
        for _ in range(0, size, 65_536):
            await file.write(b"x" * 65_536)
        if break_off:
            raise ConnectionResetError


USES: dict[str, Callable[[Blobs], object]] = {
    "check": lambda blobs: blobs.check(),
    "read": lambda blobs: blobs.get("job/original"),
    "write": lambda blobs: blobs.put("job/small.1", bytes(1)),
    "write once": lambda blobs: blobs.put("job/small.1", bytes(1), create_only=True),
    "write in parts": lambda blobs: blobs.put("job/small.1", bytes(SINGLE_PUT_MAX_BYTES + 1)),
    "write in parts once": lambda blobs: blobs.put("job/small.1", bytes(SINGLE_PUT_MAX_BYTES + 1), create_only=True),
    "upload": lambda blobs: asyncio.run(write(blobs, 1)),
    "upload in parts": lambda blobs: asyncio.run(write(blobs, 4 * REMOTE_CHUNK_BYTES)),
    "removal": lambda blobs: blobs.remove("job", ["original"]),
    "removal of a folder": lambda blobs: blobs.remove_folder("job"),
    "listing": lambda blobs: blobs.list_folders(),
    "stream": lambda blobs: asyncio.run(blobs.stream("job/small.1", start=0, stop=1)),
    "link": lambda blobs: asyncio.run(blobs.sign_url("job/small.1", method="GET", seconds=60)),
}
FAILING = ("silent", "refusing", "denied")


def open_failing(kind: str, s3_server: ObjectStore, server: socket.socket) -> Blobs:
    """Return a store that takes connections and then says nothing, one that nobody runs, or one with other keys."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_server.environment.items():
            patch.setenv(name, value)
        if kind == "denied":
            patch.setenv("AWS_SECRET_ACCESS_KEY", "another")
        else:
            patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
            patch.setenv("AWS_READ_TIMEOUT", "50ms")
        if kind == "refusing":
            server.close()
        return Blobs.open(f"s3://contract/{uuid4()}")


@pytest.fixture(scope="module", params=FAILING)
def failures(request: pytest.FixtureRequest, s3_server: ObjectStore) -> dict[str, BaseException | None]:
    """What each use of a failing store ends with; all at once, since each is tried again for a second."""
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as server, ThreadPoolExecutor(len(USES)) as pool:
        blobs = open_failing(request.param, s3_server, server)
        return {name: running.exception() for name, running in [(n, pool.submit(u, blobs)) for n, u in USES.items()]}


@pytest.fixture
async def outsider() -> AsyncIterator[httpx.AsyncClient]:
    """Somebody without keys."""
    async with httpx.AsyncClient(**HTTP_CLIENT_OPTIONS) as client:
        yield client


async def no_parts(s3_server: ObjectStore) -> None:
    """Wait until the store holds no parts: SeaweedFS removes them behind its answer."""
    await asyncio.to_thread(wait_until, lambda: s3_server.list_multipart_uploads("contract") == [], "the parts to go")


async def test_an_upload_under_way_is_held_by_the_store_in_parts(blobs: Blobs, s3_server: ObjectStore) -> None:
    async with blobs.writer("job/original") as file:
        await file.write(b"x" * 3 * REMOTE_CHUNK_BYTES)

        assert s3_server.list_multipart_uploads("contract") != []


async def test_a_broken_upload_leaves_no_parts(blobs: Blobs, s3_server: ObjectStore) -> None:
    with suppress(ConnectionResetError):
        await write(blobs, 3 * REMOTE_CHUNK_BYTES, break_off=True)

    await no_parts(s3_server)


async def test_a_cancelled_upload_leaves_neither_parts_nor_a_blob(blobs: Blobs, s3_server: ObjectStore) -> None:
    begun = asyncio.Event()

    async def upload() -> None:
        async with blobs.writer("job/original") as file:
            await file.write(b"x" * 3 * REMOTE_CHUNK_BYTES)
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(upload())
    await begun.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

    await no_parts(s3_server)
    assert blobs.list_names("job") == []


async def test_a_finished_upload_leaves_no_parts(blobs: Blobs, s3_server: ObjectStore) -> None:
    await write(blobs, 3 * REMOTE_CHUNK_BYTES)

    await no_parts(s3_server)
    assert blobs.list_names("job") == ["original"]


@pytest.mark.parametrize("size", [100, SINGLE_PUT_MAX_BYTES + 1], ids=["at once", "in parts"])
async def test_a_link_serves_the_blob_as_its_attributes_say(
    outsider: httpx.AsyncClient, blobs: Blobs, size: int
) -> None:
    blobs.put("job/small.1", b"x" * size, create_only=True, attributes=ATTRIBUTES)

    answer = await outsider.get(await blobs.sign_url("job/small.1", method="GET", seconds=60))

    assert answer.content == b"x" * size
    assert {name: answer.headers.get(name) for name in ATTRIBUTES} == ATTRIBUTES


async def test_a_copy_is_served_as_its_source_is(outsider: httpx.AsyncClient, blobs: Blobs) -> None:
    blobs.put("job/small.1", b"content", attributes=ATTRIBUTES)
    blobs.copy("job/small.1", "other/small.1")

    answer = await outsider.get(await blobs.sign_url("other/small.1", method="GET", seconds=60))

    assert {name: answer.headers.get(name) for name in ATTRIBUTES} == ATTRIBUTES


async def test_a_link_serves_a_range(outsider: httpx.AsyncClient, blobs: Blobs) -> None:
    blobs.put("job/small.1", b"0123456789")
    link = await blobs.sign_url("job/small.1", method="GET", seconds=60)

    answer = await outsider.get(link, headers={"Range": "bytes=2-4"})

    assert (answer.status_code, answer.content) == (206, b"234")


async def test_a_link_for_head_serves_the_headers_alone(outsider: httpx.AsyncClient, blobs: Blobs) -> None:
    blobs.put("job/small.1", b"0123456789")

    answer = await outsider.head(await blobs.sign_url("job/small.1", method="HEAD", seconds=60))

    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, "10", b"")


async def test_a_link_serves_no_other_blob(outsider: httpx.AsyncClient, blobs: Blobs) -> None:
    blobs.put("job/small.1", b"content")
    blobs.put("job/large.1", b"secret")
    link = await blobs.sign_url("job/small.1", method="GET", seconds=60)

    answer = await outsider.get(link.replace("small.1", "large.1"))

    assert answer.status_code == 403


async def test_a_link_to_what_is_missing_is_a_missing_file(blobs: Blobs) -> None:
    with pytest.raises(FileNotFoundError):
        await blobs.sign_url("job/small.1", method="GET", seconds=60)


def test_only_object_stores_sign_links(blobs: Blobs) -> None:
    assert blobs.can_sign_urls
    assert not Blobs.open("memory:///").can_sign_urls


def test_a_blob_is_put_once_also_where_the_store_has_no_conditions(
    monkeypatch: pytest.MonkeyPatch, bucket_url: str
) -> None:
    monkeypatch.setenv("AWS_CONDITIONAL_PUT", "disabled")
    blobs = Blobs.open(bucket_url)

    blobs.put("job/small.1", b"the first", create_only=True)
    with pytest.raises(AlreadyExistsError):
        blobs.put("job/small.1", b"the second", create_only=True)

    assert blobs.get("job/small.1") == b"the first"


def test_a_missing_bucket_fails_the_check(bucket_url: str) -> None:
    with pytest.raises(TRANSIENT_ERRORS):
        Blobs.open(bucket_url.replace("contract", "nobody-made-this")).check()


@pytest.mark.parametrize("use", USES)
def test_what_a_failing_store_answers_is_worth_another_try(failures: dict[str, BaseException | None], use: str) -> None:
    failure = failures[use]

    assert isinstance(failure, TRANSIENT_ERRORS)
    assert not isinstance(failure, FileNotFoundError)


def test_the_environment_says_how_long_to_wait(monkeypatch: pytest.MonkeyPatch, bucket_url: str) -> None:
    monkeypatch.setenv("AWS_READ_TIMEOUT", "7s")

    options = getattr(connect(bucket_url), "client_options", None)

    assert options == TIMEOUTS | {"read_timeout": "7s", "allow_http": "true"}
