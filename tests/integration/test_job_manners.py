"""What clients may rely on: repeated requests, digests, long polls, lists, removal, retries and expiry."""

from __future__ import annotations

import json
import socket
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pymongo
import pytest
from pymongo.collection import Collection

from deploy.local.stack import Stack
from pipeline.stage_failures import SENTENCES
from tests.integration import raw_http
from tests.integration.api_helpers import (
    freeze_process,
    get_status,
    submit_operation,
    submit_photo,
    upload,
    wait_for_all,
    wait_for_end,
    wait_for_image,
    wait_until,
)
from tests.integration.conftest import AsOwner
from tests.support.images import encode_image, photo

PHOTO = encode_image(photo(), "jpeg")
FORM = raw_http.form(raw_http.part("file", PHOTO, b"photo.jpg"))


@pytest.fixture(scope="module")
def done(client: httpx.Client) -> dict[str, Any]:
    return wait_for_end(client, submit_photo(client, PHOTO))


@pytest.fixture(scope="module")
def failed(client: httpx.Client) -> dict[str, Any]:
    return wait_for_end(client, submit_photo(client, PHOTO[: len(PHOTO) // 2]))


@pytest.fixture(scope="module")
def keeper(as_owner: AsOwner) -> httpx.Client:
    """A client of the stack that keeps results for seconds only."""
    return as_owner("kim")


@pytest.fixture(scope="module")
def short_lived(keeper: httpx.Client) -> str:
    return submit_photo(keeper, encode_image(photo(40, 30)))


def _post(client: httpx.Client, body: bytes = FORM, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/upload", content=body, headers={"Content-Type": raw_http.FORM_TYPE} | named)


def _begin(stack: Stack, slow: socket.socket, key: str) -> None:
    """Send the beginning of a request, and return once it holds its key."""
    slow.sendall(raw_http.build_head(stack.url, "/upload", Content_Length=len(FORM), Idempotency_Key=key) + FORM[:200])
    mongo: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(stack.mongo_url) as mongo:
        keys: Collection[dict[str, Any]] = mongo.get_default_database()["idempotency_keys"]
        wait_until(lambda: keys.find_one({"_id": f":{key}"}) is not None, "the key to be held")


def _digest(body: bytes) -> str:
    return f"sha-256=:{b64encode(sha256(body).digest()).decode()}:"


def _folders(blob_folder: Path) -> set[str]:
    return {path.name for path in blob_folder.iterdir()}


def test_the_same_request_with_the_same_key_has_one_job(client: httpx.Client) -> None:
    key = uuid4().hex

    first, second = (_post(client, Idempotency_Key=key) for _ in range(2))

    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["task_id"] == second.json()["task_id"]
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert second.headers["location"] == first.headers["location"]


def test_a_repeated_request_leaves_nothing_of_its_own(client: httpx.Client, blob_folder: Path) -> None:
    key = uuid4().hex
    _post(client, Idempotency_Key=key)
    before = _folders(blob_folder)

    _post(client, Idempotency_Key=key)

    assert _folders(blob_folder) <= before


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(
            raw_http.form(raw_http.part("file", encode_image(photo(40, 40)), b"photo.jpg")), id="another photo"
        ),
        pytest.param(
            raw_http.form(raw_http.part("file", PHOTO, b"photo.jpg"), raw_http.part("quality", b"9")), id="other fields"
        ),
    ],
)
def test_another_request_with_the_same_key_is_refused(client: httpx.Client, blob_folder: Path, other: bytes) -> None:
    key = uuid4().hex
    _post(client, Idempotency_Key=key)
    before = _folders(blob_folder)

    response = _post(client, other, Idempotency_Key=key)

    assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")
    assert _folders(blob_folder) <= before


def test_a_request_that_was_refused_leaves_its_key_free(client: httpx.Client) -> None:
    key = uuid4().hex
    refused = _post(client, raw_http.form(raw_http.part("file", b"no photo at all", b"a.jpg")), Idempotency_Key=key)

    mended = _post(client, Idempotency_Key=key)

    assert (refused.status_code, mended.status_code) == (415, 202)
    assert "idempotency-replayed" not in mended.headers


def test_a_key_is_held_while_its_first_request_is_still_coming_in(client: httpx.Client, stack: Stack) -> None:
    key = uuid4().hex

    with raw_http.open_socket(stack.url) as slow:
        _begin(stack, slow, key)
        meanwhile = _post(client, Idempotency_Key=key)
        slow.sendall(FORM[200:])
        first, body = raw_http.read_response(slow)
    afterwards = _post(client, Idempotency_Key=key)

    assert meanwhile.json()["code"] == "idempotency_key_in_use"
    assert int(meanwhile.headers["retry-after"]) >= 1
    assert first.status == 202
    assert afterwards.json()["task_id"] == json.loads(body)["task_id"]


def test_a_key_whose_first_request_broke_off_is_free_again(client: httpx.Client, stack: Stack) -> None:
    key = uuid4().hex
    with raw_http.open_socket(stack.url) as broken:
        _begin(stack, broken, key)

    wait_until(lambda: _post(client, Idempotency_Key=key).status_code == 202, "the key to be free")


def test_ten_requests_at_once_with_one_key_have_one_job(client: httpx.Client) -> None:
    key, name = uuid4().hex, f"{uuid4().hex}.jpg"
    body = raw_http.form(raw_http.part("file", PHOTO, name.encode()))

    with ThreadPoolExecutor(10) as threads:
        responses = list(threads.map(lambda _: _post(client, body, Idempotency_Key=key), range(10)))

    assert {response.status_code for response in responses} <= {202, 409}
    ids = {response.json()["task_id"] for response in responses if response.status_code == 202}
    jobs = client.get("/jobs", params={"limit": 100}).json()["jobs"]
    assert [job["task_id"] for job in jobs if job["name"] == name] == list(ids)


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_of_no_use_is_refused(client: httpx.Client, key: str) -> None:
    response = _post(client, Idempotency_Key=key)

    assert (response.status_code, response.json()["code"]) == (400, "invalid_header")


@pytest.mark.parametrize(
    "digest", [_digest(FORM), f"unixsum=:30637:, {_digest(FORM)}", "md5=:1B2M2Y8AsgTpgAmY7PhCfg==:"]
)
def test_a_body_that_matches_its_digest_is_accepted(client: httpx.Client, digest: str) -> None:
    assert _post(client, Content_Digest=digest).status_code == 202


@pytest.mark.parametrize(
    ("digest", "code"),
    [
        (_digest(FORM + b"!"), "digest_mismatch"),
        ("sha-256=:AAAA:", "digest_mismatch"),
        ("sha-256=nonsense", "invalid_header"),
        ("", "invalid_header"),
    ],
)
def test_a_body_that_does_not_match_its_digest_is_refused(
    client: httpx.Client, blob_folder: Path, digest: str, code: str
) -> None:
    before = _folders(blob_folder)

    response = _post(client, Content_Digest=digest)

    assert (response.status_code, response.json()["code"]) == (400, code)
    assert _folders(blob_folder) <= before


def test_every_rendition_carries_its_digest(client: httpx.Client, done: dict[str, Any]) -> None:
    grey = wait_for_end(client, submit_operation(client, "grayscale", PHOTO))

    for made in (*done["renditions"].values(), *grey["renditions"].values()):
        response = client.get(made["url"])
        assert response.headers["repr-digest"] == _digest(response.content)
        assert made["sha256"] == sha256(response.content).hexdigest()


def test_a_wait_ends_with_the_job(client: httpx.Client) -> None:
    task_id, start = submit_photo(client, PHOTO), time.monotonic()

    job = client.get(f"/task-status/{task_id}", params={"wait": 20}).json()

    assert job["status"] == "done"
    assert time.monotonic() - start < 15


def test_a_wait_that_is_over_tells_the_current_state(client: httpx.Client, stack: Stack) -> None:
    with freeze_process(stack, "validate"):
        task_id, start = submit_photo(client, PHOTO), time.monotonic()
        job = client.get(f"/task-status/{task_id}", params={"wait": 0.4}).json()
        took = time.monotonic() - start

    assert job["status"] == "accepted"
    assert took >= 0.4


def test_a_wait_for_news_ends_with_the_first_change(client: httpx.Client, stack: Stack) -> None:
    with ThreadPoolExecutor(1) as threads:
        with freeze_process(stack, "normalize"):
            task_id = submit_photo(client, PHOTO)
            wait_until(
                lambda: get_status(client, task_id)["stages"]["validate"]["state"] == "done", "validate to be done"
            )
            known = client.get(f"/task-status/{task_id}").headers["etag"]
            start = time.monotonic()
            asked = {"params": {"wait": 20}, "headers": {"If-None-Match": known}}
            waiting = threads.submit(client.get, f"/task-status/{task_id}", **asked)  # type: ignore[arg-type]
        news = waiting.result(timeout=20)

    assert news.status_code == 200
    assert news.headers["etag"] != known
    assert time.monotonic() - start < 15


def test_a_wait_without_news_is_304(client: httpx.Client, stack: Stack) -> None:
    with freeze_process(stack, "validate"):
        task_id = submit_photo(client, PHOTO)
        known = client.get(f"/task-status/{task_id}").headers["etag"]
        start = time.monotonic()
        response = client.get(f"/task-status/{task_id}", params={"wait": 0.4}, headers={"If-None-Match": known})
        took = time.monotonic() - start

    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["etag"] == known
    assert took >= 0.4


def test_a_job_that_has_ended_keeps_nobody_waiting(client: httpx.Client, done: dict[str, Any]) -> None:
    url, start = f"/task-status/{done['task_id']}", time.monotonic()

    known = client.get(url, params={"wait": 20}).headers["etag"]
    again = client.get(url, params={"wait": 20}, headers={"If-None-Match": known})

    assert again.status_code == 304
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("wait", ["-1", "61", "soon", "nan"])
def test_a_wait_that_makes_no_sense_is_refused(client: httpx.Client, done: dict[str, Any], wait: str) -> None:
    response = client.get(f"/task-status/{done['task_id']}", params={"wait": wait})

    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
    assert response.json()["errors"][0]["pointer"] == "/query/wait"


def test_the_tag_of_a_status_is_weak(client: httpx.Client, done: dict[str, Any]) -> None:
    response = client.get(f"/task-status/{done['task_id']}")

    assert response.headers["etag"].startswith('W/"')
    assert response.headers["cache-control"] == "no-cache"


def test_a_list_shows_one_status_and_one_kind(
    client: httpx.Client, done: dict[str, Any], failed: dict[str, Any]
) -> None:
    cut = wait_for_end(client, submit_operation(client, "crop", PHOTO, aspect="1:1"))

    for wanted, job in (
        ({"status": "done"}, done),
        ({"status": "failed"}, failed),
        ({"kind": "previews", "status": "done"}, done),
        ({"kind": "crop"}, cut),
    ):
        jobs = client.get("/jobs", params={**wanted, "limit": 100}).json()["jobs"]
        assert job["task_id"] in [each["task_id"] for each in jobs]
        assert all(each[name] == value for each in jobs for name, value in wanted.items())


def _pages(client: httpx.Client, **wanted: str) -> Iterator[list[str]]:
    while True:
        page = client.get("/jobs", params=wanted).raise_for_status().json()
        yield [job["task_id"] for job in page["jobs"]]
        if page["next"] is None:
            return
        wanted["cursor"] = page["next"]


def test_a_walk_from_page_to_page_meets_every_job_once_and_the_youngest_first(client: httpx.Client) -> None:
    task_ids = [submit_operation(client, "grayscale", PHOTO) for _ in range(7)]
    wait_for_all(client, task_ids)

    pages = list(_pages(client, kind="grayscale", limit="3"))

    met = [task_id for page in pages for task_id in page]
    assert met[:7] == task_ids[::-1]
    assert all(before > after for before, after in pairwise(met))
    assert {len(page) for page in pages[:-1]} == {3}
    assert 1 <= len(pages[-1]) <= 3


def test_a_walk_is_not_disturbed_by_jobs_that_come_in_meanwhile(client: httpx.Client) -> None:
    task_ids = [submit_operation(client, "grayscale", PHOTO) for _ in range(4)]

    pages = _pages(client, kind="grayscale", limit="2")
    first = next(pages)
    accepted_meanwhile = submit_operation(client, "grayscale", PHOTO)
    second = next(pages)

    assert first + second == task_ids[::-1]
    assert wait_for_end(client, accepted_meanwhile)["status"] == "done"


@pytest.mark.parametrize("cursor", ["junk", "!", "e30", "AAAA" * 9, "ä"])
def test_a_cursor_that_is_not_ours_is_refused(client: httpx.Client, cursor: str) -> None:
    response = client.get("/jobs", params={"cursor": cursor})

    assert (response.status_code, response.json()["code"]) == (400, "invalid_cursor")


@pytest.mark.parametrize("wanted", [{"status": "lost"}, {"kind": "video"}, {"limit": "0"}, {"limit": "101"}])
def test_a_list_of_what_there_is_not_is_refused(client: httpx.Client, wanted: dict[str, str]) -> None:
    response = client.get("/jobs", params=wanted)

    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")


def test_a_job_that_is_done_can_be_removed_with_all_that_is_known_of_it(
    client: httpx.Client, blob_folder: Path
) -> None:
    task_id = wait_for_end(client, submit_photo(client, PHOTO))["task_id"]

    response = client.delete(f"/jobs/{task_id}")

    assert (response.status_code, response.content) == (204, b"")
    assert task_id not in _folders(blob_folder)
    for url in (f"/task-status/{task_id}", f"/result/{task_id}", f"/result/{task_id}/small"):
        assert client.get(url).status_code == 404
    assert client.delete(f"/jobs/{task_id}").status_code == 404


def test_a_job_that_waits_can_be_cancelled_and_its_messages_do_no_harm(
    client: httpx.Client, stack: Stack, blob_folder: Path
) -> None:
    with freeze_process(stack, "normalize"):
        task_id = submit_photo(client, PHOTO)
        wait_until(lambda: get_status(client, task_id)["stages"]["validate"]["state"] == "done", "validate to be done")
        response = client.delete(f"/jobs/{task_id}")
        cancelled = get_status(client, task_id)

    other = wait_for_end(client, submit_photo(client, PHOTO))
    wait_until(lambda: task_id in _ignored(stack, "normalize"), "the message to be met and left")
    assert (response.status_code, cancelled["status"]) == (204, "cancelled")
    assert get_status(client, task_id)["stages"]["normalize"]["state"] == "pending"
    assert other["status"] == "done"
    assert task_id not in _folders(blob_folder)


def test_a_job_that_runs_can_be_cancelled_and_what_it_makes_is_thrown_away(
    client: httpx.Client, stack: Stack, blob_folder: Path
) -> None:
    slow = encode_image(photo(1000, 750), "jpeg")
    task_id = submit_operation(client, "grayscale", slow, format="avif", quality=90)
    wait_until(lambda: get_status(client, task_id)["stages"]["transform"]["state"] == "running", "transform to run")

    client.delete(f"/jobs/{task_id}").raise_for_status()

    wait_until(lambda: task_id in _fenced(stack), "the run to find that it was in vain")
    assert get_status(client, task_id)["status"] == "cancelled"
    assert get_status(client, task_id)["renditions"] == {}
    assert client.get(f"/result/{task_id}").json()["code"] == "job_failed"
    assert not list((blob_folder / task_id).glob("*"))


def test_a_job_that_was_cancelled_can_be_removed(client: httpx.Client, stack: Stack) -> None:
    with freeze_process(stack, "validate"):
        task_id = submit_photo(client, PHOTO)
        client.delete(f"/jobs/{task_id}").raise_for_status()
        client.delete(f"/jobs/{task_id}").raise_for_status()

    assert client.get(f"/task-status/{task_id}").status_code == 404


def test_a_done_job_is_not_tried_again(client: httpx.Client, done: dict[str, Any]) -> None:
    response = client.post(f"/jobs/{done['task_id']}/retry")

    assert (response.status_code, response.json()["code"]) == (409, "not_retryable")
    assert client.post("/jobs/nope/retry").status_code == 404


def test_the_twin_of_a_finished_job_is_answered_with_its_results(keeper: httpx.Client, short_lived: str) -> None:
    duplicate = wait_for_end(keeper, short_lived)

    response = upload(keeper, encode_image(photo(40, 30)))

    body = response.json()
    assert (response.status_code, body["status"], body["deduplicated_from"]) == (202, "done", short_lived)
    job = get_status(keeper, body["task_id"])
    assert job["deduplicated_from"] == short_lived
    assert {made["sha256"] for made in job["renditions"].values()} == {
        made["sha256"] for made in duplicate["renditions"].values()
    }
    assert wait_for_image(keeper, body["task_id"]).size == (40, 30)


def test_a_job_that_asks_for_something_else_has_no_twin(keeper: httpx.Client, short_lived: str) -> None:
    wait_for_end(keeper, short_lived)

    response = keeper.post("/upload", files={"file": ("a.png", encode_image(photo(40, 30)))}, data={"quality": "50"})

    assert response.json()["deduplicated_from"] is None


def test_a_dead_job_goes_on_from_where_it_died(keeper: httpx.Client, strict_stack: Stack) -> None:
    with freeze_process(strict_stack, "normalize"):
        task_id = submit_photo(keeper, encode_image(photo(44, 33)))
        wait_until(lambda: get_status(keeper, task_id)["stages"]["validate"]["state"] == "done", "validate to be done")
        original = strict_stack.blob_folder / task_id / "original"
        hidden = original.rename(strict_stack.folder / task_id)
    dead = wait_for_end(keeper, task_id)
    result = keeper.get(f"/result/{task_id}")
    hidden.rename(original)

    response = keeper.post(f"/jobs/{task_id}/retry")

    assert (dead["status"], dead["failure"]["code"]) == ("dead", "dispatches_exhausted")
    assert (result.status_code, result.json()["code"]) == (409, "job_failed")
    assert response.status_code == 202
    assert response.headers["location"] == f"/task-status/{task_id}"
    job = wait_for_end(keeper, task_id)
    assert (job["status"], job["failure"]) == ("done", None)
    assert job["stages"]["validate"] == dead["stages"]["validate"]
    assert job["stages"]["normalize"]["attempts"] == dead["stages"]["normalize"]["attempts"] + 1
    assert wait_for_image(keeper, task_id).size == (44, 33)


def test_a_result_past_its_time_is_410_and_its_job_is_still_told_of(
    keeper: httpx.Client, strict_stack: Stack, short_lived: str
) -> None:
    wait_for_end(keeper, short_lived)

    wait_until(lambda: keeper.get(f"/result/{short_lived}").status_code == 410, "the result to expire")

    assert keeper.get(f"/result/{short_lived}/small").json()["code"] == "expired"
    job = get_status(keeper, short_lived)
    assert (job["status"], job["renditions"]) == ("done", {})
    assert short_lived not in _folders(strict_stack.blob_folder)
    source = keeper.post("/grayscale", files={"source_task_id": (None, short_lived)})
    assert (source.status_code, source.json()["code"]) == (409, "source_gone")


def _ignored(stack: Stack, worker: str) -> str:
    return "\n".join(line for line in stack.log(worker).splitlines() if "stage.ignored" in line)


def _fenced(stack: Stack) -> str:
    return "\n".join(line for line in stack.log("transform").splitlines() if "stage.fenced" in line)


def test_an_outage_is_a_code_for_clients_and_details_in_the_log(
    stack: Stack, client: httpx.Client, blob_folder: Path
) -> None:
    with freeze_process(stack, "validate"):
        task_id = submit_photo(client, encode_image(photo(33, 44)))
        elsewhere = (blob_folder / task_id).rename(blob_folder.parent / task_id)
    wait_until(lambda: get_status(client, task_id)["stages"]["validate"]["error"] is not None, "the stage to fail")
    text = client.get(f"/task-status/{task_id}").text
    elsewhere.rename(blob_folder / task_id)
    job = wait_for_end(client, task_id)

    stage = json.loads(text)["stages"]["validate"]
    assert (stage["error_code"], stage["error"]) == ("infrastructure_error", SENTENCES["infrastructure_error"])
    assert str(blob_folder) not in text
    assert f"{task_id}/original" in stack.log("validate")
    assert (job["status"], job["stages"]["validate"]["error"]) == ("done", None)
