"""API keys: who comes in, as whom, and where the door is open."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from gateway.middleware.authorization import OPEN_PATHS, Authorization

ADA_KEY, ZOE_KEY = "ada's key", "zoe's key"
NOTHING: dict[str, str] = {}
KEYS = {"ada": sha256(ADA_KEY.encode()).hexdigest(), "zoe": sha256(ZOE_KEY.encode()).hexdigest()}


class Inside:
    """An application that notes who came in, and what those saw who did not."""

    def __init__(self) -> None:
        self.owners: list[str | None] = []
        self.read = 0
        self.sent: list[Message] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        permission = scope.get("state", {}).get("permission")
        self.owners.append("not told" if permission is None else permission.owner)

    async def asked(
        self,
        headers: Mapping[str, str] = NOTHING,
        *,
        keys: Mapping[str, str] = KEYS,
        path: str = "/jobs",
        kind: str = "http",
        method: str = "GET",
    ) -> None:
        """Ask it, through the door, with these headers."""

        async def receive() -> Message:
            self.read += 1
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            self.sent.append(message)

        given = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        scope: dict[str, Any] = {"type": kind, "method": method, "path": path, "headers": given}
        await Authorization(self, keys=keys)(scope, receive, send)

    @property
    def status(self) -> int:
        status: int = self.sent[0]["status"]
        return status

    @property
    def problem(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.sent[1]["body"])
        return body


@pytest.fixture
def inside() -> Inside:
    return Inside()


@pytest.mark.parametrize(("key", "owner"), [(ADA_KEY, "ada"), (ZOE_KEY, "zoe")])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_a_bearer_of_a_key_comes_in_as_its_owner(inside: Inside, scheme: str, key: str, owner: str) -> None:
    await inside.asked({"authorization": f"{scheme} {key}"})

    assert inside.owners == [owner]


@pytest.mark.parametrize(("key", "owner"), [(ADA_KEY, "ada"), (ZOE_KEY, "zoe")])
async def test_a_key_in_a_header_of_its_own_will_do(inside: Inside, key: str, owner: str) -> None:
    await inside.asked({"x-api-key": key})

    assert inside.owners == [owner]


async def test_a_key_comes_in_beside_another_scheme(inside: Inside) -> None:
    await inside.asked({"authorization": "Basic cHJveHk6c2VjcmV0", "x-api-key": ADA_KEY})

    assert inside.owners == ["ada"]


NOT_ENOUGH = pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": "Bearer wrong"},
        {"authorization": f"Bearer {ADA_KEY}x"},
        {"authorization": f"Bearer {ADA_KEY[:-1]}"},
        {"authorization": f"Basic {ADA_KEY}"},
        {"authorization": ADA_KEY},
        {"authorization": "Bearer wrong", "x-api-key": ADA_KEY},
        {"authorization": f"Bearer {KEYS['ada']}"},
        {"x-api-key": ""},
        {"x-api-key": "wrong"},
        {"x-api-key": KEYS["ada"]},
        {"x-api-key": "ada"},
        {"x-api-key": "schlüssel"},
    ],
    ids=str,
)


@NOT_ENOUGH
async def test_without_a_key_nobody_comes_in(inside: Inside, headers: dict[str, str]) -> None:
    await inside.asked(headers)

    assert inside.owners == []


@NOT_ENOUGH
async def test_those_without_a_key_are_told_so(inside: Inside, headers: dict[str, str]) -> None:
    await inside.asked(headers)

    assert (inside.status, inside.problem["code"]) == (401, "unauthorized")


async def test_those_without_a_key_are_told_how_to_show_one(inside: Inside) -> None:
    await inside.asked()

    assert (b"www-authenticate", b"Bearer") in inside.sent[0]["headers"]


async def test_of_those_without_a_key_no_body_is_read(inside: Inside) -> None:
    await inside.asked(method="POST", path="/upload")

    assert inside.read == 0


async def test_a_wrong_key_is_not_told_back(inside: Inside) -> None:
    await inside.asked({"authorization": "Bearer hunter2"})

    assert "hunter2" not in json.dumps(inside.problem)


@pytest.mark.parametrize("path", sorted(OPEN_PATHS))
async def test_a_probe_needs_no_key(inside: Inside, path: str) -> None:
    await inside.asked(path=path)

    assert inside.owners == [None]


def test_probes_scrapes_docs_the_browser_client_and_a_schema_are_all_that_needs_no_key() -> None:
    docs = {"/", "/docs", "/openapi.json"}
    files = {"/docs/start.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/docs/favicon-32x32.png"}

    public = {"/client.js", "/client.d.ts", "/schemas/preset.json"}

    assert {"/livez", "/readyz", "/metrics"} | public | docs | files == OPEN_PATHS


@pytest.mark.parametrize(
    "path",
    ["/livez/", "/livez/jobs", "/jobs/livez", "//livez", "/LIVEZ", "/metrics/", "/docs/", "/docs/../jobs", "//"],
)
async def test_what_looks_like_a_probe_needs_a_key(inside: Inside, path: str) -> None:
    await inside.asked(path=path)

    assert (inside.owners, inside.status) == ([], 401)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "OPTIONS"])
async def test_every_method_needs_a_key(inside: Inside, method: str) -> None:
    await inside.asked(method=method)

    assert (inside.owners, inside.status) == ([], 401)


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer whatever"}, {"x-api-key": ADA_KEY}], ids=str)
async def test_where_no_keys_are_set_everybody_comes_in_as_nobody(inside: Inside, headers: dict[str, str]) -> None:
    await inside.asked(headers, keys={})

    assert inside.owners == [None]


async def test_a_key_that_was_set_as_itself_and_not_as_its_hash_opens_nothing(inside: Inside) -> None:
    await inside.asked({"authorization": f"Bearer {ADA_KEY}"}, keys={"ada": ADA_KEY})

    assert inside.owners == []


def test_a_key_is_kept_as_its_hash_alone() -> None:
    assert ADA_KEY not in repr(vars(Authorization(Inside(), keys=KEYS)))


async def test_each_request_is_asked_on_its_own(inside: Inside) -> None:
    await inside.asked({"x-api-key": ADA_KEY})
    await inside.asked()

    assert inside.owners == ["ada"]


async def test_what_is_no_request_is_passed_on(inside: Inside) -> None:
    await inside.asked(kind="lifespan")

    assert inside.owners == ["not told"]
