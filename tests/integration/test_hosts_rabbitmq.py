"""Messages over RabbitMQ: a whole stack whose broker and workers are killed at work, and the jobs go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest
from redis import Redis

from deploy.local.stack import Stack
from pipeline.routing import LANE_QUEUES
from tests.conftest import SHORT_TIMEOUTS
from tests.integration.api_helpers import submit_photo, wait_for_all, wait_until
from tests.integration.progress import finalizations, wait_for_the_resizes
from tests.support.forged_messages import MESSAGES, READABLE
from tests.support.http_options import HTTP_CLIENT_OPTIONS
from tests.support.images import photo_file
from tests.support.programs import ROOT
from tests.support.rabbitmq_server import RabbitMQServer

JOBS = 5
BURST = 30
large_photo = partial(photo_file, 2000, 1500)


@pytest.fixture(scope="module")
def hopping(tmp_path_factory: pytest.TempPathFactory, rabbitmq: RabbitMQServer) -> Iterator[Stack]:
    """A stack whose messages go over it."""
    environment = SHORT_TIMEOUTS | {
        "DARKROOM_BROKER_URL": rabbitmq.url,
        "DARKROOM_BROKER__HEALTH_CHECK_INTERVAL": "2",
        "DARKROOM_LANES__BURST": f"{BURST // 2}/minute",
    }
    folder = tmp_path_factory.mktemp("hopping")
    with Stack(folder, shared_pool=2, outbound_pool=1, environment=environment, flower=True) as stack:
        yield stack


@pytest.fixture(scope="module")
def http(hopping: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=hopping.url, timeout=30, **HTTP_CLIENT_OPTIONS) as http:
        yield http


def _untold(stack: Stack) -> set[str]:
    """Return the jobs that the broker was not told of at once."""
    lines = (json.loads(line) for line in stack.log("gateway").splitlines() if "job.undispatched" in line)
    return {line["task_id"] for line in lines}


def _gauge(http: httpx.Client, name: str, queue: str) -> float:
    line = f'darkroom_{name}{{queue="{queue}"}} '
    return next(float(each.removeprefix(line)) for each in http.get("/metrics").text.splitlines() if line in each)


def test_messages_wait_in_rabbitmq_alone_and_are_taken_from_both_lanes_by_turns(
    hopping: Stack, rabbitmq: RabbitMQServer, http: httpx.Client
) -> None:
    hopping.stop_process("worker")
    try:
        task_ids = [submit_photo(http, photo_file()) for _ in range(BURST)]  # a burst: what is over it is bulk
        wait_until(
            lambda: rabbitmq.count_messages("validate") + rabbitmq.count_messages("validate.bulk") == BURST,
            "all messages",
        )
        wait_until(lambda: _gauge(http, "queue_length", "validate") == BURST, "the gateway to see them")
        with Redis.from_url(hopping.redis_url, decode_responses=True) as redis:
            assert not {*LANE_QUEUES, "unacked"} & set(redis.keys("*"))
        assert _gauge(http, "queue_oldest_age_seconds", "validate") > 0
        assert "unacked" not in http.get("/metrics").text
    finally:
        hopping.start_process("worker")

    jobs = sorted(wait_for_all(http, task_ids), key=lambda job: job["stages"]["validate"]["started_at"])
    assert {(job["status"], job["generation"]) for job in jobs} == {("done", 0)}
    assert 1 <= [job["lane"] for job in jobs[: BURST // 2]].count("bulk") < BURST // 2


def test_a_worker_drops_each_unreadable_message_and_takes_the_next(
    hopping: Stack, rabbitmq: RabbitMQServer, http: httpx.Client
) -> None:
    worker = hopping.pid("worker")

    with rabbitmq.connect() as connection:
        channel: Any = connection.default_channel
        for message in MESSAGES.values():
            channel.basic_publish(message.to_rabbitmq(), exchange="", routing_key="validate")
    (job,) = wait_for_all(http, [submit_photo(http, photo_file())])

    assert job["status"] == "done"
    dropped = len(MESSAGES.keys() - READABLE)
    wait_until(lambda: hopping.log("worker").count("message.unreadable") == dropped, "all to be dropped")
    wait_until(lambda: rabbitmq.count_messages("validate") == 0, "none to be left")
    assert hopping.pid("worker") == worker


def test_jobs_outlive_a_broker_that_is_killed_at_work(
    hopping: Stack, rabbitmq: RabbitMQServer, http: httpx.Client
) -> None:
    task_ids = [submit_photo(http, large_photo()) for _ in range(JOBS)]
    wait_for_the_resizes(http, task_ids)

    with rabbitmq.outage(signal.SIGKILL):
        task_ids += [submit_photo(http, photo_file()) for _ in range(2)]
        wait_until(lambda: http.get("/readyz").json()["status"] == "degraded", "the broker to be missed")

    assert {job["status"] for job in wait_for_all(http, task_ids, seconds=90)} == {"done"}
    assert finalizations(hopping.mongo_url, task_ids) == {1}
    assert rabbitmq.password not in hopping.log("gateway") + hopping.log("worker") + hopping.log("flower")


def test_jobs_outlive_a_broker_that_is_stopped_and_started_at_work(
    hopping: Stack, rabbitmq: RabbitMQServer, http: httpx.Client
) -> None:
    task_ids = [submit_photo(http, large_photo()) for _ in range(JOBS)]
    wait_for_the_resizes(http, task_ids)

    with rabbitmq.outage():
        pass

    assert {job["status"] for job in wait_for_all(http, task_ids, seconds=90)} == {"done"}
    assert finalizations(hopping.mongo_url, task_ids) == {1}
    assert set(http.get("/readyz").json()["checks"]) == {"mongo", "blobs", "redis", "rabbitmq", "disk"}


def test_an_upload_is_accepted_while_the_broker_hangs(
    hopping: Stack, rabbitmq: RabbitMQServer, http: httpx.Client
) -> None:
    with rabbitmq.freeze():
        task_ids = [submit_photo(http, photo_file()) for _ in range(2)]
        wait_until(lambda: _untold(hopping) >= set(task_ids), "both to be tried")

    assert {job["status"] for job in wait_for_all(http, task_ids)} == {"done"}
    assert finalizations(hopping.mongo_url, task_ids) == {1}


def test_what_a_killed_worker_held_is_delivered_again(hopping: Stack, http: httpx.Client) -> None:
    task_ids = [submit_photo(http, large_photo()) for _ in range(JOBS)]
    wait_for_the_resizes(http, task_ids)

    children = hopping.children("worker")
    hopping.signal("worker", signal.SIGKILL)
    for child in children:
        os.kill(child, signal.SIGKILL)

    assert {job["status"] for job in wait_for_all(http, task_ids, seconds=90)} == {"done"}
    assert finalizations(hopping.mongo_url, task_ids) == {1}


def test_flower_shows_queues_and_workers(hopping: Stack) -> None:
    with httpx.Client(base_url=hopping.flower_url, timeout=10, **HTTP_CLIENT_OPTIONS) as flower:
        wait_until(lambda: "worker@" in flower.get("/workers").text, "a worker to be shown")
        shown = flower.get("/broker").text

    assert all(f'<tr id="{lane}">' in shown for lane in LANE_QUEUES)
    assert "management API" not in hopping.log("flower")


def test_a_wrong_password_is_told_without_it(hopping: Stack, rabbitmq: RabbitMQServer) -> None:
    environment = os.environ | {
        "DARKROOM_REDIS_URL": hopping.redis_url,
        "DARKROOM_MONGO_URL": hopping.mongo_url,
        "DARKROOM_BROKER_URL": rabbitmq.url.replace(rabbitmq.password, "hunter2"),
    }
    command = (
        sys.executable,
        "-m",
        "celery",
        "-A",
        "pipeline.worker",
        "worker",
        "-Q",
        "transform",
        "--concurrency",
        "1",
    )

    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)

    said = ended.stdout + ended.stderr
    assert ended.returncode != 0
    assert "ACCESS_REFUSED" in said
    assert "hunter2" not in said
