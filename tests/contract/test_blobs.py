"""Blobs in memory, in a local folder and in an object store: the same promises from all of them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from errno import ENOSPC
from functools import partial
from hashlib import sha256
from itertools import chain
from pathlib import Path

import pytest
from obstore.exceptions import AlreadyExistsError

from storage.blobs import LOCAL_CHUNK_BYTES, SINGLE_PUT_MAX_BYTES, Blobs
from storage.folder_pages import PAGE
from tests.support.programs import run_program


@pytest.fixture(params=["memory", "file", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    if request.param == "s3":
        return Blobs.open(request.getfixturevalue("bucket_url"))
    return Blobs.open("memory:///") if request.param == "memory" else Blobs.open((tmp_path / "new" / "blobs").as_uri())


WRITE_ON = f"""
import asyncio, sys
from storage.blobs import Blobs

async def write_on():
    async with Blobs.open(sys.argv[1]).writer("job/master.1") as file:
        await file.write(bytes({2 * LOCAL_CHUNK_BYTES}))
        print("writing", flush=True)
        await asyncio.Event().wait()

asyncio.run(write_on())
"""
"""A program that never ends a write."""

emptied = pytest.mark.parametrize("blobs", ["memory", "file"], indirect=True)
"""For tests of folders that were emptied. S3 has none of them; SeaweedFS, in its place here, lists their names on."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
def local(folder: Path) -> Blobs:
    return Blobs.open(folder.as_uri())


async def read(blobs: Blobs, key: str, start: int, stop: int) -> bytes:
    return b"".join([chunk async for chunk in await blobs.stream(key, start=start, stop=stop)])


@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 5000], ids=["empty", "one", "many"])
def test_what_was_put_is_got(blobs: Blobs, content: bytes) -> None:
    blobs.put("job/original", content)

    assert blobs.get("job/original") == content


def test_what_is_got_are_bytes(blobs: Blobs) -> None:
    blobs.put("job/original", b"content")

    assert type(blobs.get("job/original")) is bytes


@pytest.mark.parametrize(("start", "stop"), [(0, 10), (0, 4), (3, 7), (9, 10), (4, None)])
def test_a_part_of_a_blob_is_got(blobs: Blobs, start: int, stop: int | None) -> None:
    blobs.put("job/master.1", b"0123456789")

    assert blobs.get("job/master.1", start=start, stop=stop) == b"0123456789"[start:stop]


@pytest.mark.parametrize(("start", "stop"), [(3, 12), (10, 12), (11, 12)])
def test_a_part_behind_the_end_of_a_blob_is_shorter(blobs: Blobs, start: int, stop: int) -> None:
    blobs.put("job/master.1", b"0123456789")

    assert blobs.get("job/master.1", start=start, stop=stop) == b"0123456789"[start:stop]


@pytest.mark.parametrize("sizes", [[0], [1, 2, 3], [700_000] * 10, [SINGLE_PUT_MAX_BYTES, 1]], ids=str)
def test_parts_are_one_blob(blobs: Blobs, sizes: list[int]) -> None:
    parts = [bytes([index]) * size for index, size in enumerate(sizes)]

    blobs.put("job/master.1", parts, create_only=True)

    assert blobs.get("job/master.1") == b"".join(parts)
    with pytest.raises(AlreadyExistsError):
        blobs.put("job/master.1", parts, create_only=True)


@pytest.mark.parametrize(("durable", "folder_is_durable"), [(False, False), (True, True)])
def test_a_blob_that_is_synced_less_is_written_the_same_way(
    blobs: Blobs, durable: bool, folder_is_durable: bool
) -> None:
    put = partial(blobs.put, create_only=True, durable=durable, folder_is_durable=folder_is_durable)

    put("job/master.1", b"content")

    assert blobs.get("job/master.1") == b"content"
    with pytest.raises(AlreadyExistsError):
        put("job/master.1", b"other")


def test_a_part_of_a_blob_that_is_missing_is_a_missing_file(blobs: Blobs) -> None:
    with pytest.raises(FileNotFoundError):
        blobs.get("job/master.1", start=2, stop=4)


