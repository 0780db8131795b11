"""The limits of a job are those in force when it was accepted: a worker with lower ones does not refuse it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry
from redis import Redis

from pipeline import tasks
from pipeline.metrics import StageMetrics
from pipeline.outbound_settings import OutboundSettings
from pipeline.settings import Settings
from pipeline.worker_child import open_worker_child
from stages.errors import ImageTooLarge
from stages.limits import Limits
from storage.blobs import Blobs
from storage.documents import JobState
from storage.stores import Stores
from tests.contract.conftest import UPLOAD_BYTES, create_client, create_gateway
from tests.contract.http_helpers import get_accepted_job, post
from tests.support.fakes import part
from tests.support.image_server import Scripted, run_scripted_server
from tests.support.images import animation, photo_file
from tests.support.stage_tasks import run_stages, run_task

PHOTO = photo_file(300, 200)
GIF = animation("gif", frames=3)
LOW = Limits(upload_bytes=100, pixels=100, animation_pixels=100, frames=2, side=10)
LOW_FOR_PIXELS = replace(LOW, upload_bytes=UPLOAD_BYTES)


@pytest.fixture
def accepting(settings: Settings, tmp_path: Path) -> Settings:
    """Settings of a gateway, with a folder for its blobs."""
    outbound = OutboundSettings(allow=("127.0.0.0/8:*",))
    return settings.model_copy(update={"blob_url": (tmp_path / "blobs").as_uri(), "outbound": outbound})


@pytest.fixture
def kept(stores: Stores, accepting: Settings, redis: Redis) -> Stores:  # noqa: ARG001
    """The stores of that gateway."""
    return replace(stores, blobs=Blobs.open(accepting.blob_url))


@pytest.fixture
async def client(kept: Stores, accepting: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with create_client(create_gateway(kept, accepting)) as client:
        yield client


def with_limits(settings: Settings, limits: Limits) -> Settings:
    return settings.model_copy(update={"limits": limits})


@contextmanager
def run_worker(settings: Settings, limits: Limits) -> Iterator[None]:
    """Be a worker with these limits."""
    with open_worker_child(with_limits(settings, limits), StageMetrics(CollectorRegistry())):
        yield


@pytest.mark.parametrize(
    "parts",
    [
        [part("file", PHOTO, filename="a.jpg")],
        [part("file", GIF, filename="a.gif"), part("animated", b"true")],
    ],
    ids=["still", "animation"],
)
async def test_a_lowered_limit_refuses_no_job_that_was_accepted_before(
    client: httpx.AsyncClient, kept: Stores, accepting: Settings, parts: list[bytes]
) -> None:
    job = await get_accepted_job(kept, await post(client, *parts))

    with run_worker(accepting, LOW):
        run_stages(job)

    assert (await kept.jobs.get(job.id)).state is JobState.DONE


async def test_a_lowered_limit_refuses_no_operation_that_was_accepted_before(
    client: httpx.AsyncClient, kept: Stores, accepting: Settings
) -> None:
    job = await get_accepted_job(kept, await post(client, part("file", PHOTO, filename="a.jpg"), path="/grayscale"))

    with run_worker(accepting, LOW):
        for task in (tasks.validate, tasks.transform, tasks.finalize):
            run_task(task, job.id)

    assert (await kept.jobs.get(job.id)).state is JobState.DONE


async def test_a_lowered_limit_refuses_no_import_that_was_accepted_before(
    client: httpx.AsyncClient, kept: Stores, accepting: Settings
) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(run_scripted_server())
        url = server.script("/a.jpg", Scripted(PHOTO))
        job = await get_accepted_job(kept, await post(client, part("source_url", url.encode())))

        stack.enter_context(run_worker(accepting, LOW))
        run_task(tasks.fetch, job.id)
        run_stages(job)

    assert (await kept.jobs.get(job.id)).state is JobState.DONE


async def test_a_raised_limit_counts_for_jobs_that_were_accepted_before(kept: Stores, accepting: Settings) -> None:
    async with create_client(create_gateway(kept, with_limits(accepting, LOW_FOR_PIXELS))) as low:
        job = await get_accepted_job(kept, await post(low, part("file", PHOTO, filename="a.jpg")))

    with run_worker(accepting, Limits()):
        run_stages(job)

    assert (await kept.jobs.get(job.id)).state is JobState.DONE


@pytest.mark.parametrize("action", ["retry", "reprocess"])
async def test_a_job_that_is_run_again_has_the_limits_of_that_moment_if_they_are_higher(
    client: httpx.AsyncClient, kept: Stores, accepting: Settings, action: str
) -> None:
    async with create_client(create_gateway(kept, with_limits(accepting, LOW_FOR_PIXELS))) as low:
        job = await get_accepted_job(kept, await post(low, part("file", PHOTO, filename="a.jpg")))
    with run_worker(accepting, LOW), pytest.raises(ImageTooLarge):
        run_task(tasks.validate, job.id)

    answer = await client.post(f"/jobs/{job.id}/{action}")

    assert answer.status_code == 202
    assert (await kept.jobs.get(job.id)).limits == asdict(accepting.limits)
