"""CORS: which pages of other origins may send requests, and that each answer tells their browser so."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import httpx
import pytest
from structlog.typing import EventDict

from gateway.app import create_app
from gateway.middleware.cors import ANSWER_HEADERS, REQUEST_HEADERS
from pipeline.http_settings import AccessSettings, CorsSettings, HttpSettings
from pipeline.settings import Settings
from stages.limits import Limits
from tests.support.fakes import SHA256, FakeStores
from tests.unit.gateway.conftest import SETTINGS

ALLOWED, OTHER = "https://app.example", "https://evil.example"
CORS = SETTINGS.model_copy(update={"cors": CorsSettings(origins=(ALLOWED, "http://localhost:5173"))})
LIKE_ALLOWED = [
    OTHER,
    "null",
    "http://app.example",
    "https://app.example:8443",
    "https://app.example.evil.example",
    "https://evil.example/https://app.example",
    "https://sub.app.example",
    "HTTPS://APP.EXAMPLE",
    f"{ALLOWED}, {OTHER}",
]


def build_client(settings: Settings, stores: FakeStores | None = None) -> httpx.AsyncClient:
    app = create_app(settings)
    app.state.settings, app.state.stores = settings, stores
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


CLIENT = build_client(CORS)


def ask(method: str, *headers: str) -> dict[str, str]:
    """Return the headers of a preflight, without its origin."""
    names = {"Access-Control-Request-Headers": ",".join(headers).lower()} if headers else {}
    return {"Access-Control-Request-Method": method, **names}


@pytest.mark.parametrize("origin", [ALLOWED, "http://localhost:5173"])
@pytest.mark.parametrize("path", ["/upload", "/files", "/jobs/any", "/task-status/any/events", "/nowhere"])
async def test_a_preflight_of_an_allowed_page_is_answered(path: str, origin: str) -> None:
    headers = {"Origin": origin, **ask("POST", *REQUEST_HEADERS)}

    answer = await CLIENT.options(path, headers=headers)

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["access-control-max-age"] == "7200"
    assert "access-control-allow-credentials" not in answer.headers
    assert answer.headers["x-request-id"]


async def test_a_preflight_needs_no_key() -> None:
    client = build_client(CORS.model_copy(update={"api_keys": {"ann": SHA256}}))

    answers = [
        await client.options("/upload", headers={"Origin": ALLOWED, **ask("POST", "authorization")}),
        await client.post("/upload", headers={"Origin": ALLOWED}),
    ]

    assert [answer.status_code for answer in answers] == [200, 401]


async def test_a_preflight_from_the_internet_to_a_private_network_is_answered() -> None:
    headers = {"Origin": ALLOWED, **ask("POST"), "Access-Control-Request-Private-Network": "true"}

    answer = await CLIENT.options("/upload", headers=headers)

    assert answer.headers["access-control-allow-private-network"] == "true"


@pytest.mark.parametrize("origin", LIKE_ALLOWED)
async def test_a_preflight_of_another_page_is_refused(origin: str, logs: list[EventDict]) -> None:
    answer = await CLIENT.options("/upload", headers={"Origin": origin, **ask("POST")})

    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
    assert "DARKROOM_CORS__ORIGINS" in answer.json()["detail"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert "access-control-allow-origin" not in answer.headers
    assert "Origin" in answer.headers["vary"]
    assert [(line["method"], line["status"], line["code"]) for line in logs] == [("OPTIONS", 403, "cross_site")]


@pytest.mark.parametrize(
    ("question", "named"), [(ask("PUT"), "PATCH"), (ask("POST", "authorization", "x-evil"), "Idempotency-Key")]
)
async def test_a_refused_preflight_names_what_an_allowed_page_may_send(question: dict[str, str], named: str) -> None:
    answer = await CLIENT.options("/upload", headers={"Origin": ALLOWED, **question})

    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
    assert named in answer.json()["detail"]


@pytest.mark.parametrize("origin", [ALLOWED, None, *LIKE_ALLOWED])
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/livez", 200), ("HEAD", "/livez", 200), ("GET", "/nowhere", 404), ("PUT", "/livez", 405)],
)
async def test_an_answer_says_whether_the_page_may_read_it(
    method: str, path: str, status: int, origin: str | None
) -> None:
    answer = await CLIENT.request(method, path, headers={"Origin": origin} if origin else {})

    is_refused = method == "PUT" and origin not in (ALLOWED, None)
    assert answer.status_code == (403 if is_refused else status)
    assert answer.headers.get("access-control-allow-origin") == (ALLOWED if origin == ALLOWED else None)
    assert "Origin" in answer.headers["vary"]


async def test_an_allowed_page_may_read_the_headers_that_the_gateway_sends() -> None:
    answer = await CLIENT.get("/livez", headers={"Origin": ALLOWED})

    assert answer.headers["access-control-expose-headers"].split(", ") == list(ANSWER_HEADERS)


def without_tus(headers: Iterable[str]) -> set[str]:
    return {name for name in headers if not name.startswith(("Tus-", "Upload-", "X-HTTP-Method-Override"))}


def test_the_guide_lists_the_headers_that_pages_may_send_and_read() -> None:
    guide = Path("deploy/docs/BROWSER.md").read_text(encoding="utf-8")
    api = Path("deploy/docs/API.md").read_text(encoding="utf-8").partition("## Headers")[2].partition("## ")[0]
    sent, read = guide.partition("Headers that a page may send:")[2].split("Headers that a page may read:")
    sent_names, read_names, api_names = (
        set(re.findall(r"`([A-Za-z-]+)", text)) for text in (sent, read.partition("\n- ")[0], api)
    )

    assert sent_names <= without_tus(REQUEST_HEADERS) <= sent_names | api_names
    assert read_names == without_tus(ANSWER_HEADERS)


REFUSALS = {
    421: (build_client(CORS), {"Host": "evil.example"}),
    401: (build_client(CORS.model_copy(update={"api_keys": {"ann": SHA256}})), {}),
    413: (build_client(CORS.model_copy(update={"limits": Limits(upload_bytes=1)})), {"Content-Length": "9000000"}),
    500: (CLIENT, {}),  # its lifespan has not run: it has no backlog
}


@pytest.mark.parametrize("status", REFUSALS)
async def test_a_page_may_read_why_its_request_failed(status: int) -> None:
    client, headers = REFUSALS[status]

    answer = await client.post("/upload", headers={"Origin": ALLOWED, **headers})

    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.headers["access-control-allow-origin"] == ALLOWED
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


async def test_a_page_may_read_that_it_sends_too_often() -> None:
    limited = build_client(CORS.model_copy(update={"access": AccessSettings(rate_limit="1/hour")}))

    answers = [await limited.post("/nowhere", headers={"Origin": ALLOWED}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [404, 429]
    assert answers[1].headers["access-control-allow-origin"] == ALLOWED


async def test_an_unexpected_error_is_logged_once(logs: list[EventDict]) -> None:
    await CLIENT.post("/upload")

    assert [line["event"] for line in logs] == ["request.broken", "request.served"]


@pytest.mark.parametrize("origin", [ALLOWED, "https://old.example"])
async def test_pages_of_both_settings_may_change_things(origin: str) -> None:
    client = build_client(CORS.model_copy(update={"http": HttpSettings(allowed_origins=("https://old.example",))}))

    answer = await client.post("/nowhere", headers={"Sec-Fetch-Site": "cross-site", "Origin": origin})

    assert answer.status_code == 404
    assert ("access-control-allow-origin" in answer.headers) == (origin == ALLOWED)


async def test_without_origins_no_answer_mentions_any() -> None:
    client = build_client(SETTINGS)
    preflight = {"Origin": ALLOWED, **ask("POST")}

    answers = [await client.options("/upload", headers=preflight), await client.get("/livez", headers=preflight)]

    assert [answer.status_code for answer in answers] == [204, 200]
    names = {name for answer in answers for name in answer.headers}
    assert not {name for name in names if name.startswith("access-control") or name == "vary"}
