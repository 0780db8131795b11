"""What the tidier does with resumable uploads: expired ones go, the others keep their bytes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pipeline.settings import Settings
from pipeline.tidying.tidier import Tidier
from storage.blobs import Blobs
from storage.clock import now_ms
from storage.documents import blob_key
from storage.errors import UploadNotFound
from storage.resumable_uploads import Part, ResumableUpload, UploadState
from tests.support.fakes import FakeJobs, FakeStores, new_job, new_job_id

SECOND = 1000
OLD_MS = 5 * 3_600_000


async def upload_part(stores: FakeStores, *, expires_in_ms: int, **fields: Any) -> ResumableUpload:
    """Create an upload hours ago, long enough for its folder to be an orphan, with one part."""
    upload = ResumableUpload(
        id=new_job_id(at_ms=now_ms() - OLD_MS), caller="ada", length=100, expires_ms=now_ms() + expires_in_ms, **fields
    )
    await stores.resumable_uploads.insert(upload)
    await stores.resumable_uploads.append(upload, [Part(0, 4, "part.1")], expires_ms=upload.expires_ms)
    stores.blobs.put(blob_key(upload.id, "part.1"), b"part")
    return await stores.resumable_uploads.get(upload.id)


async def tidy_up(tidier: Tidier) -> None:
    while await tidier.tidy():
        pass


async def test_an_expired_upload_loses_its_bytes(tidier: Tidier, stores: FakeStores, blobs: Blobs) -> None:
    upload = await upload_part(stores, expires_in_ms=-SECOND)

    await tidy_up(tidier)

    assert blobs.list_folders() == []
    assert (await stores.resumable_uploads.get(upload.id)).state is UploadState.EXPIRED


async def test_more_expired_uploads_than_a_batch_go_in_one_run(
    tidier: Tidier, stores: FakeStores, blobs: Blobs, settings: Settings
) -> None:
    for _ in range(settings.sweeper.batch + 1):
        await upload_part(stores, expires_in_ms=-SECOND)

    await tidy_up(tidier)

    assert blobs.list_folders() == []


async def test_an_open_upload_keeps_its_bytes_however_old_it_is(
    tidier: Tidier, stores: FakeStores, blobs: Blobs
) -> None:
    upload = await upload_part(stores, expires_in_ms=SECOND * 60)

    await tidy_up(tidier)

    assert blobs.list_folders() == [upload.id]


async def test_an_upload_that_becomes_a_job_while_orphans_are_looked_for_keeps_its_bytes(
    stores: FakeStores, blobs: Blobs, settings: Settings
) -> None:
    upload = await upload_part(stores, expires_in_ms=SECOND * 60)

    class CompletingJobs(FakeJobs):
        """Jobs that get that of the upload just after the tidier has asked which are missing."""

        async def find_missing(self, job_ids: list[str]) -> list[str]:
            missing = await super().find_missing(job_ids)
            if not await self.get_many([upload.id]):
                await self.insert(new_job(id=upload.id))
                await stores.resumable_uploads.complete(upload, expires_ms=upload.expires_ms)
            return missing

    await tidy_up(Tidier(replace(stores, jobs=CompletingJobs()), settings))

    assert blobs.list_folders() == [upload.id]


@pytest.mark.parametrize("state", [UploadState.REFUSED, UploadState.REMOVED])
async def test_what_a_killed_gateway_left_of_an_ended_upload_is_an_orphan(
    tidier: Tidier, stores: FakeStores, blobs: Blobs, state: UploadState
) -> None:
    upload = await upload_part(stores, expires_in_ms=SECOND * 60)
    await stores.resumable_uploads.end(upload, state)

    await tidy_up(tidier)

    assert blobs.list_folders() == []


async def test_an_expired_upload_with_a_job_leaves_the_folder_to_the_job(
    tidier: Tidier, stores: FakeStores, jobs: FakeJobs, blobs: Blobs
) -> None:
    upload = await upload_part(stores, expires_in_ms=-SECOND, inserting_until_ms=1)
    await jobs.insert(new_job(id=upload.id))

    await tidy_up(tidier)

    assert blobs.list_folders() == [upload.id]
    assert (await stores.resumable_uploads.get(upload.id)).state is UploadState.COMPLETE


async def test_an_expired_upload_whose_job_is_being_inserted_is_left_alone(
    tidier: Tidier, stores: FakeStores, blobs: Blobs
) -> None:
    upload = await upload_part(stores, expires_in_ms=-SECOND, inserting_until_ms=now_ms() + 60 * SECOND)

    await tidy_up(tidier)

    assert blobs.list_folders() == [upload.id]


async def test_an_upload_that_ended_long_ago_is_forgotten(
    tidier: Tidier, stores: FakeStores, settings: Settings
) -> None:
    upload = await upload_part(stores, expires_in_ms=-int(settings.resumable.expires * 1000) - SECOND)

    await tidy_up(tidier)

    with pytest.raises(UploadNotFound):
        await stores.resumable_uploads.get(upload.id)
