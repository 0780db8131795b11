"""Health over HTTP: what is needed to take an upload, and what is not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from pymongo.errors import AutoReconnect

from pipeline.http_settings import BlobsSettings
from pipeline.settings import Settings
from storage.blobs import Blobs
from storage.documents import JobState
from tests.support.fakes import FORM_TYPE, FakeJobs, FakeQueues, FakeStores, form, part
from tests.unit.gateway.conftest import SETTINGS

FULL_DISK = {"blobs": BlobsSettings(reserve_bytes=2**62, reserve_share=0.9999)}
"""More than any disk that tests run on has free."""


@pytest.fixture
def stores(jobs: FakeJobs, blobs: Blobs, request: pytest.FixtureRequest) -> FakeStores:
    """Stores whose database is away where the test is marked so."""
    return FakeStores(jobs, blobs, ping_error=getattr(request, "param", None))


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> Settings:
    """The settings that the test is marked with."""
    return SETTINGS.model_copy(update=getattr(request, "param", {}))


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs.open((tmp_path / "blobs").as_uri())


mongo_is_away = pytest.mark.parametrize("stores", [AutoReconnect("10.0.0.7 is away")], indirect=True, ids=["away"])


async def test_a_gateway_is_ready_when_everything_answers(http: httpx.AsyncClient) -> None:
    answer = await http.get("/readyz")

    assert (answer.status_code, answer.json()["status"]) == (200, "ready")


async def test_each_dependency_is_checked(http: httpx.AsyncClient) -> None:
    checks = (await http.get("/readyz")).json()["checks"]

    assert {name: check["ok"] for name, check in checks.items()} == dict.fromkeys(
        ("mongo", "blobs", "redis", "disk"), True
    )


async def test_a_gateway_without_a_broker_takes_uploads_still(http: httpx.AsyncClient, queues: FakeQueues) -> None:
    queues.is_down = True

    answer = await http.get("/readyz")

    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")


async def test_a_full_broker_is_told_and_uploads_are_accepted(http: httpx.AsyncClient, queues: FakeQueues) -> None:
    queues.is_full = True

    answer = await http.get("/readyz")

    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["checks"]["redis"]["error"] == "full"


@pytest.mark.parametrize("settings", [FULL_DISK], indirect=True)
async def test_a_full_disk_is_told_and_the_gateway_stays_in_use(http: httpx.AsyncClient) -> None:
    answer = await http.get("/readyz")

    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["checks"]["disk"]["error"] == "full"


@pytest.mark.parametrize("settings", [FULL_DISK], indirect=True)
async def test_a_full_disk_refuses_an_upload_before_its_body_is_read(
    http: httpx.AsyncClient, jobs: FakeJobs, tmp_path: Path
) -> None:
    bodies_read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal bodies_read
        bodies_read += 1
        yield form(part("file", b"content", filename="cat.jpg"))

    answer = await http.post("/upload", content=body(), headers={"Content-Type": FORM_TYPE})

    assert (answer.status_code, answer.json()["code"]) == (503, "storage_full")
    assert answer.headers["retry-after"] == "60"
    assert bodies_read == 0
    assert not any((tmp_path / "blobs").iterdir())
    assert await jobs.count_by_state() == dict.fromkeys(JobState, 0)


@mongo_is_away
async def test_a_gateway_without_a_database_is_not_ready(http: httpx.AsyncClient) -> None:
    answer = await http.get("/readyz")

    assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")


async def test_a_gateway_that_cannot_keep_blobs_is_not_ready(http: httpx.AsyncClient, tmp_path: Path) -> None:
    (tmp_path / "blobs").rmdir()

    answer = await http.get("/readyz")

    assert (answer.status_code, answer.json()["checks"]["blobs"]["ok"]) == (503, False)


@mongo_is_away
async def test_a_gateway_that_is_not_ready_says_when_to_ask_again(http: httpx.AsyncClient) -> None:
    assert (await http.get("/readyz")).headers["retry-after"] == "5"


@mongo_is_away
async def test_a_check_tells_the_kind_of_error_alone(http: httpx.AsyncClient) -> None:
    checks = (await http.get("/readyz")).json()["checks"]

    assert checks["mongo"]["error"] == "AutoReconnect"


@mongo_is_away
async def test_a_gateway_lives_whatever_is_down(http: httpx.AsyncClient, queues: FakeQueues) -> None:
    queues.is_down = True

    assert (await http.get("/livez")).status_code == 200
