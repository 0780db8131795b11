"""A rendition in three formats and two densities, made by real workers."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from deploy.local.stack import Stack
from storage.documents import Job, Operation, asset_key, list_assets
from storage.stores import open_stores
from tests.integration.api_helpers import get_status, wait_for_end, wait_until
from tests.support.fakes import new_job
from tests.support.images import decode_image, encode_image, photo

FORMATS = ["avif", "webp", "jpeg"]
CARD = {"width": 120, "height": 120, "fit": "cover", "focus": "auto", "formats": FORMATS, "dpr": [1, 2]}
LOGO, DIGEST = encode_image(photo(40, 30)), "7" * 64


def submit(stack: Stack, content: bytes, renditions: dict[str, Any]) -> str:
    """Store a job that is due, for the gateway's sweeper to dispatch, and return its id."""
    operation = Operation(renditions=renditions, assets=list_assets({"logo.png": DIGEST}))
    job = new_job(operation=operation, renditions=dict.fromkeys(renditions, 1))
    asyncio.run(_insert(stack, job, content))
    return job.id


async def _insert(stack: Stack, job: Job, content: bytes) -> None:
    blob_url = stack.blob_folder.as_uri()
    async with open_stores(mongo_url=stack.mongo_url, blob_url=blob_url, timeout_ms=5000) as stores:
        stores.blobs.put(asset_key(DIGEST), LOGO)
        stores.blobs.put(job.original.blob, content)
        await stores.jobs.insert(job)


def test_every_format_and_density_is_a_result_of_its_own(client: httpx.Client, stack: Stack) -> None:
    marked = {"edge": 100, "steps": ["grayscale"], "watermark": {"image": "logo.png", "size": 0.5}}
    task_id = submit(stack, encode_image(photo(640, 480), "jpeg"), {"card": CARD, "zoom": marked, "master": 80})

    job = wait_for_end(client, task_id)

    assert job["status"] == "done"
    assert {stage["attempts"] for stage in job["stages"].values()} == {1}
    for format_ in FORMATS:
        for dpr, side in ((1, 120), (2, 240)):
            response = client.get(f"/result/{task_id}/card", params={"format": format_, "dpr": dpr}).raise_for_status()
            assert response.headers["content-type"] == f"image/{format_}"
            image = decode_image(response.content)
            assert (image.format, image.size) == (format_.upper(), (side, side))
    assert decode_image(client.get(f"/result/{task_id}/zoom").content).size == (100, 75)
    assert decode_image(client.get(f"/result/{task_id}/master").content).size == (80, 60)


def test_a_worker_that_is_killed_between_two_files_leaves_no_mixture(
    client: httpx.Client, stack: Stack, blob_folder: Path
) -> None:
    hero = {"edge": 700, "formats": ["jpeg", "png", "avif", "webp"], "dpr": [1, 2]}
    task_id = submit(stack, encode_image(photo(1600, 1200), "jpeg"), {"hero": hero})
    folder = blob_folder / task_id
    wait_until((folder / "hero.jpeg.1").exists, "the first file")

    for child in stack.children("resize"):
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    job = wait_for_end(client, task_id, seconds=90)

    assert (job["status"], job["stages"]["hero"]["attempts"]) == ("done", 2)
    names = [f"hero{dpr}.{format_}.2" for format_ in hero["formats"] for dpr in ("", "@2x")]  # type: ignore[attr-defined]
    assert sorted(file.name for file in folder.iterdir()) == sorted([*names, "original"])
    assert get_status(client, task_id)["renditions"]["hero"]["format"] == "webp"
