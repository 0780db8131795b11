"""Uploads whose blob is removed before their job is inserted: refused, and nothing is left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from pipeline.http_settings import AccessSettings
from pipeline.settings import Settings, SweeperSettings
from storage.blobs import Blobs
from storage.clock import DATABASE_CLOCK
from storage.documents import Job, Operation
from storage.jobs import Jobs
from storage.stores import Stores
from tests.contract.conftest import create_client, create_gateway
from tests.contract.http_helpers import CAT_PART, list_job_ids, post
from tests.contract.test_duplicates import finished
from tests.support.fakes import FORM_TYPE, RENDITIONS, FakeStores, form, part

SECONDS = 20
GRACE_SECONDS = 50
FORM = form(CAT_PART, part("format", b"png"))
END_OF_FILE = FORM.index(b'name="format"')


class FrozenJobs(Jobs):
    """Jobs of a gateway that is frozen when it is about to insert one: it goes on when the blob is an orphan."""

    async def insert(self, job: Job) -> None:
        move_clock(GRACE_SECONDS)
        await super().insert(job)


def move_clock(seconds: int) -> None:
    """Move the clock of this process, by less than counts as a step."""
    server_ns = DATABASE_CLOCK.now_ns() + seconds * 10**9
    DATABASE_CLOCK.record(server_ns, resolution_ns=0, sent_ns=time.monotonic_ns())


@pytest.fixture(params=["memory", "s3"])
def blob_stores(request: pytest.FixtureRequest, stores: Stores) -> Stores:
    """The stores, with blobs in memory or in an object store."""
    url = request.getfixturevalue("bucket_url") if request.param == "s3" else "memory:///"
    return replace(stores, blobs=Blobs.open(url))


async def body_without_blob(blobs: Blobs) -> AsyncIterator[bytes]:
    """Send the file, remove its blob as soon as it is stored, then send the rest."""
    earlier = set(blobs.list_folders())
    yield FORM[:END_OF_FILE]
    async with asyncio.timeout(SECONDS):
        while not (folders := set(blobs.list_folders()) - earlier):  # noqa: ASYNC110  # a store has no event
            await asyncio.sleep(0.01)
    for folder in folders:
        blobs.remove_folder(folder)
    yield FORM[END_OF_FILE:]


def list_filled_folders(blobs: Blobs) -> list[str]:
    """Return the folders with blobs: SeaweedFS, in S3's place here, lists emptied ones too."""
    return sorted(folder for folder in blobs.list_folders() if blobs.list_names(folder))


async def send(http: httpx.AsyncClient, blobs: Blobs) -> httpx.Response:
    headers = {"Content-Type": FORM_TYPE, "Idempotency-Key": "key"}
    return await http.post("/upload", content=body_without_blob(blobs), headers=headers)


@pytest.mark.usefixtures("redis")
async def test_an_upload_whose_blob_is_gone_is_refused_and_can_be_sent_again(
    blob_stores: Stores, settings: Settings
) -> None:
    async with create_client(create_gateway(blob_stores, settings)) as http:
        refused = await send(http, blob_stores.blobs)
        left = (await list_job_ids(), list_filled_folders(blob_stores.blobs))
        again = await post(http, CAT_PART, part("format", b"png"), key="key")

    assert (refused.status_code, refused.json()["code"]) == (503, "upload_gone")
    assert int(refused.headers["retry-after"]) >= 1
    assert left == ([], [])
    assert again.status_code == 202


@pytest.mark.usefixtures("redis")
async def test_the_copies_of_a_duplicates_results_do_not_replace_the_blob(
    blob_stores: Stores, settings: Settings
) -> None:
    access = AccessSettings(deduplicate=True)
    operation = Operation(renditions=RENDITIONS, format="png")
    earlier = await finished(blob_stores, owner=None, operation=operation)
    async with create_client(create_gateway(blob_stores, settings.model_copy(update={"access": access}))) as http:
        refused = await send(http, blob_stores.blobs)
        accepted = await post(http, CAT_PART, part("format", b"png"))

    assert (refused.status_code, refused.json()["code"]) == (503, "upload_gone")
    assert accepted.json()["deduplicated_from"] == earlier.id
    assert sorted(await list_job_ids()) == list_filled_folders(blob_stores.blobs)


@pytest.mark.usefixtures("redis")
async def test_an_upload_that_the_tidier_takes_for_an_orphan_is_refused(stores: Stores, settings: Settings) -> None:
    gateway = create_gateway(stores, settings)
    gateway.state.settings = settings.model_copy(update={"sweeper": SweeperSettings(orphan_grace=1e-6)})
    async with create_client(gateway) as http:
        refused = await post(http, CAT_PART, key="key")
        left = (await list_job_ids(), stores.blobs.list_folders())
        gateway.state.settings = settings
        again = await post(http, CAT_PART, key="key")

    assert (refused.status_code, refused.json()["code"]) == (503, "upload_gone")
    assert left == ([], [])
    assert again.status_code == 202  # no job was inserted, so the key is free


@pytest.mark.usefixtures("redis")
async def test_an_upload_whose_gateway_was_frozen_before_the_insert_is_refused(
    stores: Stores, settings: Settings
) -> None:
    sweeper = SweeperSettings(orphan_grace=GRACE_SECONDS)
    frozen = FakeStores(FrozenJobs(), stores.blobs, stores.idempotency_keys)
    gateway = create_gateway(frozen, settings.model_copy(update={"sweeper": sweeper}))
    try:
        async with create_client(gateway) as http:
            refused = await post(http, CAT_PART, key="key")
    finally:
        move_clock(-GRACE_SECONDS)

    assert (refused.status_code, refused.json()["code"]) == (503, "upload_gone")
    assert (await list_job_ids(), stores.blobs.list_folders()) == ([], [])
