"""Tokens over HTTP: which routes and jobs each of them is for, and where it may stand."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message

from gateway.app import create_app
from gateway.middleware.authorization import OPEN_PATHS, Authorization
from gateway.token_routes import ROUTES
from pipeline.http_settings import HttpSettings
from pipeline.settings import Settings
from storage.blobs import Blobs
from storage.documents import Job, JobState, Kind, StageRecord, StageState
from tests.support.fakes import FORM_TYPE, OUTPUT, UNREACHABLE_URL, FakeJobs, new_job
from tests.support.properties import EXAMPLES
from tests.support.tokens import SECRETS, ZOE_SECRET, bearer, sign, upload_claims, view_claims

PAGE = "https://app.example"
KEYS = {owner: sha256(f"{owner}'s key".encode()).hexdigest() for owner in ("ada", "zoe")}
ADA_KEY = {"Authorization": "Bearer ada's key"}
TOKEN_PATHS = [
    "/task-status/hers",
    "/task-status/hers/events",
    "/result/hers",
    "/result/hers/output",
]


@pytest.fixture(scope="session")
def settings() -> Settings:
    return Settings(
        redis_url="memory://",
        result_url=UNREACHABLE_URL,
        blob_url="memory:///",
        api_keys=KEYS,
        signing_secrets=SECRETS,
        http=HttpSettings(allowed_origins=(PAGE,)),
    )


@pytest.fixture(scope="session")
def app(settings: Settings) -> FastAPI:
    """A gateway with keys and signing secrets."""
    return create_app(settings)


@pytest.fixture(autouse=True)
async def hers(jobs: FakeJobs, blobs: Blobs) -> Job:
    """A finished job that Ada's token made."""
    made = StageRecord(state=StageState.DONE, result=OUTPUT)
    job = new_job(
        Kind.CROP,
        id="hers",
        owner="ada",
        token_id="token-one",  # noqa: S106  # not a password
        state=JobState.DONE,
        stages={"transform": made},
    )
    await jobs.insert(job)
    blobs.put("hers/output.1", b"output")
    return job