@pytest.mark.parametrize(
    "key", ["../outside/file", "job/../../outside/file", "/job/original", "", "job//original", "a\0"]
)
async def test_no_key_leads_out_of_the_store(blobs: Blobs, tmp_path: Path, key: str) -> None:
    outside = tmp_path / "new" / "outside"
    outside.mkdir(parents=True)
    (outside / "file").write_bytes(b"not a blob")
    blobs.put("job/original", b"content")

    with pytest.raises(FileNotFoundError):
        blobs.get(key)
    with pytest.raises(FileNotFoundError):
        await blobs.stream(key, start=0, stop=1)
    with pytest.raises(FileNotFoundError):
        blobs.put(key, b"changed")
    with pytest.raises(FileNotFoundError):
        blobs.copy("job/original", key)
    for folder in (key, key.removesuffix("/file"), str(outside)):
        blobs.remove(folder, blobs.list_names(folder))
        blobs.remove_folder(folder)

    assert (outside / "file").read_bytes() == b"not a blob"
    assert blobs.get("job/original") == b"content"


def test_a_blob_put_again_is_replaced(blobs: Blobs) -> None:
    blobs.put("job/small.1", b"the first, longer")

    blobs.put("job/small.1", b"the second")

    assert blobs.get("job/small.1") == b"the second"


def test_a_blob_put_once_is_got(blobs: Blobs) -> None:
    blobs.put("job/small.1", b"content", create_only=True)

    assert blobs.get("job/small.1") == b"content"


def test_a_blob_put_once_replaces_none(blobs: Blobs) -> None:
    blobs.put("job/small.1", b"the first")

    with pytest.raises(AlreadyExistsError):
        blobs.put("job/small.1", b"the second", create_only=True)

    assert blobs.get("job/small.1") == b"the first"


def test_a_large_blob_put_once_replaces_none(blobs: Blobs) -> None:
    blobs.put("job/large.1", b"the first")

    with pytest.raises(AlreadyExistsError):
        blobs.put("job/large.1", bytes(SINGLE_PUT_MAX_BYTES + 1), create_only=True)

    assert blobs.get("job/large.1") == b"the first"


