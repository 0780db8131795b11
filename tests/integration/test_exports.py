"""Results are put into a real bucket before their job is done, and a bucket that takes none is named."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

import httpx
import obstore
import pymongo
import pytest
from obstore.store import S3Store

from deploy.local.ports import free_port
from deploy.local.processes import OUTBOUND_WORKER
from deploy.local.stack import Stack
from pipeline.settings import Settings
from storage.clock import now_ms
from tests.conftest import SHORT_TIMEOUTS
from tests.integration.api_helpers import get_status, wait_for_all, wait_for_end, wait_until
from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.support.images import photo_file
from tests.support.object_store import ObjectStore, run_object_store
from tests.support.tokens import ADA_SECRET, bearer, upload_claims

KEY = "key of ada"
CACHE_CONTROL = "public, max-age=31536000, immutable"
WRONG_SECRET = "a-secret-that-no-bucket-has"  # noqa: S105
OF_THE_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "key-of-the-environment",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-environment",
    "AWS_SESSION_TOKEN": "token-of-the-environment",
    "AWS_ENDPOINT_URL": "http://environment.invalid",
}
PRESETS = f"""
[product]
[product.destination]
name = "shop"
key = "{{metadata.sku}}/{{rendition}}{{dpr}}.{{ext}}"
cache_control = "{CACHE_CONTROL}"
[product.renditions.card]
width = 200
height = 200
fit = "cover"
formats = ["webp", "jpeg"]
dpr = [1, 2]
[product.renditions.zoom]
edge = 600

[one]
destination = {{ name = "shop", key = "{{task_id}}-{{revision}}.{{ext}}" }}
renditions.only.edge = 100

[dead]
destination = {{ name = "dead", key = "{{task_id}}" }}
renditions.only.edge = 100

[locked]
destination = {{ name = "locked", key = "{{task_id}}" }}
renditions.only.edge = 100
"""


@pytest.fixture(scope="module")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with run_object_store(tmp_path_factory.mktemp("exports_s3")) as store:
        yield store


@pytest.fixture(scope="module")
def bucket(s3_server: ObjectStore) -> S3Store:
    """The bucket of the shop."""
    return s3_server.create_bucket("shop")


@pytest.fixture(scope="module")
def destinations(s3_server: ObjectStore, bucket: S3Store) -> dict[str, Any]:  # noqa: ARG001  # it must be there
    options = {name.lower(): value for name, value in s3_server.environment.items()}
    return {
        "shop": {"url": "s3://shop/results", "options": options},
        "dead": {"url": "s3://shop", "options": options | {"aws_endpoint_url": f"http://127.0.0.1:{free_port()}"}},
        "locked": {"url": "s3://shop", "options": options | {"aws_secret_access_key": WRONG_SECRET}},
    }


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, destinations: dict[str, Any]) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("exports")
    (folder / "presets.toml").write_text(PRESETS, encoding="utf-8")
    environment = {
        "DARKROOM_API_KEYS": json.dumps({"ada": sha256(KEY.encode()).hexdigest()}),
        "DARKROOM_SIGNING_SECRETS": json.dumps({"ada": ADA_SECRET}),
        "DARKROOM_PRESETS": str(folder / "presets.toml"),
        "DARKROOM_DESTINATIONS": json.dumps(destinations),
        "DARKROOM_RETENTION__REFUSED": "600",
        "DARKROOM_ACCESS__DEDUPLICATE": "true",
        "DARKROOM_WORK__MAX_ATTEMPTS": "3",
        **OF_THE_ENVIRONMENT,
    }
    with Stack(folder, shared_pool=2, outbound_pool=2, environment=SHORT_TIMEOUTS | environment) as stack:
        yield stack


@pytest.fixture(scope="module")
def http(stack: Stack) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=stack.url, timeout=60, headers=headers, **HTTP_CLIENT_OPTIONS) as client:
        yield client


Submit = Callable[..., str]


@pytest.fixture
def submit(http: httpx.Client, request: pytest.FixtureRequest) -> Submit:
    """Upload with a token of the test's own, and return the task id."""

    def post(preset: str, *, sku: str = "A-1") -> str:
        claims = upload_claims(jti=f"{request.node.name[-40:]}-{now_ms()}".replace("[", "-").replace("]", "-"))
        headers = bearer(claims | {"metadata": {"sku": sku}}, ADA_SECRET)
        files = {"file": ("photo.jpg", photo_file(500, 400))}
        answer = http.post("/upload", files=files, data={"preset": preset}, headers=headers)
        assert answer.status_code == 202, answer.text
        task_id: str = answer.json()["task_id"]
        return task_id

    return post


def exports(job: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["key"]: each for each in job["exports"]}


def read(bucket: S3Store, key: str) -> tuple[bytes, dict[str, Any]]:
    """Return the bytes of an object of the shop, and its headers."""
    found = obstore.get(bucket, f"results/{key}")
    return bytes(found.bytes()), dict(found.attributes)


def test_every_file_is_an_object_with_its_headers_once_the_job_is_done(
    http: httpx.Client, bucket: S3Store, submit: Submit
) -> None:
    task_id = submit("product", sku="shoes/red")

    job = wait_for_end(http, task_id)

    (folder,) = {key.partition("/")[0] for key in exports(job)}
    names = {key.partition("/")[2] for key in exports(job)}
    assert (job["status"], folder[:10]) == ("done", "shoes_red-")
    assert names == {"card.webp", "card@2x.webp", "card.jpg", "card@2x.jpg", "zoom.jpg"}
    for name in sorted(names):
        content, headers = read(bucket, f"{folder}/{name}")
        answer = http.get(f"/result/{task_id}/{name}").raise_for_status()
        assert content == answer.content
        assert headers == {"Content-Type": answer.headers["content-type"], "Cache-Control": CACHE_CONTROL}
        exported = exports(job)[f"{folder}/{name}"]
        assert (exported["destination"], exported["bytes"]) == ("shop", len(content))