@pytest.mark.parametrize("path", [*TOKEN_PATHS, "/capabilities"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_an_upload_token_reads_the_job_that_it_made(http: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await http.request(method, path, headers=bearer(upload_claims()))

    assert answer.status_code == 200


@pytest.mark.parametrize("path", TOKEN_PATHS)
@pytest.mark.parametrize(
    "claims", [upload_claims(jti="token-two"), upload_claims(sub="zoe")], ids=["another token", "another owner"]
)
async def test_a_job_of_another_token_is_unknown(http: httpx.AsyncClient, path: str, claims: dict[str, Any]) -> None:
    secret = [ZOE_SECRET] if claims["sub"] == "zoe" else []

    answer = await http.get(path, headers=bearer(claims, *secret))

    assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")


async def test_a_job_of_a_key_is_unknown_to_a_token(http: httpx.AsyncClient, jobs: FakeJobs) -> None:
    await jobs.insert(new_job(id="of-the-key", owner="ada"))

    answer = await http.get("/task-status/of-the-key", headers=bearer(upload_claims()))

    assert answer.status_code == 404


@pytest.mark.parametrize("path", TOKEN_PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_view_token_reads_its_job_by_a_header_or_by_the_query(
    http: httpx.AsyncClient, method: str, path: str
) -> None:
    token = sign(view_claims("hers"))

    by_header = await http.request(method, path, headers={"Authorization": f"Bearer {token}"})
    by_query = await http.request(method, path, params={"token": token})

    assert [by_header.status_code, by_query.status_code] == [200, 200]


async def test_a_view_token_reads_no_other_job(http: httpx.AsyncClient, jobs: FakeJobs) -> None:
    await jobs.insert(new_job(id="another", owner="ada"))

    answer = await http.get("/task-status/another", params={"token": sign(view_claims("hers"))})

    assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")


async def test_an_owner_cannot_sign_for_the_job_of_another(http: httpx.AsyncClient) -> None:
    token = sign(view_claims("hers", sub="zoe"), ZOE_SECRET)

    assert (await http.get("/result/hers", params={"token": token})).status_code == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/result/hers/output", 200),
        ("/result/hers/output.png", 200),
        ("/result/hers/other", 404),
        ("/result/hers/other.png", 404),
        ("/result/hers", 404),
        ("/task-status/hers", 404),
        ("/task-status/hers/events", 404),
    ],
)
async def test_a_token_of_a_rendition_reads_that_rendition_only(
    http: httpx.AsyncClient, path: str, status: int
) -> None:
    answer = await http.get(path, params={"token": sign(view_claims("hers/output"))})

    assert answer.status_code == status


def _all_routes(app: FastAPI) -> set[tuple[str, str]]:
    routes = iter_route_contexts(app.routes)
    return {(method, route.path or "") for route in routes for method in route.methods or ()}


@pytest.mark.parametrize("claims", [upload_claims(), view_claims("hers")], ids=["upload", "view"])
async def test_every_other_route_needs_a_key(
    http: httpx.AsyncClient, app: FastAPI, jobs: FakeJobs, claims: dict[str, Any], hers: Job
) -> None:
    allowed = ROUTES["upload" if claims["scope"] == "upload" else "read"]  # type: ignore[index]  # it is a StrEnum
    others = {(method, path) for method, path in _all_routes(app) - allowed if path not in OPEN_PATHS}
    assert ("GET", "/jobs") in others
    assert ("DELETE", "/jobs/{task_id}") in others

    names = {"rendition": "output", "name": "nothing", "preset": "default"}
    parts = names | dict.fromkeys(("task_id", "bulk_id", "webhook_id", "delivery_id"), "hers")
    tus = {"Tus-Resumable": "1.0.0"}
    statuses = {
        (method, path): (await http.request(method, path.format(**parts), headers=bearer(claims) | tus)).status_code
        for method, path in others
    }

    assert statuses == dict.fromkeys(others, 403)
    assert await jobs.get("hers") == hers


async def test_a_route_for_which_a_token_is_not_says_so(http: httpx.AsyncClient) -> None:
    answer = await http.get("/jobs", headers=bearer(upload_claims()))

    assert answer.json()["code"] == "insufficient_scope"
    assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope"'


async def test_an_unknown_path_is_no_route_for_a_token(http: httpx.AsyncClient) -> None:
    assert (await http.get("/nowhere", headers=bearer(upload_claims()))).status_code == 403


@pytest.mark.parametrize("token", ["", "abc", "a.b.c", sign(view_claims("hers"), "x" * 40)], ids=range(4))
@pytest.mark.parametrize("place", ["query", "header"])
async def test_a_wrong_token_is_refused(http: httpx.AsyncClient, token: str, place: str) -> None:
    if place == "query":
        answer = await http.get("/result/hers", params={"token": token})
    else:
        answer = await http.get("/result/hers", headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_an_expired_token_is_told_to_be_expired(http: httpx.AsyncClient) -> None:
    answer = await http.get("/result/hers", params={"token": sign(view_claims("hers", exp=1_700_000_000))})

    assert (answer.status_code, answer.json()["code"]) == (401, "token_expired")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_a_token_is_taken_from_x_api_key_too(http: httpx.AsyncClient) -> None:
    answer = await http.get("/result/hers", headers={"X-API-Key": sign(upload_claims())})

    assert answer.status_code == 200


async def test_an_upload_token_is_not_taken_from_the_query(http: httpx.AsyncClient) -> None:
    answer = await http.get("/result/hers", params={"token": sign(upload_claims())})

    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
    assert "Authorization: Bearer" in answer.json()["detail"]


@pytest.mark.parametrize("claims", [upload_claims(), view_claims("hers")], ids=["upload", "view"])
async def test_no_token_in_the_query_changes_anything(http: httpx.AsyncClient, claims: dict[str, Any]) -> None:
    answers = [
        await http.request(method, path, params={"token": sign(claims)})
        for method, path in [("POST", "/upload"), ("DELETE", "/jobs/hers"), ("POST", "/jobs/hers/retry")]
    ]

    assert [answer.status_code for answer in answers] == [401] * 3


async def test_an_api_key_is_not_taken_from_the_query(http: httpx.AsyncClient) -> None:
    assert (await http.get("/jobs", params={"token": "ada's key"})).status_code == 401


async def test_two_tokens_in_the_query_are_refused(http: httpx.AsyncClient) -> None:
    token = sign(view_claims("hers"))

    answer = await http.get(f"/result/hers?token={token}&token={token}")

    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")


async def test_a_wrong_header_is_not_saved_by_the_query(http: httpx.AsyncClient) -> None:
    params = {"token": sign(view_claims("hers"))}

    assert (await http.get("/result/hers", params=params, headers={"X-API-Key": "wrong"})).status_code == 401


async def test_a_header_of_a_proxy_does_not_hide_the_query(http: httpx.AsyncClient) -> None:
    params = {"token": sign(view_claims("hers"))}

    answer = await http.get("/result/hers", params=params, headers={"Authorization": "Basic cHJveHk6c2VjcmV0"})

    assert answer.status_code == 200


async def test_the_other_parameters_of_the_query_are_kept(http: httpx.AsyncClient) -> None:
    answer = await http.get("/task-status/hers", params={"wait": "never", "token": sign(view_claims("hers"))})

    assert answer.json()["errors"][0]["pointer"] == "/query/wait"


async def test_an_image_with_a_token_may_be_shown_on_any_page(http: httpx.AsyncClient) -> None:
    by_token = await http.get("/result/hers", params={"token": sign(view_claims("hers"))})
    by_key = await http.get("/result/hers", headers=ADA_KEY)

    policies = [answer.headers["cross-origin-resource-policy"] for answer in (by_token, by_key)]
    assert policies == ["cross-origin", "same-origin"]


@pytest.mark.parametrize("secret", [[], ["x" * 40]], ids=["valid", "forged"])
async def test_an_address_with_a_token_is_sent_to_no_other_site(http: httpx.AsyncClient, secret: list[str]) -> None:
    answer = await http.get("/result/hers", params={"token": sign(view_claims("hers"), *secret)})

    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_a_result_is_cached_by_the_browser_alone(http: httpx.AsyncClient) -> None:
    answer = await http.get("/result/hers", params={"token": sign(view_claims("hers"))})

    assert "private" in answer.headers["cache-control"]


async def test_a_body_that_is_announced_too_large_is_not_read(http: httpx.AsyncClient) -> None:
    headers = bearer(upload_claims(max_bytes=1000)) | {"Content-Length": "1000000", "Content-Type": FORM_TYPE}

    async def fail() -> Any:
        raise AssertionError("the body was read")
        yield b""

    answer = await http.post("/upload", content=fail(), headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_large")


async def test_a_token_of_a_page_reads_without_an_origin(http: httpx.AsyncClient) -> None:
    answer = await http.get("/task-status/hers", headers=bearer(upload_claims(origin=PAGE)))

    assert answer.status_code == 200


async def test_without_keys_no_token_is_looked_at(app: FastAPI, http: httpx.AsyncClient) -> None:  # noqa: ARG001
    open_app = create_app(Settings(redis_url="memory://", result_url=UNREACHABLE_URL, blob_url="memory:///"))
    open_app.state._state.update(app.state._state)
    transport = httpx.ASGITransport(open_app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answers = [
            await client.get("/task-status/hers", params={"token": "a.b.c"}),
            await client.get("/task-status/hers", headers={"Authorization": "Bearer a.b.c"}),
        ]

    assert [answer.status_code for answer in answers] == [200, 200]


@EXAMPLES
@given(text=st.text(alphabet=st.characters(max_codepoint=255), max_size=99), is_query=st.booleans())
def test_no_text_in_a_request_opens_anything(text: str, *, is_query: bool) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("the body was read")

    async def unreachable(*_: object) -> None:
        raise AssertionError(f"{text!r} came in")

    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/jobs", "headers": [], "query_string": b""}
    if is_query:
        scope["query_string"] = f"token={text}".encode("latin-1")
    else:
        scope["headers"] = [(b"authorization", f"Bearer {text}".encode("latin-1"))]
    asyncio.run(Authorization(unreachable, keys=KEYS, secrets=SECRETS)(scope, receive, send))

    assert sent[0]["status"] == 401
