"""Who may ask, for what, how often, and when nobody may: keys, owners, rate limits and backpressure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from deploy.local.stack import Stack
from gateway.middleware.authorization import BASIC_CHALLENGE
from tests.integration import raw_http
from tests.integration.api_helpers import (
    freeze_process,
    post_operation,
    submit_photo,
    upload,
    wait_for_all,
    wait_for_end,
    wait_until,
)
from tests.integration.conftest import MAX_QUEUE, POSTS_A_MINUTE, AsOwner
from tests.support.images import encode_image, photo

OPEN_PATHS = {"/livez", "/readyz", "/docs", "/openapi.json", "/schemas/preset.json"}
TASK_ID = "019392f0-7c1e-7d4a-b4d8-0f5e2c9a1b77"
PHOTO = encode_image(photo(), "jpeg")


@pytest.fixture(scope="module")
def ann(as_owner: AsOwner) -> httpx.Client:
    return as_owner("ann")


@pytest.fixture(scope="module")
def bob(as_owner: AsOwner) -> httpx.Client:
    return as_owner("bob")


@pytest.fixture(scope="module")
def routes(ann: httpx.Client) -> list[tuple[str, str]]:
    """Every method and path there is, documented or not."""
    paths = ann.get("/openapi.json").raise_for_status().json()["paths"]
    documented = [(method, path) for path, methods in paths.items() for method in methods]
    return [*documented, ("get", "/docs"), ("get", "/redoc"), ("get", "/openapi.json"), ("get", "/nowhere")]


@pytest.fixture(scope="module")
def anns(ann: httpx.Client) -> Iterator[dict[str, Any]]:
    task_id = submit_photo(ann, PHOTO, "secret of ann.jpg")
    yield wait_for_end(ann, task_id)
    ann.delete(f"/jobs/{task_id}")


def _asked(client: httpx.Client, routes: list[tuple[str, str]], **headers: str) -> dict[str, httpx.Response]:
    filled = [(method, re.sub(r"{\w+}", TASK_ID, path)) for method, path in routes]
    return {f"{method} {path}": client.request(method, path, headers=headers) for method, path in filled}


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="no key"),
        pytest.param({"Authorization": "Bearer key of nobody"}, id="a wrong key"),
        pytest.param({"Authorization": "Bearer"}, id="an empty key"),
        pytest.param({"Authorization": "Basic a2V5IG9mIGFubg=="}, id="another scheme"),
        pytest.param({"X-API-Key": "key of nobody"}, id="a wrong key in the other header"),
    ],
)
def test_nothing_but_health_is_answered_without_a_key(
    keyless_client: httpx.Client, routes: list[tuple[str, str]], headers: dict[str, str]
) -> None:
    responses = _asked(keyless_client, routes, **headers)

    refused = {name: answer for name, answer in responses.items() if name.split()[1] not in OPEN_PATHS}
    assert len(refused) > 10
    assert {name: answer.status_code for name, answer in refused.items()} == dict.fromkeys(refused, 401)
    for name, answer in refused.items():
        expected = f"Bearer, {BASIC_CHALLENGE}" if name == "post /ingest/s3" else "Bearer"
        assert answer.headers["www-authenticate"] == expected
        if answer.request.method != "HEAD":
            assert answer.json()["code"] == "unauthorized"


def test_health_is_told_to_everybody(keyless_client: httpx.Client) -> None:
    assert [keyless_client.get(path).status_code for path in sorted(OPEN_PATHS)] == [200] * len(OPEN_PATHS)


def test_a_key_may_come_in_either_header(keyless_client: httpx.Client) -> None:
    for headers in ({"Authorization": "bearer key of ann"}, {"X-API-Key": "key of ann"}):
        assert keyless_client.get("/jobs", headers=headers).status_code == 200


def test_an_upload_without_a_key_is_refused_before_its_body_is_read(strict_stack: Stack) -> None:
    with raw_http.open_socket(strict_stack.url) as unanswered:
        unanswered.sendall(raw_http.build_head(strict_stack.url, "/upload", Content_Length=1_000_000))
        response, _ = raw_http.read_response(unanswered)

    assert response.status == 401


def test_an_upload_from_another_site_is_refused_before_its_body_is_read(strict_stack: Stack) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Authorization": "Bearer key of ann"}
    with raw_http.open_socket(strict_stack.url) as unanswered:
        unanswered.sendall(raw_http.build_head(strict_stack.url, "/upload", Content_Length=1_000_000, **headers))
        response, body = raw_http.read_response(unanswered)

    assert (response.status, json.loads(body)["code"]) == (403, "cross_site")


def test_a_job_is_its_owners_alone(ann: httpx.Client, bob: httpx.Client, anns: dict[str, Any]) -> None:
    task_id = anns["task_id"]

    answers = [
        bob.get(f"/task-status/{task_id}"),
        bob.get(f"/task-status/{task_id}", params={"wait": 1}),
        bob.get(f"/result/{task_id}"),
        bob.get(f"/result/{task_id}/small"),
        bob.head(f"/result/{task_id}/small"),
        bob.post(f"/jobs/{task_id}/retry"),
        bob.post("/grayscale", files={"source_task_id": (None, task_id)}),
        bob.delete(f"/jobs/{task_id}"),
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert {answer.json()["code"] for answer in answers if answer.content} == {"job_not_found"}
    assert ann.get(f"/task-status/{task_id}").json()["status"] == "done"


def test_a_tag_known_by_hearsay_opens_nothing(ann: httpx.Client, bob: httpx.Client) -> None:
    url = wait_for_end(ann, submit_photo(ann, encode_image(photo(31, 21))))["links"]["result"]
    etag = ann.get(url).headers["etag"]

    assert bob.get(url, headers={"If-None-Match": etag}).status_code == 404


def test_a_list_shows_ones_own_jobs_only(ann: httpx.Client, bob: httpx.Client, anns: dict[str, Any]) -> None:
    bobs = submit_photo(bob, encode_image(photo(30, 20)), "bob.png")

    seen = {job["task_id"] for job in bob.get("/jobs", params={"limit": 100}).json()["jobs"]}
    hers = {job["task_id"] for job in ann.get("/jobs", params={"limit": 100}).json()["jobs"]}

    assert bobs in seen
    assert anns["task_id"] in hers
    assert not seen & hers
    assert wait_for_end(bob, bobs)["status"] == "done"


def test_the_same_photo_of_two_owners_makes_two_jobs(ann: httpx.Client, bob: httpx.Client) -> None:
    first = wait_for_end(ann, submit_photo(ann, encode_image(photo(32, 22))))["task_id"]

    again, other = (upload(client, encode_image(photo(32, 22))).json() for client in (ann, bob))

    assert again["deduplicated_from"] == first
    assert other["deduplicated_from"] is None
    assert wait_for_end(bob, other["task_id"])["status"] == "done"


def test_the_same_idempotency_key_of_two_owners_makes_two_jobs(ann: httpx.Client, bob: httpx.Client) -> None:
    body = raw_http.form(raw_http.part("file", encode_image(photo(20, 20)), b"a.png"))
    headers = {"Content-Type": raw_http.FORM_TYPE, "Idempotency-Key": "shared by chance"}

    one, other = (client.post("/upload", content=body, headers=headers) for client in (ann, bob))

    assert (one.status_code, other.status_code) == (202, 202)
    assert one.json()["task_id"] != other.json()["task_id"]
    wait_for_all(ann, [one.json()["task_id"]])
    wait_for_all(bob, [other.json()["task_id"]])


def test_who_posts_too_often_is_told_when_to_come_back(as_owner: AsOwner) -> None:
    hasty, patient = as_owner("eve"), as_owner("pia")

    answers = [hasty.post("/jobs/nope/retry") for _ in range(POSTS_A_MINUTE + 1)]

    assert [answer.status_code for answer in answers] == [404] * POSTS_A_MINUTE + [429]
    last = answers[-1]
    assert last.json()["code"] == "rate_limited"
    assert last.headers["content-type"] == "application/problem+json"
    assert 1 <= int(last.headers["retry-after"]) <= 60
    assert last.headers["ratelimit-policy"] == f'"default";q={POSTS_A_MINUTE};w=60'
    assert re.fullmatch(r'"default";r=0;t=\d+', last.headers["ratelimit"])
    assert hasty.get("/jobs").status_code == 200
    assert patient.post("/jobs/nope/retry").status_code == 404


def test_every_post_tells_what_is_left(as_owner: AsOwner) -> None:
    other_owner = as_owner("tom")

    left = [other_owner.post("/jobs/nope/retry").headers["ratelimit"] for _ in range(3)]

    remaining = [int(re.findall(r"r=(\d+)", value)[0]) for value in left]
    assert remaining == [POSTS_A_MINUTE - 1, POSTS_A_MINUTE - 2, POSTS_A_MINUTE - 3]
    assert "ratelimit" not in other_owner.get("/jobs").headers


def test_full_queues_are_told_before_the_body_is_read(strict_stack: Stack, as_owner: AsOwner) -> None:
    busy, waiting = as_owner("max"), as_owner("lee")
    with freeze_process(strict_stack, "validate"):
        task_ids = [submit_photo(busy, encode_image(photo(20 + number, 20))) for number in range(MAX_QUEUE)]
        for number in range(2):  # the worker may hold some, or the gateway have seen enough
            answer = upload(busy, encode_image(photo(40 + number, 20)))
            task_ids += [answer.json()["task_id"]] if answer.status_code == 202 else []
        wait_until(lambda: waiting.post("/upload").status_code == 503, "the queue to be found full")
        with raw_http.open_socket(strict_stack.url) as unread:
            key = {"Authorization": "Bearer key of lee"}
            unread.sendall(raw_http.build_head(strict_stack.url, "/resize", Content_Length=1_000_000, **key))
            response, body = raw_http.read_response(unread)
        reading = waiting.get("/jobs")
    jobs = wait_for_all(busy, task_ids)

    assert (response.status, json.loads(body)["code"]) == (503, "overloaded")
    assert response.headers["content-type"] == "application/problem+json"
    assert int(response.headers["retry-after"]) >= 1
    assert reading.status_code == 200
    assert {job["status"] for job in jobs} == {"done"}
    wait_until(lambda: post_operation(busy, "grayscale", PHOTO).status_code == 202, "new work to be taken again")
