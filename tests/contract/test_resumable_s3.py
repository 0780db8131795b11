"""A resumable upload in an object store: parts of any size, and one original of many megabytes."""

from __future__ import annotations

from dataclasses import replace

from redis import Redis

from pipeline.settings import Settings
from stages.limits import Limits
from storage.blobs import Blobs
from storage.documents import blob_key
from storage.stores import Stores
from tests.contract.conftest import create_client, create_gateway
from tests.contract.http_helpers import list_job_ids
from tests.contract.tus_helpers import create_upload, patch

MEBIBYTE = 2**20
SOURCE = b"\xff\xd8\xff\xe0" + bytes(range(253)) * (17 * MEBIBYTE // 253)


async def test_an_upload_goes_through_an_object_store_from_two_gateways(
    stores: Stores,
    settings: Settings,
    redis: Redis,  # noqa: ARG001
    bucket_url: str,
) -> None:
    remote = replace(stores, blobs=Blobs.open(bucket_url))
    large = settings.model_copy(update={"limits": Limits()})
    cuts = [0, 1, MEBIBYTE, 13 * MEBIBYTE, len(SOURCE)]
    async with (
        create_client(create_gateway(remote, large)) as one,
        create_client(create_gateway(remote, large)) as other,
    ):
        path = await create_upload(one, len(SOURCE))

        for start, stop, http in zip(cuts[:-1], cuts[1:], (one, other) * 2, strict=True):
            last = await patch(http, path, SOURCE[start:stop], start)
            assert (last.status_code, last.headers["upload-offset"]) == (204, str(stop))

    job = await remote.jobs.get(last.headers["task-id"])
    assert await list_job_ids() == [job.id]
    assert remote.blobs.get(job.original.blob) == SOURCE
    assert [blob_key(job.id, name) for name in remote.blobs.list_names(job.id)] == [job.original.blob]
