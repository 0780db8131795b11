"""Resumable uploads, in the database and in their fake: the same answers to the same calls."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from storage.clock import now_ms
from storage.errors import UploadNotFound
from storage.resumable_uploads import Part, ResumableUpload, ResumableUploads, UploadState
from tests.support.fakes import FakeUploads, new_job_id

HOUR = 3_600_000
ADA = {"owner": "ada", "token_id": "t"}


@pytest.fixture(params=["real", "fake"])
def uploads(request: pytest.FixtureRequest) -> ResumableUploads:
    if request.param == "fake":
        return FakeUploads()
    found: ResumableUploads = request.getfixturevalue("stores").resumable_uploads
    return found


async def insert(uploads: ResumableUploads, **fields: Any) -> ResumableUpload:
    values = {"id": new_job_id(), "caller": "address:1", "length": 100, "expires_ms": now_ms() + HOUR}
    upload = ResumableUpload(**(values | fields))
    await uploads.insert(upload)
    return upload


async def append(uploads: ResumableUploads, upload: ResumableUpload, *parts: Part) -> bool:
    return await uploads.append(upload, parts, expires_ms=now_ms() + HOUR)


async def test_an_upload_is_read_as_it_was_inserted(uploads: ResumableUploads) -> None:
    upload = await insert(uploads, **ADA, metadata="filename Y2F0", caller="key:ada")

    assert await uploads.get(upload.id) == upload


@pytest.mark.parametrize("wanted", [{"owner": "zoe"}, {"token_id": "other"}], ids=["owner", "token"])
async def test_an_upload_of_another_is_not_found(uploads: ResumableUploads, wanted: dict[str, str]) -> None:
    upload = await insert(uploads, **ADA)

    assert (await uploads.get(upload.id, **ADA)).id == upload.id
    with pytest.raises(UploadNotFound):
        await uploads.get(upload.id, **wanted)


async def test_parts_are_recorded_one_behind_the_other(uploads: ResumableUploads) -> None:
    upload = await insert(uploads)
    first, second, third = Part(0, 10, "a"), Part(10, 5, "b"), Part(15, 9, "c")

    assert await append(uploads, upload, first)
    assert await append(uploads, await uploads.get(upload.id), second, third)

    found = await uploads.get(upload.id)
    assert (found.offset, found.sorted_parts) == (24, [first, second, third])


async def test_of_two_parts_at_the_same_place_the_first_is_recorded(uploads: ResumableUploads) -> None:
    upload = await insert(uploads)

    results = [await append(uploads, upload, Part(0, size, name)) for size, name in ((10, "a"), (20, "b"))]

    assert results == [True, False]
    assert (await uploads.get(upload.id)).sorted_parts == [Part(0, 10, "a")]


async def test_of_many_parts_at_the_same_time_one_is_recorded(uploads: ResumableUploads) -> None:
    upload = await insert(uploads)

    results = await asyncio.gather(*(append(uploads, upload, Part(0, n, str(n))) for n in range(1, 9)))

    assert sum(results) == 1
    assert (await uploads.get(upload.id)).offset == results.index(True) + 1


async def test_parts_are_replaced_by_one(uploads: ResumableUploads) -> None:
    upload = await insert(uploads)
    parts = [Part(start, 10, f"p{start}") for start in (0, 10, 20, 30)]
    await append(uploads, upload, *parts)

    assert await uploads.replace_parts(upload, parts[1:], Part(10, 30, "merged"))

    assert (await uploads.get(upload.id)).sorted_parts == [parts[0], Part(10, 30, "merged")]


async def test_parts_that_another_has_replaced_stay_replaced(uploads: ResumableUploads) -> None:
    upload = await insert(uploads)
    parts = [Part(start, 10, f"p{start}") for start in (0, 10, 20)]
    await append(uploads, upload, *parts)
    await uploads.replace_parts(upload, parts[1:], Part(10, 20, "merged"))

    assert not await uploads.replace_parts(upload, parts, Part(0, 30, "late"))

    assert (await uploads.get(upload.id)).sorted_parts == [parts[0], Part(10, 20, "merged")]


@pytest.mark.parametrize("state", [UploadState.REMOVED, UploadState.REFUSED, UploadState.EXPIRED])
async def test_an_upload_that_has_ended_changes_no_more(uploads: ResumableUploads, state: UploadState) -> None:
    upload = await insert(uploads)

    assert await uploads.end(upload, state)

    assert not await append(uploads, upload, Part(0, 10, "a"))
    assert not await uploads.begin_insert(upload, lease_ms=HOUR)
    assert not await uploads.end(upload, UploadState.REMOVED)
    assert (await uploads.get(upload.id)).state is state


async def test_an_upload_whose_job_may_be_inserted_does_not_end(uploads: ResumableUploads) -> None:
    upload = await insert(uploads)

    assert await uploads.begin_insert(upload, lease_ms=HOUR)

    assert not await uploads.end(upload, UploadState.REMOVED)
    assert await append(uploads, upload, Part(0, 10, "a"))  # it blocks nobody who sends


async def test_an_upload_whose_job_was_not_inserted_in_time_ends(uploads: ResumableUploads) -> None:
    upload = await insert(uploads)
    await uploads.begin_insert(upload, lease_ms=-1)

    assert await uploads.end(upload, UploadState.REMOVED)


async def test_a_job_is_not_inserted_of_bytes_that_another_has_overtaken(uploads: ResumableUploads) -> None:
    upload = await insert(uploads)
    await append(uploads, upload, Part(0, 10, "a"))

    assert not await uploads.begin_insert(upload, lease_ms=HOUR)


async def test_a_complete_upload_has_all_its_bytes_and_no_parts(uploads: ResumableUploads) -> None:
    upload = await insert(uploads)
    await append(uploads, upload, Part(0, 10, "a"))

    await uploads.complete(upload, expires_ms=now_ms() + 2 * HOUR)

    found = await uploads.get(upload.id)
    assert (found.state, found.offset, found.parts) == (UploadState.COMPLETE, 100, {})


async def test_only_open_uploads_of_the_caller_count(uploads: ResumableUploads) -> None:
    for caller in ("key:ada", "key:ada", "key:zoe"):
        upload = await insert(uploads, caller=caller)
    await uploads.end(await insert(uploads, caller="key:ada"), UploadState.REMOVED)

    assert upload.caller == "key:zoe"
    assert [await uploads.count_unfinished("key:ada", limit=limit) for limit in (1, 2, 3)] == [1, 2, 2]


async def test_expired_uploads_are_found_the_oldest_first(uploads: ResumableUploads) -> None:
    now = now_ms()
    young, old = [await insert(uploads, expires_ms=now - age) for age in (1000, 2000)]
    await insert(uploads)
    await uploads.end(await insert(uploads, expires_ms=now - 3000), UploadState.REFUSED)

    assert [upload.id for upload in await uploads.find_expired(limit=9)] == [old.id, young.id]
    assert [upload.id for upload in await uploads.find_expired(limit=1)] == [old.id]


async def test_an_upload_that_goes_on_does_not_expire(uploads: ResumableUploads) -> None:
    upload = await insert(uploads, expires_ms=now_ms() - 1000)
    await append(uploads, upload, Part(0, 10, "a"))

    assert not await uploads.end(upload, UploadState.EXPIRED, expired=True)


async def test_ended_uploads_are_forgotten_and_open_ones_are_not(uploads: ResumableUploads) -> None:
    past = now_ms() - 1000
    gone, kept = [await insert(uploads, expires_ms=past) for _ in range(2)]
    await uploads.end(gone, UploadState.EXPIRED)

    assert await uploads.delete_ended(before_ms=past, limit=9) == 0
    assert await uploads.delete_ended(before_ms=now_ms(), limit=9) == 1

    assert await uploads.find_not_open([gone.id, kept.id]) == [gone.id]
    with pytest.raises(UploadNotFound):
        await uploads.get(gone.id)


@pytest.mark.parametrize("is_recorded", [True, False])
async def test_an_upload_that_was_removed_with_its_job_is_not_complete_again(
    uploads: ResumableUploads, *, is_recorded: bool
) -> None:
    upload = await insert(uploads)
    if is_recorded:
        await uploads.complete(upload, expires_ms=now_ms())

    await uploads.remove_complete(upload)
    await uploads.complete(upload, expires_ms=now_ms())

    found = await uploads.get(upload.id)
    assert (found.state, found.parts) == (UploadState.REMOVED, {})