def test_one_rendition_is_exported_and_again_for_each_revision(
    http: httpx.Client, bucket: S3Store, submit: Submit
) -> None:
    task_id = submit("one")
    first = wait_for_end(http, task_id)

    http.post(f"/jobs/{task_id}/reprocess").raise_for_status()
    second = wait_for_end(http, task_id)

    assert [job["status"] for job in (first, second)] == ["done", "done"]
    assert [list(exports(job)) for job in (first, second)] == [[f"{task_id}-0.jpg"], [f"{task_id}-1.jpg"]]
    for revision in range(2):
        content, headers = read(bucket, f"{task_id}-{revision}.jpg")
        assert (content[:2], headers) == (b"\xff\xd8", {"Content-Type": "image/jpeg"})


def test_the_same_upload_again_is_exported_too(http: httpx.Client, submit: Submit) -> None:
    """It is no copy of the earlier job's results: its own objects have other keys."""
    jobs = [wait_for_end(http, submit("one")) for _ in range(2)]

    assert [job["deduplicated_from"] for job in jobs] == [None, None]
    assert len({key for job in jobs for key in exports(job)}) == 2


def test_an_upload_without_the_metadata_is_refused(http: httpx.Client) -> None:
    answer = http.post("/upload", files={"file": ("photo.jpg", photo_file(50, 40))}, data={"preset": "product"})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_form")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/preset"]


@pytest.mark.parametrize("name", ["dead", "locked"])
def test_a_bucket_that_takes_nothing_is_tried_again_and_then_named(
    http: httpx.Client, submit: Submit, name: str
) -> None:
    task_id = submit(name)

    job = wait_for_end(http, task_id)

    sentence = f"The bucket of the destination {name} did not take the results."
    assert (job["status"], job["exports"]) == ("failed", [])
    assert (job["failure"]["stage"], job["failure"]["code"]) == ("export", "export_failed")
    assert job["failure"]["message"] == sentence
    assert job["stages"]["export"]["attempts"] == 3
    assert job["stages"]["export"]["error_code"] == "export_failed"
    assert job["generation"] == 0


def test_a_person_retries_the_export_alone_once_the_bucket_is_there_again(
    http: httpx.Client, s3_server: ObjectStore, bucket: S3Store, submit: Submit
) -> None:
    s3_server.stop()
    try:
        task_id = submit("one")
        failed = wait_for_end(http, task_id)
    finally:
        s3_server.start()

    http.post(f"/jobs/{task_id}/retry").raise_for_status()
    job = wait_for_end(http, task_id)

    assert (failed["failure"]["code"], job["status"]) == ("export_failed", "done")
    assert read(bucket, f"{task_id}-0.jpg")[1] == {"Content-Type": "image/jpeg"}
    others = [name for name in job["stages"] if name not in {"export", "finalize"}]
    assert {name: job["stages"][name] for name in others} == {name: failed["stages"][name] for name in others}


def test_a_worker_that_is_killed_in_an_export_costs_no_job(
    http: httpx.Client, stack: Stack, s3_server: ObjectStore, bucket: S3Store, submit: Submit
) -> None:
    with s3_server.freeze():
        task_ids = [submit("product", sku=f"killed-{number}") for number in range(2)]
        for task_id in task_ids:
            wait_until(lambda: get_status(http, task_id)["stages"]["export"]["state"] == "running", "its export")  # noqa: B023
        for child in stack.children(OUTBOUND_WORKER):
            _kill(child)

    jobs = wait_for_all(http, task_ids)

    assert [job["status"] for job in jobs] == ["done", "done"]
    for number, job in enumerate(jobs):
        assert len(exports(job)) == 5
        assert job["stages"]["export"]["attempts"] > 1
        assert read(bucket, f"killed-{number}/zoom.jpg")[0]


def test_what_opens_a_bucket_is_in_no_document_no_answer_no_log_and_no_metric(
    http: httpx.Client, stack: Stack, destinations: dict[str, Any], submit: Submit
) -> None:
    task_ids = [submit(name) for name in ("one", "locked", "dead")]
    jobs = wait_for_all(http, task_ids)
    pages = ["/jobs", "/presets/one", "/capabilities", "/readyz", "/metrics", f"/result/{task_ids[0]}"]

    shown = {page: http.get(page).text for page in pages} | {"jobs": json.dumps(jobs)}
    shown |= {f"log of {name}": stack.log(name) for name in stack.processes}
    shown |= {f"metrics of {name}": httpx.get(url).text for name, url in stack.metrics_urls.items()}
    shown |= _read_documents(stack.mongo_url)
    settings = Settings.model_validate({"destinations": destinations})
    shown["settings"] = f"{settings!r} {settings}"

    options = [each["options"] for each in destinations.values()]
    secrets = {each[f"aws_{name}"] for each in options for name in ("access_key_id", "secret_access_key")}
    assert len(secrets) == 3
    assert "export_failed" in shown[f"log of {OUTBOUND_WORKER}"]
    assert [place for place, text in shown.items() if any(secret in text for secret in secrets)] == []


def _kill(child: int) -> None:
    os.kill(child, signal.SIGKILL)


def _read_documents(mongo_url: str) -> dict[str, str]:
    """Return the text of all documents of each collection."""
    mongo: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(mongo_url) as mongo:
        database: Any = mongo.get_default_database()
        return {name: str(list(database[name].find())) for name in database.list_collection_names()}
