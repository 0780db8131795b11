"""Odd requests to the front of `./run up`: the gateway sees them as the client sent them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from deploy.local.frontend_server import create_app
from tests.integration import raw_http
from tests.integration.front_servers import Front, run_application, run_local_front
from tests.support.http_options import HTTP_OPTIONS

HOST = b"Host: front\r\nConnection: close\r\n"
ADDED = [["x-forwarded-for", "127.0.0.1"], ["x-forwarded-prefix", "/api"]]


async def show_request(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the request: its path, query, headers and body."""
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]]
    seen = [scope["path"], scope["query_string"].decode(), headers, body.decode()]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(seen).encode()})


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """The front before an application that shows requests."""
    with run_application(show_request) as url, run_local_front(url, tmp_path_factory.mktemp("front")) as front:
        yield front


def ask(front: Front, request: bytes) -> tuple[int, Any]:
    """Send bytes, and return the status of the answer and what its JSON says."""
    with raw_http.open_socket(front.url) as wire:
        wire.sendall(request)
        response, body = raw_http.read_response(wire)
        return response.status, json.loads(body)


@pytest.mark.parametrize("method", [b"GET", b"POST"])
@pytest.mark.parametrize(
    ("line", "value"),
    [
        pytest.param(b"User-Agent: \xe9\xff", "\xe9\xff", id="bytes that are no text"),
        pytest.param("User-Agent: \N{SNOWMAN}".encode(), "\N{SNOWMAN}".encode().decode("latin-1"), id="UTF-8"),
        pytest.param(b"User-Agent: a \t", "a", id="a space at the end"),
        pytest.param(b"User-Agent: , ", ",", id="an empty list"),
        pytest.param(b"User-Agent:", "", id="nothing"),
    ],
)
def test_a_header_arrives_as_it_was_sent_and_no_other_is_added(
    front: Front, method: bytes, line: bytes, value: str
) -> None:
    status, (_, _, headers, _) = ask(front, method + b" /api/x HTTP/1.1\r\n" + HOST + line + b"\r\n\r\n")

    framing = [["transfer-encoding", "chunked"]] if method == b"POST" else []
    assert status == 200
    assert headers == [["host", "front"], ["user-agent", value], *ADDED, *framing]


def test_a_list_of_addresses_may_be_empty(front: Front) -> None:
    status, (_, _, headers, _) = ask(front, b"GET /api/x HTTP/1.1\r\n" + HOST + b"X-Forwarded-For: , \r\n\r\n")

    assert status == 200
    assert headers[1:] == [["x-forwarded-for", ","], *ADDED]


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize(
    "body", [b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
)
def test_the_body_of_a_request_that_takes_none_is_dropped(front: Front, method: bytes, body: bytes) -> None:
    with raw_http.open_socket(front.url) as wire:
        wire.sendall(method + b" /api/x HTTP/1.1\r\n" + HOST + body)

        assert wire.recv(12) == b"HTTP/1.1 200"


def test_a_request_of_http_1_0_needs_no_host(front: Front) -> None:
    assert ask(front, b"GET /api/x HTTP/1.0\r\n\r\n")[0] == 200


@pytest.mark.parametrize("method", [b"GET", b"POST"])
@pytest.mark.parametrize(
    ("address", "path", "query"),
    [
        ("/api/x%3fy", "/x?y", ""),
        ("/api/x%23y?a=%23", "/x#y", "a=%23"),
        ("/api/x%00y", "/x\0y", ""),
        ("/api/%ff/%f0%9f%98%80/%25", "/\ufffd/\U0001f600/%", ""),
        ("/api/./metrics", "/./metrics", ""),
        ("/api/x/../metrics", "/x/../metrics", ""),
        ("/api/%2e/metrics", "/./metrics", ""),
        ("/api/x/%2e%2e/metrics", "/x/../metrics", ""),
        ("/api/livez%2f..%2fmetrics", "/livez/../metrics", ""),
        ("/api/api%2f./metrics", "/./metrics", ""),
        ("/api//metrics", "//metrics", ""),
        ("/api/..", "/..", ""),
        ("/api/http://other/x", "/http://other/x", ""),
        (f"/api/{'x' * 60_000}", f"/{'x' * 60_000}", ""),
        ("/api/x?a=/../%2e&b=\"'<>[]{}|^`\\%zz?", "/x", "a=/../%2e&b=\"'<>[]{}|^`\\%zz?"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else None,
)
def test_an_address_arrives_as_it_was_sent(front: Front, method: bytes, address: str, path: str, query: str) -> None:
    status, seen = ask(front, method + f" {address} HTTP/1.1\r\n".encode() + HOST + b"\r\n")

    assert (status, seen[:2]) == (200, [path, query])


@pytest.mark.parametrize(
    "address", ["/api/metrics", "/api/%6detrics", "/%61pi/metrics", "/api%2fmetrics", "/api/api/metrics/x"]
)
def test_no_spelling_leads_to_the_metrics(front: Front, address: str) -> None:
    status, problem = ask(front, f"GET {address} HTTP/1.1\r\n".encode() + HOST + b"\r\n")

    assert (status, problem["code"]) == (404, "not_found")


@pytest.mark.parametrize("address", ["/x%0ay", "/api/x%0ay", "*"])
def test_an_address_that_no_route_takes_is_a_problem(front: Front, address: str) -> None:
    status, problem = ask(front, f"GET {address} HTTP/1.1\r\n".encode() + HOST + b"\r\n")

    assert (status, problem["code"]) == (404, "not_found")


def test_an_unexpected_error_is_a_problem_without_its_text() -> None:
    application = create_app("http://127.0.0.1:99999", {})  # no socket has this port
    with run_application(application) as url:
        answers = [httpx.request(method, f"{url}/api/jobs", **HTTP_OPTIONS) for method in ("GET", "POST")]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(500, "internal_error")] * 2
    assert not any("99999" in answer.text or "Error" in answer.json()["detail"] for answer in answers)
