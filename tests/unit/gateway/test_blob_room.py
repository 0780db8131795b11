"""The room for uploads: what a disk has left, what is being received, and what is kept for accepted jobs."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from gateway.problems import StorageFull
from gateway.submission.blob_room import BlobRoom
from pipeline.http_settings import BlobsSettings
from storage.blobs import Blobs
from tests.support.small_disks import Disk

UPLOAD_BYTES = 100
RESERVE_BYTES = 1000
SETTINGS = BlobsSettings(reserve_bytes=RESERVE_BYTES, reserve_share=0.5)


def room(settings: BlobsSettings = SETTINGS, *, refresh_seconds: float = 3600) -> BlobRoom:
    return BlobRoom(settings, upload_bytes=UPLOAD_BYTES, refresh_seconds=refresh_seconds)


@pytest.mark.parametrize(("over", "is_full"), [(UPLOAD_BYTES, False), (UPLOAD_BYTES - 1, True)])
async def test_there_is_room_for_the_largest_upload_or_for_none(*, over: int, is_full: bool) -> None:
    assert await room().is_full(Disk(RESERVE_BYTES + over)) is is_full


@pytest.mark.parametrize("size", [1, UPLOAD_BYTES, None])
async def test_a_full_disk_refuses_uploads_of_any_size(size: int | None) -> None:
    with pytest.raises(StorageFull) as refused:
        async with room().hold(Disk(RESERVE_BYTES + UPLOAD_BYTES - 1), size):
            pass

    assert refused.value.headers == {"Retry-After": "60"}


@pytest.mark.parametrize("size", [UPLOAD_BYTES, None])
async def test_uploads_at_the_same_time_do_not_use_the_reserve_together(size: int | None) -> None:
    uploads, disk = room(), Disk(RESERVE_BYTES + 3 * UPLOAD_BYTES + 50)

    async with AsyncExitStack() as held:
        for _ in range(3):
            await held.enter_async_context(uploads.hold(disk, size))
        with pytest.raises(StorageFull):
            await held.enter_async_context(uploads.hold(disk, size))

    assert not await uploads.is_full(disk)


async def test_room_that_others_hold_for_now_is_asked_for_again_soon_and_the_disk_is_not_full() -> None:
    uploads, disk = room(), Disk(RESERVE_BYTES + UPLOAD_BYTES)

    async with uploads.hold(disk, UPLOAD_BYTES):
        with pytest.raises(StorageFull) as refused:
            async with uploads.hold(disk, UPLOAD_BYTES):
                pass

        assert refused.value.headers == {"Retry-After": "5"}
        assert not await uploads.is_full(disk)


async def test_what_was_written_counts_until_the_disk_is_read_again() -> None:
    uploads, disk = room(), Disk(RESERVE_BYTES + 2 * UPLOAD_BYTES - 1)

    async with uploads.hold(disk, UPLOAD_BYTES) as held:
        held.use(UPLOAD_BYTES)

    assert await uploads.is_full(disk)


async def test_what_was_written_counts_once() -> None:
    uploads, disk = room(refresh_seconds=0), Disk(RESERVE_BYTES + 2 * UPLOAD_BYTES)

    async with uploads.hold(disk, UPLOAD_BYTES) as held:
        held.use(UPLOAD_BYTES)
        disk.free -= UPLOAD_BYTES

        assert not await uploads.is_full(disk)


async def test_room_that_is_made_is_used() -> None:
    uploads, disk = room(refresh_seconds=0), Disk(10)
    assert await uploads.is_full(disk)

    disk.free = RESERVE_BYTES + UPLOAD_BYTES

    assert not await uploads.is_full(disk)


async def test_a_copy_is_refused_when_there_is_no_room_for_it_any_more() -> None:
    uploads, disk = room(), Disk(RESERVE_BYTES + 2 * UPLOAD_BYTES)

    async with uploads.hold(disk, 10) as one, uploads.hold(disk, 10) as other:
        one.expect_copy(UPLOAD_BYTES)
        with pytest.raises(StorageFull):
            other.expect_copy(UPLOAD_BYTES)


async def test_the_disk_is_not_read_for_each_request() -> None:
    uploads, disk = room(), Disk(10**9)

    for _ in range(100):
        async with uploads.hold(disk, UPLOAD_BYTES):
            pass

    assert disk.readings == 1


async def test_uploads_that_come_before_the_disk_was_read_wait_for_it() -> None:
    uploads, disk = room(), Disk(RESERVE_BYTES)

    async with AsyncExitStack() as held:
        attempts = [held.enter_async_context(uploads.hold(disk, 1)) for _ in range(3)]
        ends = await asyncio.gather(*attempts, return_exceptions=True)

    assert [type(end) for end in ends] == [StorageFull] * 3
    assert disk.readings == 1


async def test_a_reading_whose_check_gives_up_counts() -> None:
    uploads, disk = room(), Disk(RESERVE_BYTES)

    check = asyncio.create_task(uploads.is_full(disk))
    await asyncio.sleep(0)
    check.cancel()

    assert await uploads.is_full(disk)
    assert disk.readings == 1


async def test_an_object_store_is_never_full() -> None:
    uploads, blobs = room(), Blobs.open("memory:///")

    async with uploads.hold(blobs, 10**15):
        assert not await uploads.is_full(blobs)


@pytest.mark.parametrize("settings", [BlobsSettings(reserve_bytes=0), BlobsSettings(reserve_share=0)])
async def test_without_a_reserve_nothing_is_refused(settings: BlobsSettings) -> None:
    async with room(settings).hold(Disk(0), UPLOAD_BYTES):
        pass
