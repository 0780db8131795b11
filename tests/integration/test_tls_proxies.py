"""Behind a proxy with TLS, by the recipes of DEPLOYMENT.md: client, proxy, nginx, gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count, takewhile

import httpx
import pytest

from deploy.local.stack import Stack
from tests.integration import raw_http
from tests.integration.api_helpers import freeze_process, get_status, submit_photo, wait_for_end
from tests.integration.front_servers import BODY_BYTES, Front, run_nginx
from tests.integration.lone_gateway import run_lone_gateway
from tests.integration.tls_proxies import TlsProxy, run_caddy, run_tls_nginx
from tests.support.images import photo_file

POSTS_A_MINUTE = 40
BYTES = 24_000_000
TRIES, PARALLEL = 16, 8
FOREIGN_PAGE = {"Origin": "https://evil.example"}
NUMBERS = count(1)
TRUSTED = '["127.0.0.1"]'  # the proxy; the clients have other addresses


@pytest.fixture(scope="module")
def nginx(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """Nginx before a gateway without keys, which limits rates."""
    settings = {"DARKROOM_HTTP__TRUSTED_PROXIES": TRUSTED, "DARKROOM_ACCESS__RATE_LIMIT": f"{POSTS_A_MINUTE}/minute"}
    settings["DARKROOM_BLOB_URL"] = stack.blob_folder.as_uri()
    with (
        run_lone_gateway(stack, tmp_path_factory.mktemp("gateway"), **settings) as gateway,
        run_nginx(gateway.url, tmp_path_factory.mktemp("nginx"), DARKROOM_TRUSTED_PROXIES=TRUSTED) as front,
    ):
        yield front


@pytest.fixture(scope="module", params=[run_caddy, run_tls_nginx], ids=["caddy", "nginx"])
def proxy(request: pytest.FixtureRequest, nginx: Front, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsProxy]:
    """Each proxy before nginx."""
    with request.param(nginx.url, tmp_path_factory.mktemp("proxy")) as proxy:
        yield proxy


@pytest.fixture
def api(proxy: TlsProxy) -> Iterator[httpx.Client]:
    """A client with an address that no other test has."""
    with proxy.create_client(f"127.0.1.{next(NUMBERS)}") as client:
        yield client


def test_each_client_has_a_rate_of_its_own_and_cannot_claim_another_address(proxy: TlsProxy, api: httpx.Client) -> None:
    forged = ({"X-Forwarded-For": f"198.51.100.{number}"} for number in range(2 * POSTS_A_MINUTE))
    answers = (api.post("/jobs/nope/retry", headers=headers).status_code for headers in forged)
    accepted = sum(1 for _ in takewhile(lambda status: status != 429, answers))

    with proxy.create_client("127.0.0.3") as other:
        answer = other.post("/jobs/nope/retry")

    assert accepted < 2 * POSTS_A_MINUTE
    assert answer.status_code == 404


def test_an_upload_of_24_megabytes_from_the_own_page_is_accepted(proxy: TlsProxy, api: httpx.Client) -> None:
    content = photo_file().ljust(BYTES, b"\0")

    answer = api.post("/upload", files={"file": ("a.jpg", content)}, headers={"Origin": proxy.url})

    assert answer.status_code == 202
    assert answer.headers["location"].startswith("/api/task-status/")


def test_a_refusal_comes_while_the_body_is_still_to_be_sent(proxy: TlsProxy) -> None:
    with raw_http.open_socket(proxy.url) as plain, proxy.tls.wrap_socket(plain, server_hostname="127.0.0.1") as wire:
        wire.sendall(raw_http.build_head(proxy.url, "/api/upload", Content_Length=BYTES, **FOREIGN_PAGE))
        wire.sendall(bytes(64 * 1024))
        response, body = raw_http.read_response(wire)

    assert (response.status, json.loads(body)["code"]) == (403, "cross_site")


def test_no_refusal_of_many_is_masked(api: httpx.Client) -> None:
    def post(_: int) -> str:
        answer = api.post("/upload", content=bytes(BYTES), headers=FOREIGN_PAGE | {"Content-Type": raw_http.FORM_TYPE})
        return f"{answer.status_code} {answer.json()['code']}"

    with ThreadPoolExecutor(PARALLEL) as clients:
        ends = list(clients.map(post, range(TRIES)))

    assert ends == ["403 cross_site"] * TRIES


def test_a_body_over_the_limit_is_refused_with_a_problem(api: httpx.Client) -> None:
    answer = api.post("/upload", content=bytes(BODY_BYTES + 1), headers={"Content-Type": raw_http.FORM_TYPE})

    assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_large")


def test_events_and_long_polls_are_answered_while_the_job_stands_still(stack: Stack, api: httpx.Client) -> None:
    with freeze_process(stack, "resize"):
        task_id = submit_photo(api, photo_file(90, 70))
        with api.stream("GET", f"/task-status/{task_id}/events") as stream:
            lines = (line for line in stream.iter_lines() if line.startswith("data: "))
            jobs = (json.loads(line.removeprefix("data: ")) for line in lines)
            event = next(job for job in jobs if job["stages"]["normalize"]["state"] == "done")

        polled = get_status(api, task_id, wait=1)

    assert (event["status"], polled["status"]) == ("processing", "processing")


def test_a_part_of_a_result_is_sent(api: httpx.Client) -> None:
    task_id = submit_photo(api, photo_file(80, 70))
    assert wait_for_end(api, task_id)["status"] == "done"
    whole = api.get(f"/result/{task_id}/small")

    part = api.get(f"/result/{task_id}/small", headers={"Range": "bytes=0-1"})

    assert (part.status_code, part.content) == (206, whole.content[:2])
