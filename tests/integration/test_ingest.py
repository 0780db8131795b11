"""Photos that land in a real bucket become jobs: SeaweedFS tells of them, workers fetch them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import httpx
import obstore
import pytest
from obstore.store import S3Store
from redis import Redis

from deploy.local.ports import free_port
from deploy.local.stack import Stack
from tests.conftest import SHORT_TIMEOUTS
from tests.integration.api_helpers import wait_for_end, wait_until
from tests.support.bucket_events import aws, aws_record, minio_record, minio_redis
from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.support.images import photo_file
from tests.support.object_store import ObjectStore, run_object_store

KEY = "the key of the shop"
LIST = "bucket-events"


@pytest.fixture(scope="module")
def gateway_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def s3_server(tmp_path_factory: pytest.TempPathFactory, gateway_port: int) -> Iterator[ObjectStore]:
    """A store that posts what lands in its bucket `incoming` to the gateway, which starts later."""
    url = f"http://127.0.0.1:{gateway_port}/ingest/s3"

    def prepare(store: ObjectStore) -> None:
        store.send_events(url, token=KEY, folder="/buckets/incoming/")

    with run_object_store(tmp_path_factory.mktemp("s3_server"), prepare=prepare) as store:
        yield store


@pytest.fixture(scope="module")
def buckets(s3_server: ObjectStore) -> dict[str, S3Store]:
    buckets = {name: s3_server.create_bucket(name) for name in ("incoming", "silent")}
    s3_server.keep_versions("incoming")
    return buckets


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory, s3_server: ObjectStore, buckets: dict[str, S3Store], gateway_port: int
) -> Iterator[Stack]:
    """A stack whose owner `shop` may use folders of both buckets, which workers open with keys of their own."""
    options = {name.lower(): value for name, value in s3_server.environment.items()}
    sources = {"shop": [{"url": f"s3://{name}/shop", "options": options} for name in buckets]}
    environment = SHORT_TIMEOUTS | {
        "DARKROOM_API_KEYS": json.dumps({"shop": sha256(KEY.encode()).hexdigest()}),
        "DARKROOM_SOURCES": json.dumps(sources),
        "DARKROOM_OUTBOUND__ALLOW": '["127.0.0.0/8"]',
        "DARKROOM_INGEST__REDIS_LIST": LIST,
        "DARKROOM_INGEST__OWNER": "shop",
    }
    folder = tmp_path_factory.mktemp("stack")
    with Stack(folder, shared_pool=2, outbound_pool=2, environment=environment, gateway_port=gateway_port) as stack:
        yield stack


@pytest.fixture(scope="module")
def http(stack: Stack) -> Iterator[httpx.Client]:
    headers = {"X-API-Key": KEY}
    with httpx.Client(base_url=stack.url, timeout=60, headers=headers, **HTTP_CLIENT_OPTIONS) as client:
        yield client


def jobs_of(http: httpx.Client, name: str) -> list[str]:
    """Return the ids of the jobs of photos with this name."""
    listed = http.get("/jobs", params={"limit": 100}).raise_for_status().json()["jobs"]
    return [job["task_id"] for job in listed if job["name"] == name]


def fetched_bytes(job: dict[str, Any]) -> int:
    size: int = job["original"]["bytes"]
    return size


def test_an_object_becomes_a_done_job_by_its_event_and_not_a_second_one(
    http: httpx.Client, buckets: dict[str, S3Store]
) -> None:
    content = photo_file(800, 600)
    obstore.put(buckets["silent"], "shop/a b+ü.jpg", content)
    body = aws(aws_record("shop/a b+ü.jpg", bucket="silent", size=len(content)))

    first, again = [http.post("/ingest/s3", json=body) for _ in range(2)]

    (event,) = first.json()["events"]
    job = wait_for_end(http, event["task_id"])
    assert (first.status_code, again.status_code, again.json()["repeated"]) == (202, 200, 1)
    assert (job["status"], fetched_bytes(job), sorted(job["renditions"])) == (
        "done",
        len(content),
        ["large", "medium", "small"],
    )


def test_what_the_store_tells_by_itself_becomes_a_done_job_of_each_version(
    http: httpx.Client, buckets: dict[str, S3Store]
) -> None:
    contents = [photo_file(700, 500), photo_file(900, 700)]
    for content in contents:
        obstore.put(buckets["incoming"], "shop/told.jpg", content)

    wait_until(lambda: len(jobs_of(http, "told.jpg")) == 2, "a job of each version")
    jobs = [wait_for_end(http, task_id) for task_id in jobs_of(http, "told.jpg")]

    assert {job["status"] for job in jobs} == {"done"}
    assert sorted(map(fetched_bytes, jobs)) == sorted(map(len, contents))


def test_a_large_object_that_is_put_in_parts_becomes_one_job(http: httpx.Client, buckets: dict[str, S3Store]) -> None:
    content = photo_file(3000, 2400) + bytes(11 * 2**20)
    obstore.put(buckets["incoming"], "shop/large.jpg", content, use_multipart=True, chunk_size=5 * 2**20)
    obstore.put(buckets["incoming"], "other/large.jpg", content)
    obstore.put(buckets["incoming"], "shop/later.jpg", photo_file(300, 200))

    wait_until(lambda: bool(jobs_of(http, "later.jpg") and jobs_of(http, "large.jpg")), "both jobs")

    (task_id,) = jobs_of(http, "large.jpg")
    assert fetched_bytes(wait_for_end(http, task_id)) == len(content)


def test_an_object_that_is_gone_fails_its_job_with_a_reason(http: httpx.Client) -> None:
    (event,) = http.post("/ingest/s3", json=aws(aws_record("shop/gone.jpg", bucket="silent"))).json()["events"]

    job = wait_for_end(http, event["task_id"])

    assert (job["status"], job["failure"]["stage"]) == ("failed", "fetch")


def test_events_from_a_redis_list_become_jobs_also_after_the_gateway_was_away(
    http: httpx.Client,
    stack: Stack,
    buckets: dict[str, S3Store],
) -> None:
    obstore.put(buckets["silent"], "shop/listed.jpg", photo_file(400, 300))
    stack.stop_process("gateway")
    with Redis.from_url(stack.redis_url) as redis:
        message = json.dumps(minio_redis(minio_record("shop/listed.jpg", bucket="silent")))
        redis.rpush(LIST, message, "no JSON", message)
        stack.start_process("gateway")
        wait_until(lambda: bool(jobs_of(http, "listed.jpg")), "the job")
        (task_id,) = jobs_of(http, "listed.jpg")

        assert wait_for_end(http, task_id)["status"] == "done"
        wait_until(lambda: not redis.exists(LIST, f"{LIST}:processing"), "the list to be empty")
        assert redis.lrange(f"{LIST}:dead", 0, -1) == [b"no JSON"]
    assert jobs_of(http, "listed.jpg") == [task_id]
