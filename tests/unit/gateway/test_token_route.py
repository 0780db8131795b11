"""POST /tokens: what an API key gets, and who gets nothing."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from gateway.app import create_app
from gateway.permission import Permission, Scope
from gateway.tokens import verify_token
from pipeline.settings import Settings
from storage.clock import now_ms
from tests.support.fakes import UNREACHABLE_URL, FakeJobs, new_job
from tests.support.tokens import SECRETS

KEYS = {owner: sha256(f"{owner}'s key".encode()).hexdigest() for owner in ("ada", "zoe", "eve")}
ADA_KEY, EVE_KEY = {"X-API-Key": "ada's key"}, {"X-API-Key": "eve's key"}
LIMITS: dict[str, Any] = {
    "max_bytes": 5000,
    "formats": ["jpeg"],
    "presets": ["product"],
    "uses": 1,
    "origin": "https://app.example",
    "metadata": {"order": "4711"},
}


@pytest.fixture(scope="session")
def settings() -> Settings:
    return Settings(
        redis_url="memory://",
        result_url=UNREACHABLE_URL,
        blob_url="memory:///",
        api_keys=KEYS,
        signing_secrets=SECRETS,
        key_presets={"zoe": ("product", "icons")},
    )


@pytest.fixture(scope="session")
def app(settings: Settings) -> FastAPI:
    """A gateway with three keys, of whose owners Eve has no signing secret."""
    return create_app(settings)


async def ask(http: httpx.AsyncClient, headers: dict[str, str] = ADA_KEY, **wanted: Any) -> httpx.Response:
    return await http.post("/tokens", json=wanted, headers=headers)


def verify(answer: httpx.Response) -> Permission:
    assert answer.status_code == 201, answer.text
    return verify_token(answer.json()["token"], SECRETS, now_ms=now_ms())


async def test_a_key_makes_an_upload_token(http: httpx.AsyncClient) -> None:
    answer = await ask(http, scope="upload", seconds=60, **LIMITS)

    permission = verify(answer)
    assert (permission.owner, permission.scope) == ("ada", Scope.UPLOAD)
    assert permission.token_id == answer.json()["token_id"]
    assert (permission.max_bytes, permission.formats, permission.uses) == (5000, frozenset({"jpeg"}), 1)
    assert (permission.origin, permission.metadata) == ("https://app.example", {"order": "4711"})
    assert permission.presets == frozenset({"product"})


async def test_a_token_without_limits_has_none(http: httpx.AsyncClient) -> None:
    permission = verify(await ask(http, scope="upload"))

    limits = (permission.max_bytes, permission.formats, permission.uses, permission.origin)
    assert limits == (None, None, None, None)


async def test_a_key_that_is_limited_to_presets_makes_no_token_for_others(http: httpx.AsyncClient) -> None:
    zoe = {"X-API-Key": "zoe's key"}
    allowed, refused = [
        await ask(http, zoe, scope="upload", presets=presets) for presets in (["icons"], ["icons", "banner"])
    ]

    assert verify(allowed).presets == frozenset({"icons"})
    assert (refused.status_code, refused.json()["code"]) == (403, "preset_not_allowed")


async def test_each_upload_token_has_an_id_of_its_own(http: httpx.AsyncClient) -> None:
    answers = [await ask(http, scope="upload") for _ in range(2)]

    assert answers[0].json()["token_id"] != answers[1].json()["token_id"]


async def test_a_token_continues_an_earlier_one_under_its_id(http: httpx.AsyncClient) -> None:
    answer = await ask(http, scope="upload", token_id="session-one")  # noqa: S106  # an id is no secret

    assert (verify(answer).token_id, answer.json()["token_id"]) == ("session-one", "session-one")


@pytest.mark.parametrize("rendition", [None, "small"])
async def test_a_key_makes_a_view_token_of_its_own_job(
    http: httpx.AsyncClient, jobs: FakeJobs, rendition: str | None
) -> None:
    await jobs.insert(job := new_job(owner="ada"))

    permission = verify(await ask(http, scope="read", task_id=job.id, rendition=rendition))

    assert (permission.scope, permission.task_id, permission.rendition) == (Scope.READ, job.id, rendition)


async def test_a_token_that_is_made_opens_its_job(http: httpx.AsyncClient, jobs: FakeJobs) -> None:
    await jobs.insert(job := new_job(owner="ada"))

    token = (await ask(http, scope="read", task_id=job.id)).json()["token"]

    assert (await http.get(f"/task-status/{job.id}", params={"token": token})).status_code == 200


@pytest.mark.parametrize("owner", ["zoe", None])
async def test_a_job_of_another_owner_is_unknown(http: httpx.AsyncClient, jobs: FakeJobs, owner: str | None) -> None:
    await jobs.insert(job := new_job(owner=owner))

    answer = await ask(http, scope="read", task_id=job.id)

    assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")


async def test_a_rendition_that_the_job_has_not_is_unknown(http: httpx.AsyncClient, jobs: FakeJobs) -> None:
    await jobs.insert(job := new_job(owner="ada"))

    answer = await ask(http, scope="read", task_id=job.id, rendition="huge")

    assert (answer.status_code, answer.json()["code"]) == (404, "rendition_not_found")


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"scope": "all"},
        {"scope": "read"},
        {"scope": "upload", "task_id": "a-job"},
        {"scope": "upload", "rendition": "small"},
        {"scope": "read", "task_id": "a-job", "uses": 1},
        {"scope": "read", "task_id": "a-job", "metadata": {"a": "b"}},
        {"scope": "read", "task_id": "../a-job"},
        {"scope": "upload", "seconds": 86_401},
        {"scope": "upload", "seconds": 0},
        {"scope": "upload", "seconds": "60"},
        {"scope": "upload", "uses": 1001},
        {"scope": "upload", "formats": ["exe"]},
        {"scope": "upload", "origin": "https://app.example/path"},
        {"scope": "upload", "max_byte": 1},
        {"scope": "upload", "sub": "zoe"},
        {"scope": "upload", "preset": "avatar"},
        {"scope": "upload", "presets": ["Avatar"]},
        {"scope": "upload", "presets": []},
    ],
    ids=str,
)
async def test_what_no_token_may_say_is_refused(http: httpx.AsyncClient, wanted: dict[str, Any]) -> None:
    answer = await ask(http, **wanted)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"scope": "upload", "seconds": NaN}', b"[" * 60_000, b"\xff"])
async def test_a_body_that_is_no_request_is_refused(http: httpx.AsyncClient, body: bytes) -> None:
    answer = await http.post("/tokens", content=body, headers=ADA_KEY | {"Content-Type": "application/json"})

    assert answer.status_code in {400, 422}


@pytest.mark.parametrize("is_announced", [True, False])
async def test_a_large_body_is_not_read_to_its_end(http: httpx.AsyncClient, *, is_announced: bool) -> None:
    async def stream() -> Any:
        for _ in range(40):
            yield b" " * 4000

    content = b" " * 160_000 if is_announced else stream()
    answer = await http.post("/tokens", content=content, headers=ADA_KEY | {"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_large")


async def test_an_owner_without_a_secret_is_told_the_setting(http: httpx.AsyncClient) -> None:
    answer = await ask(http, EVE_KEY, scope="upload")

    assert (answer.status_code, answer.json()["code"]) == (409, "no_signing_secret")
    assert "DARKROOM_SIGNING_SECRETS" in answer.json()["detail"]


async def test_a_token_makes_no_tokens(http: httpx.AsyncClient) -> None:
    token = (await ask(http, scope="upload")).json()["token"]

    answer = await ask(http, {"Authorization": f"Bearer {token}"}, scope="upload")

    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")


async def test_a_new_token_is_not_cached(http: httpx.AsyncClient) -> None:
    assert (await ask(http, scope="upload")).headers["cache-control"] == "no-store"
