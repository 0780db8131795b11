"""A real nginx with the checked-in configuration, and the front of `./run up`: the page and the gateway behind both."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from deploy.local.frontend_server import read_page_headers
from deploy.local.stack import Stack
from tests.integration.api_helpers import freeze_process, submit_photo, upload, wait_for_end, wait_until
from tests.integration.front_servers import (
    BODY_BYTES,
    IMAGE_SETTINGS,
    Front,
    is_gateway_ready,
    run_local_front,
    run_nginx,
)
from tests.integration.raw_http import open_socket, read_response
from tests.integration.variant_files import add_variants
from tests.support.http_options import HTTP_OPTIONS
from tests.support.images import decode_image, encode_image, photo

CONNECTIONS = ("active", "reading", "writing", "waiting", "opened_total")


@pytest.fixture(scope="module")
def nginx(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """The nginx that is deployed."""
    with run_nginx(stack.url, tmp_path_factory.mktemp("nginx")) as front:
        yield front


@pytest.fixture(scope="module")
def local(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """The front of `./run up`."""
    with run_local_front(stack.url, tmp_path_factory.mktemp("front")) as front:
        yield front


@pytest.fixture(params=["nginx", "local"])
def front(request: pytest.FixtureRequest) -> Front:
    """Each of the two."""
    found: Front = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/", "text/html"),
        ("/style.css", "text/css"),
        ("/js/main.js", "text/javascript"),
        ("/client.js", "text/javascript"),
        ("/icon.svg", "image/svg+xml"),
    ],
)
def test_the_page_is_served_with_its_headers(front: Front, path: str, media_type: str) -> None:
    found = front.get(path)

    assert found.status_code == 200
    assert found.headers["content-type"].startswith(media_type)
    assert {name: found.headers.get_list(name) for name in read_page_headers()} == {
        name: [value] for name, value in read_page_headers().items()
    }
    assert len(read_page_headers()) == 7


def test_an_unchanged_file_is_not_sent_again(front: Front) -> None:
    first = front.get("/js/main.js", **{"Accept-Encoding": "identity"})

    again = front.get("/js/main.js", **{"If-None-Match": first.headers["etag"], "Accept-Encoding": "identity"})

    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    ["/../front.py", "/%2e%2e/front.py", "/js/..%2f..%2ffront.py", "/..%5cfront.py", "//etc/passwd", "/.env", "/js/"],
)
def test_nothing_outside_the_page_is_served(front: Front, path: str) -> None:
    with open_socket(front.url) as wire:
        wire.sendall(f"GET {path} HTTP/1.1\r\nHost: front\r\nConnection: close\r\n\r\n".encode())
        response, _ = read_response(wire)

    assert response.status in {400, 403, 404}


@pytest.mark.parametrize(
    "path",
    [
        *("/metrics", "/metrics/", "/%6detrics", "//metrics", "/api/metrics", "/api//api/metrics", "/metrics%3f"),
        *("/./metrics", "/x/../metrics", "/%2e/metrics", "/x/%2e%2e/metrics", "/livez%2f..%2fmetrics"),
        *("/api%2f./metrics", "/api/../metrics", "/metrics%23", "/metrics%00"),
    ],
)
def test_the_gateways_metrics_are_not_for_everybody(front: Front, path: str) -> None:
    with open_socket(front.url) as wire:  # a client would resolve the dots
        wire.sendall(f"GET /api{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        response, content = read_response(wire)

    assert response.status in {400, 404}  # nginx refuses a NUL
    assert response.headers["content-type"].startswith("application/problem+json")
    assert b"darkroom_" not in content


def test_an_upload_of_five_megabytes_goes_through(front: Front) -> None:
    content = encode_image(photo(1500, 1200), "bmp")
    assert len(content) > 5_000_000

    answer = upload(front.api, content, "photo.bmp")

    assert answer.status_code == 202
    assert wait_for_end(front.api, answer.json()["task_id"])["original"]["bytes"] == len(content)


def test_every_link_begins_with_the_prefix(front: Front) -> None:
    answer = upload(front.api, encode_image(photo(), "jpeg"))
    job = wait_for_end(front.api, answer.json()["task_id"])
    event = front.api.get(f"/task-status/{job['task_id']}/events").text
    links = [
        answer.headers["location"],
        *answer.json()["links"].values(),
        *job["links"].values(),
        *(made["url"] for made in job["renditions"].values()),
        *json.loads(event.partition("data: ")[2].partition("\n")[0])["links"].values(),
        front.api.get("/").headers["location"],
        front.api.get("/openapi.json").json()["servers"][0]["url"] + "/capabilities",
    ]

    assert len(links) == 12
    assert [link for link in links if not (link.startswith("/api/") and front.get(link).status_code == 200)] == []


def test_clients_that_put_the_prefix_before_links_still_work(front: Front) -> None:
    job = wait_for_end(front.api, submit_photo(front.api, encode_image(photo(), "jpeg")))

    assert front.api.get(job["links"]["status"]).json()["task_id"] == job["task_id"]
    assert front.api.get(job["links"]["result"]).headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/upload/", "/api/jobs/an-id/retry/"])
def test_no_redirect_answers_a_post(front: Front, path: str) -> None:
    answer = httpx.post(f"{front.url}{path}", **HTTP_OPTIONS)

    assert answer.status_code in {404, 405}
    assert answer.headers["content-type"] == "application/problem+json"


def test_only_a_request_with_a_body_ends_its_connection(nginx: Front) -> None:
    posted = upload(nginx.api, b"no image")
    seen = nginx.api.get("/capabilities")

    assert (posted.headers["connection"], seen.headers["connection"]) == ("close", "keep-alive")


HEAD = "Host: front\r\nConnection: close\r\n"
POST = f"POST /api/upload HTTP/1.1\r\n{HEAD}"


@pytest.mark.parametrize(
    ("request_head", "status", "code"),
    [
        pytest.param("hello\r\n", 400, "malformed_request", id="no request"),
        pytest.param("GET / HTTP/1.1\r\n", 400, "malformed_request", id="no host"),
        pytest.param(f"GET / HTTP/1.1\r\n{HEAD}Host: other\r\n", 400, "malformed_request", id="two hosts"),
        pytest.param(f"GET /../x HTTP/1.1\r\n{HEAD}", 400, "malformed_request", id="an address outside"),
        pytest.param(f"GET / HTTP/1.1\r\n{HEAD}X-A: b\r\n c\r\n", 400, "malformed_request", id="a folded header"),
        pytest.param(
            f"{POST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", 400, "malformed_request", id="two framings"
        ),
        pytest.param(f"{POST}Content-Length: 1\r\nContent-Length: 2\r\n", 400, "malformed_request", id="two lengths"),
        pytest.param(f"GET /nothing HTTP/1.1\r\n{HEAD}", 404, "not_found", id="no file"),
        pytest.param(f"PUT / HTTP/1.1\r\n{HEAD}", 405, "method_not_allowed", id="not a file's method"),
        pytest.param(f"TRACE /api/jobs HTTP/1.1\r\n{HEAD}", 405, "method_not_allowed", id="no method of any route"),
        pytest.param(f'GET / HTTP/1.1\r\n{HEAD}If-Match: "x"\r\n', 412, "precondition_failed", id="another version"),
        pytest.param(f"{POST}Content-Length: 99999999\r\n", 413, "upload_too_large", id="too large"),
        pytest.param(f"GET /{'x' * 9000} HTTP/1.1\r\n{HEAD}", 414, "uri_too_long", id="a long address"),
        pytest.param(f"GET / HTTP/1.1\r\n{HEAD}Range: bytes=9999999-\r\n", 416, "range_not_satisfiable", id="range"),
        pytest.param(f"GET / HTTP/1.1\r\n{HEAD}X: {'x' * 9000}\r\n", 431, "headers_too_large", id="a long header"),
        pytest.param(
            f"GET / HTTP/1.1\r\n{HEAD}" + f"X: {'x' * 900}\r\n" * 40, 431, "headers_too_large", id="many headers"
        ),
        pytest.param(f"{POST}Transfer-Encoding: gzip\r\n", 501, "not_implemented", id="a coding"),
        pytest.param(f"GET / HTTP/3.0\r\n{HEAD}", 505, "http_version_not_supported", id="a version"),
    ],
)
def test_nginxs_own_errors_are_problem_documents(nginx: Front, request_head: str, status: int, code: str) -> None:
    with open_socket(nginx.url) as wire:
        wire.sendall(f"{request_head}\r\n".encode())
        response, content = read_response(wire)
        problem = json.loads(content)

    assert (response.status, problem["status"], problem["code"]) == (status, status, code)
    assert response.headers["content-type"].startswith("application/problem+json")
    assert (problem["type"], problem["request_id"]) == (
        f"urn:darkroom:problem:{code}",
        response.headers["x-request-id"],
    )
    assert problem["detail"].endswith(".")
    assert response.headers["connection"] == "close"


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("POST", "/", 405)])
def test_the_pages_own_errors_are_problem_documents(front: Front, method: str, path: str, status: int) -> None:
    answer = httpx.request(method, f"{front.url}{path}", **HTTP_OPTIONS)

    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert "GET" in answer.headers.get("allow", "GET")


def test_an_upload_over_the_limit_is_a_problem(front: Front) -> None:
    answer = upload(front.api, bytes(BODY_BYTES + 1))

    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "upload_too_large"


def test_a_result_keeps_its_own_headers_and_is_found_unchanged(front: Front) -> None:
    task_id = submit_photo(front.api, encode_image(photo(), "jpeg"))
    wait_for_end(front.api, task_id)

    first = front.api.get(f"/result/{task_id}/small")
    again = front.api.get(f"/result/{task_id}/small", headers={"If-None-Match": first.headers["etag"]})
    part = front.api.get(f"/result/{task_id}/small", headers={"Range": "bytes=0-1"})

    assert first.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert first.headers.get_list("x-content-type-options") == ["nosniff"]
    assert first.headers.get_list("cross-origin-resource-policy") == ["same-origin"]
    assert first.headers["cache-control"] == "private, no-cache"
    assert again.status_code == 304
    assert (part.status_code, part.content) == (206, first.content[:2])


def test_events_arrive_while_the_job_stands_still(front: Front, stack: Stack) -> None:
    with freeze_process(stack, "resize"):
        task_id = submit_photo(front.api, encode_image(photo(), "jpeg"))
        with front.api.stream("GET", f"/task-status/{task_id}/events") as stream:
            lines = stream.iter_lines()
            jobs = (json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: "))

            assert next(job for job in jobs if job["stages"]["normalize"]["state"] == "done")["status"] == "processing"


def test_head_and_options_go_through(front: Front) -> None:
    plain = {"Accept-Encoding": "identity"}
    whole, head = (front.api.request(method, "/capabilities", headers=plain) for method in ("GET", "HEAD"))
    options = front.api.options("/upload")

    assert (head.status_code, head.content, head.headers.keys()) == (200, b"", whole.headers.keys())
    assert (options.status_code, options.headers["allow"]) == (204, "OPTIONS, POST")


def test_a_refusal_keeps_its_code_and_its_headers(front: Front) -> None:
    unknown = front.api.get("/task-status/01a203ae-ee7e-76cf-8d3f-5e838bb9c7f8")
    wrong = front.api.put("/upload")

    assert (unknown.status_code, unknown.json()["code"]) == (404, "job_not_found")
    assert wrong.status_code == 405
    assert wrong.headers["allow"] == "OPTIONS, POST"


def test_other_names_and_other_pages_are_refused_and_the_own_page_is_not(front: Front) -> None:
    foreign_page = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    rebound = front.api.get("/jobs", headers={"Host": "evil.example"})
    foreign, own = (
        front.api.post("/upload", files={"file": ("a.jpg", encode_image(photo(), "jpeg"))}, headers=headers)
        for headers in (foreign_page, {"Origin": front.url})
    )

    assert (rebound.status_code, rebound.json()["code"]) == (421, "host_not_allowed")
    assert (foreign.status_code, foreign.json()["code"]) == (403, "cross_site")
    assert own.status_code == 202


def test_a_gateway_that_is_away_is_a_problem_to_be_asked_again(front: Front, stack: Stack) -> None:
    stack.stop_process("gateway")
    try:
        answer = front.api.get("/capabilities")
        streams = [front.api.get(path) for path in ("/task-status/a-job/events", "/events")]
        other = front.api.get("/events/a-job")
    finally:
        stack.start_process("gateway")

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.json()["code"] == "unavailable"
    for events in streams:
        assert (events.status_code, events.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")
        assert events.text.startswith("retry: 2000\n\n")
    assert other.status_code == 503
    wait_until(lambda: is_gateway_ready(front.api), "the gateway to be found again")


def test_the_image_allows_what_the_gateway_does() -> None:
    assert int(IMAGE_SETTINGS["DARKROOM_BODY_BYTES"]) == BODY_BYTES


def test_the_runbook_is_a_page_that_runs_nothing(nginx: Front) -> None:
    found = nginx.get("/runbook")

    assert (found.status_code, found.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert 'id="frontenddown"' in found.text
    assert "default-src 'none'" in found.headers["content-security-policy"]


def test_connections_are_told_to_prometheus_on_a_port_of_their_own(nginx: Front) -> None:
    front = nginx.get("/metrics")
    answer = httpx.get(nginx.metrics_url, **HTTP_OPTIONS)

    found = {sample.name: sample.value for family in parse(answer.text) for sample in family.samples}
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert found.keys() == {f"nginx_connections_{name}" for name in CONNECTIONS}
    assert found["nginx_connections_active"] >= found["nginx_connections_writing"] >= 1  # this request's own
    assert found["nginx_connections_opened_total"] >= 2
    assert front.status_code == 404
    assert httpx.get(nginx.metrics_url.removesuffix("metrics"), **HTTP_OPTIONS).status_code == 404


def test_text_is_compressed_and_pictures_are_not(nginx: Front) -> None:
    task_id = submit_photo(nginx.api, encode_image(photo(), "jpeg"))
    wait_for_end(nginx.api, task_id)

    assert nginx.get("/style.css").headers["content-encoding"] == "gzip"
    assert nginx.api.get(f"/task-status/{task_id}").headers["content-encoding"] == "gzip"
    assert "content-encoding" not in nginx.api.get(f"/result/{task_id}").headers


def test_a_result_is_kept_for_those_without_a_key_until_its_job_is_removed(nginx: Front) -> None:
    task_id = submit_photo(nginx.api, encode_image(photo(90, 90), "jpeg"))
    wait_for_end(nginx.api, task_id)
    path = f"/result/{task_id}/small"

    def cached(**headers: str) -> str | None:
        found: str | None = nginx.api.get(path, headers=headers).raise_for_status().headers.get("x-cache")
        return found

    assert cached(Authorization="Bearer somebody") is None
    assert cached(**{"X-API-Key": "somebody"}) is None
    assert "x-cache" not in nginx.api.get(f"{path}?token=somebody").headers
    assert "x-cache" not in nginx.api.get(f"{path}?first=1&token=somebody").headers
    assert cached() == "MISS"
    wait_until(lambda: cached() == "HIT", "nginx to answer by itself")
    wait_until(lambda: cached() == "REVALIDATED", "the gateway to be asked whether it is still there")

    nginx.api.delete(f"/jobs/{task_id}").raise_for_status()

    wait_until(lambda: nginx.api.get(path).status_code == 404, "the picture to be gone")


def test_an_image_on_demand_is_made_through_nginx_and_kept_there(nginx: Front) -> None:
    task_id = submit_photo(nginx.api, encode_image(photo(90, 93), "jpeg"))
    path = f"/image/{task_id}/default/small.webp"

    first = nginx.api.get(path)

    assert (first.status_code, first.headers["content-type"], first.headers["x-cache"]) == (200, "image/webp", "MISS")
    assert decode_image(first.content).size == (90, 93)
    wait_until(lambda: nginx.api.get(path).headers["x-cache"] == "HIT", "nginx to answer by itself")
    wait_until(lambda: nginx.api.get(path).headers["x-cache"] == "REVALIDATED", "the gateway to be asked")
    assert "x-cache" not in nginx.api.get(path, headers={"Authorization": "Bearer somebody"}).headers

    nginx.api.delete(f"/jobs/{task_id}").raise_for_status()

    wait_until(lambda: nginx.api.get(path).status_code in {404, 409}, "the picture to be gone")


def test_a_result_is_kept_for_each_format_and_each_query(nginx: Front, stack: Stack) -> None:
    task_id = submit_photo(nginx.api, encode_image(photo(90, 91), "jpeg"))
    wait_for_end(nginx.api, task_id)
    add_variants(stack, task_id, "small")
    avif, webp, none = "image/avif,image/webp,*/*", "image/webp,*/*", "*/*"
    wanted = {"": avif, "?": webp, "?v=other": none, "?format=webp&format=avif": none, "?%66ormat=webp": none}
    wanted |= {"?dpr=2": avif, "@2x": webp, ".jpg": avif}
    formats = ["avif", "webp", "jpeg", "avif", "webp", "avif", "webp", "jpeg"]

    for _ in range(3):  # nginx answers by itself, or asks whether it is unchanged
        answers = [nginx.api.get(f"/result/{task_id}/small{path}", headers={"Accept": wanted[path]}) for path in wanted]

        assert [answer.headers["content-type"].removeprefix("image/") for answer in answers] == formats
        assert [decode_image(answer.content).width for answer in answers] == [160, 160, 160, 160, 160, 320, 320, 160]
    crossed = [nginx.api.get(f"/result/{task_id}/small", headers={"Accept": accept}) for accept in (none, webp, avif)]
    assert [answer.headers["content-type"] for answer in crossed] == ["image/jpeg", "image/webp", "image/avif"]
    assert {answer.headers["vary"] for answer in crossed} == {"Accept"}


def test_a_result_that_was_made_again_replaces_the_one_that_is_kept(nginx: Front, stack: Stack) -> None:
    task_id = submit_photo(nginx.api, encode_image(photo(90, 92), "jpeg"))
    wait_for_end(nginx.api, task_id)
    add_variants(stack, task_id, "small")

    def width(path: str) -> int:
        return decode_image(nginx.api.get(path, headers={"Accept": "image/avif"}).raise_for_status().content).width

    assert [width(f"/result/{task_id}/small{path}") for path in ("", "@2x", "?v=1")] == [160, 320, 160]

    add_variants(stack, task_id, "small", revision=1)

    renditions = nginx.api.get(f"/task-status/{task_id}").json()["renditions"]
    assert width(renditions["small"]["variants"][0]["url"].removeprefix("/api")) == 161
    wait_until(
        lambda: [width(f"/result/{task_id}/small{path}") for path in ("", "@2x", "?v=1")] == [161, 321, 161],
        "nginx to ask again",
    )
