"""Events on their way to receivers that fail, hang, are gone or are slow, on a whole stack whose workers are killed."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from typing import Any

import httpx
import pytest
from pymongo import MongoClient
from pymongo.database import Database

from deploy.local.processes import OUTBOUND_WORKER
from deploy.local.stack import Stack
from storage.stores import database_name
from storage.webhooks import DELIVERIES, ENDPOINTS, DisabledReason, Secret, WebhookEndpoint
from tests.conftest import SHORT_TIMEOUTS
from tests.integration.api_helpers import submit_operation, wait_until
from tests.integration.log_lines import find_log_lines, select_events
from tests.integration.scraping import scrape
from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.support.images import photo_file
from tests.support.webhook_receiver import Received, Receiver, Reply
from tests.support.webhooks import SECRET, new_endpoint

OTHER = "whsec_" + "B" * 32
PHOTO = photo_file(60, 40)
ENDS = ["job.done", "job.failed", "job.cancelled"]
DELIVERY_SECONDS = 120


@pytest.fixture(scope="module")
def webhook_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that may send to this machine, and tries again soon."""
    environment = SHORT_TIMEOUTS | {
        "DARKROOM_OUTBOUND__ALLOW": '["127.0.0.0/8:*"]',
        "DARKROOM_WEBHOOKS__TIMEOUT": "3",
        "DARKROOM_WEBHOOKS__RETRY_WAITS": json.dumps([0.1] * 50),
    }
    folder = tmp_path_factory.mktemp("webhooks")
    with Stack(folder, shared_pool=1, outbound_pool=2, environment=environment) as stack:
        yield stack


@pytest.fixture(scope="module")
def http(webhook_stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=webhook_stack.url, timeout=30, **HTTP_CLIENT_OPTIONS) as client:
        yield client


@pytest.fixture
def database(webhook_stack: Stack) -> Iterator[Database[dict[str, Any]]]:
    """The documents, without endpoints of other tests."""
    with MongoClient[dict[str, Any]](webhook_stack.mongo_url) as client:
        database = client[database_name(webhook_stack.mongo_url)]
        database[ENDPOINTS].delete_many({})
        yield database
        database[ENDPOINTS].delete_many({})


Add = Callable[..., WebhookEndpoint]


@pytest.fixture
def add(database: Database[dict[str, Any]], receiver: Receiver) -> Add:
    """Adds an endpoint for the ends of all jobs."""

    def add_endpoint(path: str, **fields: Any) -> WebhookEndpoint:
        endpoint = new_endpoint(**{"url": receiver.url(path), "events": ENDS} | fields)
        database[ENDPOINTS].insert_one(endpoint.model_dump(mode="json", by_alias=True))
        return endpoint

    return add_endpoint


def submit(http: httpx.Client, number: int) -> list[str]:
    """Submit small jobs; return their ids."""
    return [submit_operation(http, "grayscale", PHOTO) for _ in range(number)]


def read_endpoint(database: Database[dict[str, Any]], endpoint: WebhookEndpoint) -> WebhookEndpoint:
    return WebhookEndpoint.model_validate(database[ENDPOINTS].find_one({"_id": endpoint.id}))


def wait_for_deliveries(database: Database[dict[str, Any]], endpoint: WebhookEndpoint, jobs: list[str]) -> None:
    """Wait until the end of each job is delivered to an endpoint."""
    query = {"endpoint_id": endpoint.id, "state": "delivered"}

    def is_delivered() -> bool:
        return {each["task_id"] for each in database[DELIVERIES].find(query, {"task_id": 1})} >= set(jobs)

    wait_until(is_delivered, "all events to be delivered", DELIVERY_SECONDS)


def task_ids(receiver: Receiver, path: str) -> set[str]:
    return {request.verify()["data"]["task_id"] for request in list(receiver.received) if request.path == path}


def kill_senders(stack: Stack) -> None:
    """Kill the processes that send."""
    for pid in stack.children(OUTBOUND_WORKER):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_every_event_arrives_where_a_third_of_the_requests_fails_and_another_endpoint_hangs(
    webhook_stack: Stack, http: httpx.Client, database: Database[dict[str, Any]], receiver: Receiver, add: Add
) -> None:
    numbers = count()
    failing, hanging = add("/failing"), add("/hanging")

    def answer(request: Received) -> Reply:
        if request.path == "/hanging":
            return receiver.hang(request)
        return Reply(500 if next(numbers) % 3 == 0 else 204)

    receiver.reply = answer
    jobs = submit(http, 25)
    wait_for_deliveries(database, failing, jobs)
    tried = {"endpoint_id": hanging.id, "tries": {"$gt": 0}}
    wait_until(lambda: database[DELIVERIES].find_one(tried) is not None, "a try to end", DELIVERY_SECONDS)

    assert task_ids(receiver, "/failing") == set(jobs)
    assert receiver.most_at_once["/failing"] <= 4
    found = database[DELIVERIES].find_one(tried) or {}
    assert found["log"][0]["error"] == "timeout"
    outcomes = scrape(webhook_stack, OUTBOUND_WORKER)
    for outcome in ("delivered", "rejected", "timeout"):
        assert outcomes["webhook_tries_total", (("outcome", outcome),)] > 0
    assert outcomes["webhook_deliveries_total", (("outcome", "delivered"),)] >= len(jobs)


