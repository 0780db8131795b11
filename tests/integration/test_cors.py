"""Pages of other origins, by hand: what is refused before its body is read, and what the fronts let through."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path

import httpx
import pytest

from deploy.local.stack import Stack
from tests.integration.front_servers import BODY_BYTES, Front, run_local_front, run_nginx
from tests.integration.lone_gateway import LoneGateway, run_lone_gateway
from tests.integration.raw_http import build_head, form, open_socket, part, read_response
from tests.support.http_options import HTTP_OPTIONS
from tests.support.images import encode_image, photo

PAGE, OTHER = "https://app.example", "https://evil.example"
ORIGINS = json.dumps([PAGE, "http://[::1]:5173", f"https://{'long-' * 11}name.example"])
FORM = form(part("file", encode_image(photo(400, 300), "jpeg"), b"photo.jpg"))
PREFLIGHT = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "upload-offset,tus-resumable"}


@pytest.fixture(scope="module")
def gateway(redis_and_mongo: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoneGateway]:
    with run_lone_gateway(
        redis_and_mongo, tmp_path_factory.mktemp("gateway"), DARKROOM_CORS__ORIGINS=ORIGINS
    ) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def nginx(gateway: LoneGateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with run_nginx(gateway.url, tmp_path_factory.mktemp("nginx"), DARKROOM_CORS__ORIGINS=ORIGINS) as front:
        yield front


@pytest.fixture(scope="module")
def local(gateway: LoneGateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with run_local_front(gateway.url, tmp_path_factory.mktemp("front"), DARKROOM_CORS__ORIGINS=ORIGINS) as front:
        yield front


@pytest.fixture(params=["nginx", "local"])
def front(request: pytest.FixtureRequest) -> Front:
    """The nginx that is deployed, and the front of `./run up`."""
    found: Front = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("origin", [OTHER, "null"])
def test_an_upload_of_another_page_is_refused_before_its_end_and_leaves_nothing(
    gateway: LoneGateway, origin: str
) -> None:
    before = count_jobs(gateway)
    with open_socket(gateway.url) as wire:
        wire.sendall(build_head(gateway.url, "/upload", Content_Length=len(FORM), Origin=origin) + FORM[:2000])
        refused, problem = read_response(wire)

    assert (refused.status, json.loads(problem)["code"]) == (403, "cross_site")
    assert refused.headers["access-control-allow-origin"] is None
    assert count_jobs(gateway) == before
    assert not list(gateway.blob_folder.rglob("*"))


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_no_front_waits_for_the_end_of_a_body_that_is_refused(front: Front, method: str) -> None:
    head = build_head(front.url, "/api/files/an-upload", Content_Length=len(FORM), Origin=OTHER)
    with open_socket(front.url) as wire:
        wire.sendall(head.replace(b"POST", method.encode(), 1) + FORM[:2000])
        refused, problem = read_response(wire)

    assert (refused.status, json.loads(problem)["code"]) == (403, "cross_site")


def count_jobs(gateway: LoneGateway) -> int:
    return len(httpx.get(f"{gateway.url}/jobs", params={"limit": 100}, **HTTP_OPTIONS).json()["jobs"])


@pytest.mark.parametrize("path", ["/upload", "/files", "/files/", "/files/an-upload", "/result/a-job"])
def test_a_preflight_goes_through_the_fronts(front: Front, path: str) -> None:
    allowed, refused = (front.api.options(path, headers={"Origin": origin, **PREFLIGHT}) for origin in (PAGE, OTHER))

    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, PAGE)
    assert (refused.status_code, refused.json()["code"]) == (403, "cross_site")
    assert "access-control-allow-origin" not in refused.headers


@pytest.mark.parametrize("path", ["/files", "/files/"])
def test_a_page_creates_a_resumable_upload_behind_the_fronts(front: Front, path: str) -> None:
    headers = {"Origin": PAGE, "Tus-Resumable": "1.0.0", "Upload-Length": "1000"}

    created = front.api.post(path, headers=headers)

    assert (created.status_code, created.headers["access-control-allow-origin"]) == (201, PAGE)
    assert created.headers["location"].startswith("/files/0")  # this gateway trusts no proxy


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PATCH", "DELETE"])
def test_an_answer_has_the_headers_once_behind_the_fronts(front: Front, method: str) -> None:
    answer = front.api.request(method, "/files/an-upload", headers={"Origin": PAGE, "Tus-Resumable": "1.0.0"})

    assert answer.is_client_error
    assert answer.headers.get_list("access-control-allow-origin") == [PAGE]
    assert "X-Request-ID" in answer.headers["access-control-expose-headers"]
    assert [name for value in answer.headers.get_list("vary") for name in value.split(", ")].count("Origin") == 1


@pytest.mark.parametrize("origin", [PAGE, "http://[::1]:5173"])
def test_a_page_may_read_that_its_upload_is_too_large_for_a_front(front: Front, origin: str) -> None:
    refused, problem = post_too_much(front, origin)

    assert (refused.status, json.loads(problem)["code"]) == (413, "upload_too_large")
    assert refused.headers["access-control-allow-origin"] == origin
    assert "X-Request-ID" in refused.headers["access-control-expose-headers"]
    assert "Origin" in refused.headers["vary"]


def test_another_page_may_not_read_the_errors_of_the_fronts_own(front: Front) -> None:
    refused, _ = post_too_much(front, OTHER)

    assert refused.status == 413
    assert "access-control-allow-origin" not in refused.headers
    assert "Origin" in refused.headers["vary"]


def post_too_much(front: Front, origin: str) -> tuple[HTTPResponse, bytes]:
    with open_socket(front.url) as wire:
        wire.sendall(build_head(front.url, "/api/upload", Content_Length=BODY_BYTES + 1, Origin=origin))
        return read_response(wire)


def test_a_page_may_read_that_the_gateway_is_away(redis_and_mongo: Stack, tmp_path: Path) -> None:
    (tmp_path / "gateway").mkdir()
    with (
        run_lone_gateway(redis_and_mongo, tmp_path / "gateway") as gateway,
        run_nginx(gateway.url, tmp_path, DARKROOM_CORS__ORIGINS=ORIGINS) as front,
    ):
        gateway.process.terminate()
        gateway.process.wait(20)
        answers = [front.api.get(f"/task-status/a-job{end}", headers={"Origin": PAGE}) for end in ("", "/events")]

    assert [answer.status_code for answer in answers] == [503, 200]
    assert [answer.headers["access-control-allow-origin"] for answer in answers] == [PAGE] * 2