def test_a_large_blob_is_got_whole(blobs: Blobs) -> None:
    content = bytes(range(256)) * (SINGLE_PUT_MAX_BYTES // 256) + b"and one more"

    blobs.put("job/large.1", content, create_only=True)

    assert blobs.get("job/large.1") == content


def test_a_blob_with_attributes_is_got(blobs: Blobs) -> None:
    blobs.put("job/small.1", b"content", attributes={"Content-Type": "image/webp"})

    assert blobs.get("job/small.1") == b"content"


def test_only_what_was_put_exists(blobs: Blobs) -> None:
    blobs.put("job/original", b"content")

    assert blobs.exists("job/original")
    assert not any(blobs.exists(key) for key in ("job/other", "job", "../job/original"))


def test_a_blob_that_is_missing_is_a_missing_file(blobs: Blobs) -> None:
    with pytest.raises(FileNotFoundError):
        blobs.get("job/original")


def test_a_copy_holds_what_its_source_holds(blobs: Blobs) -> None:
    blobs.put("job/original", b"content")

    blobs.copy("job/original", "other/original")

    assert blobs.get("other/original") == b"content"


def test_a_copy_leaves_its_source(blobs: Blobs) -> None:
    blobs.put("job/original", b"content")

    blobs.copy("job/original", "other/original")

    assert blobs.get("job/original") == b"content"


def test_a_copy_outlives_its_source(blobs: Blobs) -> None:
    blobs.put("job/original", b"content")
    blobs.copy("job/original", "other/original")

    blobs.remove_folder("job")

    assert blobs.get("other/original") == b"content"


def test_a_copy_does_not_change_with_its_source(blobs: Blobs) -> None:
    blobs.put("job/original", b"content")
    blobs.copy("job/original", "other/original")

    blobs.put("job/original", b"changed")

    assert blobs.get("other/original") == b"content"


def test_a_copy_replaces_what_was_there(blobs: Blobs) -> None:
    blobs.put("job/small.1", b"content")
    blobs.put("other/small.1", b"something longer")

    blobs.copy("job/small.1", "other/small.1")

    assert blobs.get("other/small.1") == b"content"


def test_a_copy_is_named_in_its_folder_alone(blobs: Blobs) -> None:
    blobs.put("job/original", b"content")

    blobs.copy("job/original", "other/small.1")

    assert (blobs.list_names("job"), blobs.list_names("other")) == (["original"], ["small.1"])


def test_a_copy_of_what_is_missing_is_a_missing_file(blobs: Blobs) -> None:
    with pytest.raises(FileNotFoundError):
        blobs.copy("job/original", "other/original")


def test_a_copy_of_what_is_missing_leaves_nothing(blobs: Blobs) -> None:
    with suppress(FileNotFoundError):
        blobs.copy("job/original", "other/original")

    assert blobs.list_names("other") == []


async def test_a_stream_that_is_missing_is_a_missing_file(blobs: Blobs) -> None:
    with pytest.raises(FileNotFoundError):
        await blobs.stream("job/original", start=0, stop=1)


@pytest.mark.parametrize("sizes", [[1], [700_000] * 10], ids=str)
def test_chunks_are_written_as_they_come(blobs: Blobs, sizes: list[int]) -> None:
    chunks = [bytes([index]) * size for index, size in enumerate(sizes)]

    blobs.write_chunks("job/original.1", iter(chunks))

    assert blobs.get("job/original.1") == b"".join(chunks)


def test_chunks_that_end_with_an_error_leave_no_blob(blobs: Blobs) -> None:
    def broken() -> Iterator[bytes]:
        yield bytes(6 * 1024 * 1024)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        blobs.write_chunks("job/original.1", broken())

    assert blobs.list_all_names("job") == []


@pytest.mark.parametrize("sizes", [[], [0], [1], [3, 0, 4], [LOCAL_CHUNK_BYTES, 1], [700_000] * 10], ids=str)
async def test_what_was_written_in_pieces_is_got_whole(blobs: Blobs, sizes: list[int]) -> None:
    pieces = [bytes([number]) * size for number, size in enumerate(sizes)]

    async with blobs.writer("job/original") as file:
        for piece in pieces:
            await file.write(piece)

    assert blobs.get("job/original") == b"".join(pieces)


async def test_a_blob_is_not_there_while_it_is_written(blobs: Blobs) -> None:
    async with blobs.writer("job/original") as file:
        await file.write(b"x" * 2 * LOCAL_CHUNK_BYTES)

        assert blobs.list_names("job") == []


@pytest.mark.parametrize("size", [1, 2 * LOCAL_CHUNK_BYTES, 6 * 1024 * 1024], ids=["little", "some", "much"])
async def test_a_broken_upload_leaves_no_blob(blobs: Blobs, size: int) -> None:
    await break_off(blobs, "job/original", size)

    with pytest.raises(FileNotFoundError):
        blobs.get("job/original")


async def test_a_broken_upload_leaves_the_blob_that_was_there(blobs: Blobs) -> None:
    blobs.put("job/original", b"whole")

    await break_off(blobs, "job/original", 2 * LOCAL_CHUNK_BYTES)

    assert blobs.get("job/original") == b"whole"


async def test_each_chunk_that_is_written_is_observed_in_its_order(blobs: Blobs) -> None:
    digest, pieces = sha256(), [bytes([number]) * 100_000 for number in range(20)]

    async with blobs.writer("job/original", observe=digest.update) as file:
        for piece in pieces:
            await file.write(piece)

    assert digest.digest() == sha256(blobs.get("job/original")).digest()


async def test_an_observer_that_fails_leaves_no_blob(blobs: Blobs) -> None:
    def fail(_: bytes) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with blobs.writer("job/original", observe=fail) as file:
            await file.write(b"content")

    assert blobs.list_all_names("job") == []


async def test_an_upload_goes_on_while_a_piece_is_written(local: Blobs) -> None:
    may_go_on, written = threading.Event(), []

    def write(piece: bytes) -> None:
        may_go_on.wait(10)
        written.append(len(piece))

    async with local.writer("job/original", observe=write) as file:
        await file.write(bytes(2 * LOCAL_CHUNK_BYTES))
        await file.write(b"next")
        assert written == []
        may_go_on.set()

    assert written == [2 * LOCAL_CHUNK_BYTES, 4]


async def test_an_upload_that_gives_up_waiting_for_a_piece_goes_on(local: Blobs) -> None:
    may_go_on, pieces = threading.Event(), [bytes([number]) * 2 * LOCAL_CHUNK_BYTES for number in range(3)]

    async with local.writer("job/original", observe=lambda _: may_go_on.wait(10)) as file:
        await file.write(pieces[0])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(file.write(pieces[1]), 0.01)
        may_go_on.set()
        await file.write(pieces[2])

    assert local.get("job/original") == b"".join(pieces)


@pytest.mark.parametrize("pieces", [1, 2, 3])
async def test_a_piece_that_cannot_be_written_leaves_no_file(local: Blobs, pieces: int) -> None:
    def fail(_: bytes) -> None:
        raise OSError(ENOSPC, "No space left on device")

    async def write() -> None:
        async with local.writer("job/original", observe=fail) as file:
            for _ in range(pieces):
                await file.write(bytes(2 * LOCAL_CHUNK_BYTES))

    with pytest.raises(OSError, match="No space"):
        await write()

    assert local.list_all_names("job") == []


async def test_a_broken_upload_leaves_no_file(local: Blobs) -> None:
    await break_off(local, "job/original", 2 * LOCAL_CHUNK_BYTES)

    assert local.list_all_names("job") == []


async def test_an_upload_that_is_cancelled_while_it_is_written_leaves_no_file(local: Blobs) -> None:
    is_writing, may_go_on = threading.Event(), threading.Event()

    def wait(_: bytes) -> None:
        is_writing.set()
        may_go_on.wait(10)

    async def write() -> None:
        async with local.writer("job/original", observe=wait) as file:
            await file.write(bytes(2 * LOCAL_CHUNK_BYTES))

    task = asyncio.create_task(write())
    await asyncio.to_thread(is_writing.wait, 10)
    task.cancel()
    await asyncio.sleep(0)
    may_go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert local.list_all_names("job") == []


async def test_an_upload_does_not_use_the_remains_of_another_one(local: Blobs, folder: Path) -> None:
    (folder / "job").mkdir()
    (folder / "job" / "original#1").write_bytes(b"half of")

    async with local.writer("job/original") as file:
        await file.write(b"content")

    assert (local.get("job/original"), sorted(local.list_all_names("job"))) == (b"content", ["original", "original#1"])


@pytest.mark.parametrize(("start", "stop"), [(0, 10), (0, 1), (9, 10), (3, 7)])
async def test_a_stream_holds_the_bytes_asked_for(blobs: Blobs, start: int, stop: int) -> None:
    blobs.put("job/large.1", b"0123456789")

    assert await read(blobs, "job/large.1", start, stop) == b"0123456789"[start:stop]


async def test_a_stream_of_a_large_blob_holds_all_of_it(blobs: Blobs) -> None:
    content = bytes(range(251)) * 20_000
    blobs.put("job/large.1", content)

    assert await read(blobs, "job/large.1", 0, len(content)) == content


# An object store's pieces are what has arrived meanwhile: several times the least size, if the reader was slow.
@pytest.mark.parametrize(("blobs", "most"), [("file", 2**18), ("s3", 2**21)], indirect=["blobs"])
async def test_a_stream_comes_in_small_pieces_as_slow_clients_hold_some_each(blobs: Blobs, most: int) -> None:
    blobs.put("job/large.1", bytes(5_000_000))

    pieces = [len(chunk) async for chunk in await blobs.stream("job/large.1", start=0, stop=5_000_000)]

    assert max(pieces) <= most


async def test_a_stream_that_began_ends_though_its_blob_is_removed(blobs: Blobs) -> None:
    content = bytes(range(251)) * 20_000
    blobs.put("job/large.1", content)
    stream = await blobs.stream("job/large.1", start=0, stop=len(content))
    first = await anext(stream)

    blobs.remove_folder("job")

    assert first + b"".join([chunk async for chunk in stream]) == content


def test_names_are_those_of_one_folder(blobs: Blobs) -> None:
    for key in ("job/original", "job/small.1", "job2/original", "other/large.1"):
        blobs.put(key, b"")

    assert sorted(blobs.list_names("job")) == ["original", "small.1"]


def test_a_folder_that_is_not_there_has_no_names(blobs: Blobs) -> None:
    assert blobs.list_names("job") == []


def test_folders_are_each_named_once(blobs: Blobs) -> None:
    for key in ("a/original", "a/small.1", "b/original"):
        blobs.put(key, b"")

    assert sorted(blobs.list_folders()) == ["a", "b"]


def test_folders_after_a_name_are_those_that_sort_after_it(blobs: Blobs) -> None:
    for key in ("a/original", "b/original", "b0/original", "c/original", "c/small.1"):
        blobs.put(key, b"")

    assert sorted(chain.from_iterable(blobs.read_folder_pages(after="b0"))) == ["c"]
    assert sorted(chain.from_iterable(blobs.read_folder_pages(after="b"))) == ["b0", "c"]


def test_what_lies_beside_the_folders_is_none_of_them(blobs: Blobs) -> None:
    blobs.put("job/original", b"")
    blobs.put("readme", b"")

    assert blobs.list_folders() == ["job"]


def test_folders_come_in_pages_of_a_bounded_size(local: Blobs, folder: Path) -> None:
    for number in range(2 * PAGE + 1):
        (folder / f"{number:04}").mkdir()

    assert [len(page) for page in local.read_folder_pages()] == [PAGE, PAGE, 1]


def test_folders_of_an_object_store_come_in_pages_of_a_bounded_size() -> None:
    blobs = Blobs.open("memory:///")
    for number in range(PAGE + 1):
        for name in ("original", "small.1"):
            blobs.put(f"{number:04}/{name}", b"")

    assert [len(page) for page in blobs.read_folder_pages()] == [PAGE, 1]


def test_a_new_store_has_no_folders(blobs: Blobs) -> None:
    assert blobs.list_folders() == []


def test_removing_some_blobs_keeps_the_others(blobs: Blobs) -> None:
    for name in ("original", "master.1", "small.1"):
        blobs.put(f"job/{name}", b"")

    blobs.remove("job", ["master.1", "original"])

    assert blobs.list_names("job") == ["small.1"]


def test_removing_goes_on_past_a_blob_that_is_gone(blobs: Blobs) -> None:
    blobs.put("job/small.1", b"")

    blobs.remove("job", ["master.1", "small.1"])

    assert blobs.list_names("job") == []


@emptied
def test_removing_the_last_blob_removes_its_folder(blobs: Blobs) -> None:
    blobs.put("job/small.1", b"")
    blobs.put("other/small.1", b"")

    blobs.remove("job", ["small.1"])

    assert blobs.list_folders() == ["other"]


def test_removing_from_a_folder_that_is_gone_is_no_error(blobs: Blobs) -> None:
    blobs.remove("job", ["small.1"])

    assert blobs.list_folders() == []


def test_a_blob_can_be_put_where_the_last_was_removed(blobs: Blobs) -> None:
    blobs.put("job/small.1", b"")
    blobs.remove("job", ["small.1"])

    blobs.put("job/small.2", b"content")

    assert blobs.get("job/small.2") == b"content"


@emptied
def test_removing_a_folder_removes_it(blobs: Blobs) -> None:
    for name in ("original", "small.1"):
        blobs.put(f"job/{name}", b"")

    blobs.remove_folder("job")

    assert blobs.list_folders() == []


@emptied
def test_removing_a_folder_keeps_those_whose_names_begin_with_its_name(blobs: Blobs) -> None:
    blobs.put("job/original", b"")
    blobs.put("job2/original", b"")

    blobs.remove_folder("job")

    assert blobs.list_folders() == ["job2"]


def test_removing_a_folder_removes_all_its_blobs(blobs: Blobs) -> None:
    for key in ("job/original", "job/small.1", "job2/original"):
        blobs.put(key, b"")

    blobs.remove_folder("job")

    assert (blobs.list_names("job"), blobs.list_names("job2")) == ([], ["original"])


def test_removing_a_folder_that_is_gone_is_no_error(blobs: Blobs) -> None:
    blobs.remove_folder("job")

    assert blobs.list_folders() == []


def test_a_store_that_works_passes_its_check(blobs: Blobs) -> None:
    blobs.check()


def test_the_remains_of_a_broken_upload_are_found(local: Blobs, folder: Path) -> None:
    (folder / "job").mkdir()
    (folder / "job" / "original#1").write_bytes(b"half of")  # as a process that was killed leaves it

    assert local.list_folders() == ["job"]


def test_the_remains_of_a_broken_upload_are_no_blobs(local: Blobs, folder: Path) -> None:
    (folder / "job").mkdir()
    (folder / "job" / "original#1").write_bytes(b"half of")

    assert local.list_names("job") == []


def test_the_remains_of_a_broken_upload_can_be_listed_and_removed(local: Blobs, folder: Path) -> None:
    local.put("job/small.1", b"")
    (folder / "job" / "master.1#1").write_bytes(b"half of")

    names = local.list_all_names("job")
    local.remove("job", ["master.1#1"])

    assert (sorted(names), local.list_all_names("job")) == (["master.1#1", "small.1"], ["small.1"])


def test_what_a_killed_process_was_writing_can_be_listed_and_removed(local: Blobs, folder: Path) -> None:
    local.put("job/small.1", b"")
    with run_program(sys.executable, "-c", WRITE_ON, folder.as_uri(), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
        process.wait()

    left = set(local.list_all_names("job")) - set(local.list_names("job"))
    local.remove("job", left)

    assert len(left) == 1
    assert local.list_all_names("job") == ["small.1"]


def test_all_names_in_a_folder_are_those_of_its_blobs(blobs: Blobs) -> None:
    for key in ("job/original", "job/small.1", "job2/original"):
        blobs.put(key, b"")

    assert sorted(blobs.list_all_names("job")) == ["original", "small.1"]
    assert blobs.list_all_names("nobody") == []


def test_removing_every_blob_leaves_the_remains_of_a_broken_upload(local: Blobs, folder: Path) -> None:
    local.put("job/small.1", b"")
    (folder / "job" / "original#1").write_bytes(b"half of")

    local.remove("job", ["small.1"])

    assert [path.name for path in (folder / "job").iterdir()] == ["original#1"]


def test_the_remains_of_a_broken_upload_are_removed_with_their_folder(local: Blobs, folder: Path) -> None:
    (folder / "job").mkdir()
    (folder / "job" / "original#1").write_bytes(b"half of")

    local.remove_folder("job")

    assert list(folder.iterdir()) == []


async def test_an_upload_under_way_is_what_the_remains_look_like(local: Blobs, folder: Path) -> None:
    async with local.writer("job/original") as file:
        for _ in range(2):  # the second waits until the first is written
            await file.write(b"x" * 2 * LOCAL_CHUNK_BYTES)

        assert [path.name for path in (folder / "job").iterdir()] == ["original#1"]


def test_a_folder_that_went_away_fails_the_check(local: Blobs, folder: Path) -> None:
    folder.rmdir()

    with pytest.raises(OSError, match="cannot be written"):
        local.check()


async def break_off(blobs: Blobs, key: str, size: int) -> None:
    """Begin an upload and break it off after some bytes."""
    with suppress(ConnectionResetError):
        async with blobs.writer(key) as file:
            await file.write(b"x" * size)
            raise ConnectionResetError
