"""A gateway below a prefix: every address in its answers begins with the prefix that its proxy has removed."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_network

import httpx
import pytest
from fastapi import FastAPI

from gateway.app import create_app
from pipeline.http_settings import HttpSettings
from pipeline.settings import Settings
from storage.documents import JobState, StageRecord, StageState
from tests.support.fakes import SHA256, FakeBroker, FakeJobs, new_job
from tests.unit.gateway.conftest import SETTINGS

PROXY, STRANGER = "10.0.0.1", "203.0.113.9"
MADE = {
    "blob": "b",
    "format": "jpeg",
    "media_type": "image/jpeg",
    "width": 1,
    "height": 1,
    "bytes": 1,
    "sha256": SHA256,
}

Ask = Callable[..., httpx.AsyncClient]


@pytest.fixture(scope="module")
def app() -> FastAPI:
    """A gateway that trusts one proxy, and is below /photos where that one names nothing else."""
    http = HttpSettings(trusted_proxies=(ip_network(PROXY),), root_path="/photos")
    return create_app(SETTINGS.model_copy(update={"http": http}))


@pytest.fixture(autouse=True)
def broker() -> FakeBroker:
    """Where the jobs go."""
    return FakeBroker()


@pytest.fixture
def behind(http: httpx.AsyncClient, app: FastAPI) -> Ask:  # noqa: ARG001  # it has set the app up
    """Return a client whose requests come from an address, with an X-Forwarded-Prefix."""

    def connect(peer: str, prefix: str | None = "/api") -> httpx.AsyncClient:
        headers = {} if prefix is None else {"X-Forwarded-Prefix": prefix}
        transport = httpx.ASGITransport(app, client=(peer, 1))
        return httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers)

    return connect


@pytest.fixture
async def job_ids(jobs: FakeJobs) -> tuple[str, str]:
    """A job with a rendition, and a dead one."""
    made = StageRecord(state=StageState.DONE, result=MADE)
    done, dead = new_job(state=JobState.DONE, stages={"small": made}), new_job(state=JobState.DEAD)
    for job in (done, dead):
        await jobs.insert(job)
    return done.id, dead.id


async def collect_addresses(client: httpx.AsyncClient, done_id: str, dead_id: str) -> list[str]:
    """Return every address that the gateway hands out, in bodies and headers."""
    answers = [
        await client.get(f"/task-status/{done_id}"),
        await client.get(f"/task-status/{done_id}/events"),
        await client.get("/jobs"),
        await client.post(f"/jobs/{dead_id}/retry"),
        await client.get("/"),
    ]
    assert not any(answer.is_error for answer in answers)
    texts = [f'{answer.text} "{answer.headers.get("location", "")}"' for answer in answers]
    texts.append(str((await client.get("/openapi.json")).json()["servers"]).replace("'", '"'))
    found = [re.findall(r'"(/[^"]*)"', text) for text in texts]
    assert all(found)
    return [address for addresses in found for address in addresses]


@pytest.mark.parametrize(
    ("peer", "prefix", "root_path"),
    [
        pytest.param(PROXY, "/api", "/api", id="a trusted proxy names it"),
        pytest.param(PROXY, "/a/b-2/c.d", "/a/b-2/c.d", id="of several segments"),
        pytest.param(PROXY, None, "/photos", id="only the settings name it"),
        pytest.param(STRANGER, "/api", "/photos", id="somebody else names it"),
        pytest.param(PROXY, "//evil.example", "/photos", id="another host"),
        pytest.param(PROXY, "https://evil.example", "/photos", id="a url"),
        pytest.param(PROXY, "/api/", "/photos", id="ends with a slash"),
        pytest.param(PROXY, '/a"b', "/photos", id="not a path"),
    ],
)
async def test_every_address_begins_with_the_prefix(
    behind: Ask, job_ids: tuple[str, str], peer: str, prefix: str | None, root_path: str
) -> None:
    async with behind(peer, prefix) as client:
        addresses = await collect_addresses(client, *job_ids)

    assert [address for address in addresses if not f"{address}/".startswith(f"{root_path}/")] == []


async def test_an_empty_prefix_of_the_proxy_is_one(behind: Ask, job_ids: tuple[str, str]) -> None:
    async with behind(PROXY, "") as client:
        answer = await client.get(f"/task-status/{job_ids[0]}")

    assert answer.json()["links"]["status"] == f"/task-status/{job_ids[0]}"


@pytest.mark.parametrize("prefix", ["/jobs", "/docs", "/livez"])
async def test_a_prefix_with_the_name_of_a_route_hides_no_route(
    behind: Ask, job_ids: tuple[str, str], prefix: str
) -> None:
    async with behind(PROXY, prefix) as client:
        answers = [await client.get(path) for path in ("/jobs", "/docs/start.js", "/livez", "/readyz", "/")]
        retried = await client.post(f"/jobs/{job_ids[1]}/retry")

    assert [answer.status_code for answer in answers[:3]] == [200] * 3
    assert answers[-1].headers["location"] == f"{prefix}/docs"
    assert retried.status_code == 202


async def test_a_prefix_opens_no_route_that_needs_a_key(settings: Settings) -> None:
    http = HttpSettings(trusted_proxies=(ip_network(PROXY),))
    keyed = create_app(settings.model_copy(update={"http": http, "api_keys": {"ann": "0" * 64}}))
    transport = httpx.ASGITransport(keyed, client=(PROXY, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        headers = {"X-Forwarded-Prefix": "/docs"}
        statuses = {path: (await client.get(path, headers=headers)).status_code for path in ("/docs", "/jobs", "/x")}

    assert statuses == {"/docs": 200, "/jobs": 401, "/x": 401}


@pytest.mark.parametrize("path", ["/upload/", "/crop/", "/grayscale/", "/resize/", "/jobs/an-id/retry/"])
async def test_no_redirect_answers_a_post(behind: Ask, path: str) -> None:
    async with behind(PROXY) as client:
        answer = await client.post(path, files={"file": ("photo.gif", b"GIF89a")})

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