def test_nothing_is_lost_when_processes_are_killed_while_they_send(
    webhook_stack: Stack, http: httpx.Client, database: Database[dict[str, Any]], receiver: Receiver, add: Add
) -> None:
    numbers = count()

    def answer(_: Received) -> Reply:
        number = next(numbers)
        if number == 8:
            kill_senders(webhook_stack)
        return Reply(503 if number % 3 == 0 else 204)

    receiver.reply = answer
    endpoint = add("/killed")
    jobs = submit(http, 25)
    wait_for_deliveries(database, endpoint, jobs)

    assert next(numbers) > 25
    assert task_ids(receiver, "/killed") == set(jobs)
    assert set(receiver.ids("/killed")) == {f"{job}-0-1-done" for job in jobs}


def test_an_endpoint_that_is_gone_gets_nothing_more(
    webhook_stack: Stack, http: httpx.Client, database: Database[dict[str, Any]], receiver: Receiver, add: Add
) -> None:
    gone, other = add("/gone"), add("/other")
    receiver.reply = lambda request: Reply(410 if request.path == "/gone" else 200)

    wait_for_deliveries(database, other, submit(http, 1))
    wait_until(lambda: read_endpoint(database, gone).disabled is not None, "the endpoint to be disabled")
    wait_for_deliveries(database, other, submit(http, 2))

    assert read_endpoint(database, gone).disabled is DisabledReason.GONE
    assert len(receiver.ids("/gone")) == 1
    assert len(receiver.ids("/other")) == 3
    lines = select_events(find_log_lines(webhook_stack, gone.id), "webhook.disabled")
    assert [(line["reason"], line["process"]) for line in lines] == [("gone", OUTBOUND_WORKER)]


def test_a_redirect_and_a_request_for_time_are_heeded(
    http: httpx.Client, database: Database[dict[str, Any]], receiver: Receiver, add: Add
) -> None:
    moved, busy = add("/moved"), add("/busy")
    replies = {
        "/moved": Reply(302, {"Location": receiver.url("/elsewhere")}),
        "/busy": Reply(429, {"Retry-After": "3600"}),
    }
    receiver.reply = lambda request: replies[request.path]
    submit(http, 1)

    def tries(endpoint: WebhookEndpoint) -> int:
        found = database[DELIVERIES].find_one({"endpoint_id": endpoint.id}) or {}
        return int(found.get("tries", 0))

    wait_until(lambda: tries(moved) >= 2 and tries(busy) >= 1, "tries", DELIVERY_SECONDS)

    assert {request.path for request in receiver.received} == {"/moved", "/busy"}
    assert len(receiver.ids("/busy")) == 1
    assert (read_endpoint(database, busy).due_ms or 0) > 3_000_000 + (read_endpoint(database, moved).due_ms or 0)


def test_both_secrets_sign_while_one_replaces_the_other(
    webhook_stack: Stack, http: httpx.Client, database: Database[dict[str, Any]], receiver: Receiver, add: Add
) -> None:
    secrets = [Secret(value=OTHER), Secret(value=SECRET, expires_ms=9_999_999_999_999)]
    endpoint = add("/rotated?token=hidden", secrets=secrets)

    (job,) = submit(http, 1)
    wait_for_deliveries(database, endpoint, [job])

    (request,) = receiver.received
    assert request.verify(SECRET) == request.verify(OTHER)
    assert (request.verify()["type"], request.verify()["data"]["status"]) == ("job.done", "done")
    assert (request.headers["content-type"], request.headers["user-agent"].partition("/")[0]) == (
        "application/json", "Darkroom",
    )  # fmt: skip
    lines = find_log_lines(webhook_stack, endpoint.id)
    (delivered,) = select_events(lines, "delivery.delivered")
    assert (delivered["task_id"], delivered["webhook_id"]) == (job, endpoint.id)
    assert {line["task_id"] for line in lines if "task_id" in line} == {job}
    for name in (OUTBOUND_WORKER, "gateway"):
        assert not {secret for secret in ("hidden", SECRET, OTHER) if secret in webhook_stack.log(name)}


def test_an_endpoint_of_a_newer_version_holds_nobody_up(
    http: httpx.Client, database: Database[dict[str, Any]], add: Add
) -> None:
    newer = new_endpoint(events=ENDS).model_dump(mode="json", by_alias=True) | {"events": {"job": 1}, "due_ms": 1}
    database[ENDPOINTS].insert_one(newer)
    endpoint = add("/hook")

    wait_for_deliveries(database, endpoint, submit(http, 2))

    assert database[ENDPOINTS].find_one({"_id": newer["_id"]}) == newer
