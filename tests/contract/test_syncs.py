"""What is synced to the disk, and when: all that a finished job needs, and no more."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from redis import Redis

from pipeline.metrics import StageMetrics
from pipeline.settings import Settings
from pipeline.worker_child import WorkerChild, open_worker_child
from storage.blobs import Blobs
from storage.documents import Job, Kind, Original, blob_key
from storage.stores import Stores
from tests.support.fakes import RENDITIONS, new_job
from tests.support.images import encode_image, photo
from tests.support.stage_tasks import run_stages


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
def child(settings: Settings, redis: Redis, folder: Path) -> Iterator[WorkerChild]:  # noqa: ARG001
    on_disk = settings.model_copy(update={"blob_url": folder.as_uri()})
    with open_worker_child(on_disk, StageMetrics(CollectorRegistry())) as child:
        yield child


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[str]:
    """The paths that are synced, in order, without the job's id; the root is `.`. They are synced all the same."""
    paths: list[str] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        fsync(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(folder)
        paths.append("/".join(("job", *path.parts[1:])) if path.parts else ".")

    monkeypatch.setattr(os, "fsync", record)
    return paths


async def submit(child: WorkerChild, stores: Stores, **fields: object) -> Job:
    job = new_job(**fields)  # type: ignore[arg-type]
    child.blobs.put(job.original.blob, encode_image(photo(200, 150)))
    await stores.jobs.insert(job)
    return job


async def test_of_an_upload_the_renditions_and_their_names_are_synced_and_no_master(
    child: WorkerChild, stores: Stores, synced: list[str]
) -> None:
    job = await submit(child, stores)
    synced.clear()  # the folder's own name, among others: with the original

    run_stages(job)

    assert synced == [path for name in RENDITIONS for path in (f"job/{name}.1", "job")]


async def test_of_an_image_whose_folder_has_no_original_the_name_of_the_folder_is_synced_too(
    child: WorkerChild, stores: Stores, synced: list[str]
) -> None:
    parent = await submit(child, stores)
    original = Original(**dict(parent.original))
    image = await submit(child, stores, kind=Kind.IMAGE, renditions={"image": 160}, original=original)
    synced.clear()

    run_stages(image)

    assert synced == ["job/image.1", "job", "."]


def test_a_first_blob_is_synced_with_its_folder_and_the_folder_of_all(folder: Path, synced: list[str]) -> None:
    Blobs.open(folder.as_uri()).put("id/original", b"content")

    assert synced == ["job/original", "job", "."]


async def test_a_blob_that_cannot_be_synced_does_not_exist(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "the disk is broken")

    monkeypatch.setattr(os, "fsync", fail)

    with pytest.raises(OSError, match="broken"):
        async with Blobs.open(folder.as_uri()).writer("a-job/original") as file:
            await file.write(b"bytes")
    assert list((folder / "a-job").iterdir()) == []


async def test_a_blob_that_was_written_as_it_came_is_synced_with_its_folder(folder: Path, synced: list[str]) -> None:
    async with Blobs.open(folder.as_uri()).writer(blob_key("a-job", "original")) as file:
        await file.write(b"content")

    assert synced == ["job/original", "job", "."]
