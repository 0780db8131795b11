"""Forged messages in the queues of real workers: each is dropped, and what is beside it goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from redis import Redis

from deploy.local.stack import Stack
from tests.integration.api_helpers import submit_photo, wait_for_all, wait_until
from tests.support.forged_messages import IN_REDIS, IN_UNACKED, READABLE
from tests.support.images import photo_file

COUNTER = "darkroom_unreadable_messages_total "


@pytest.fixture
def redis(stack: Stack) -> Iterator[Redis]:
    with Redis.from_url(stack.redis_url) as redis:
        yield redis


def read_count(stack: Stack, worker: str) -> int:
    lines = httpx.get(stack.metrics_urls[worker]).text.splitlines()
    return next(int(float(line.removeprefix(COUNTER))) for line in lines if line.startswith(COUNTER))


def read_errors(stack: Stack, worker: str) -> list[str]:
    """Return the events of the errors that a worker has logged since its start."""
    complete = stack.read_log_since_start(worker).split("\n")[:-1]  # what follows is still being written
    lines = [json.loads(line) for line in complete]
    return [line["event"] for line in lines if line.get("level") in ("error", "critical")]


def test_a_worker_drops_each_unreadable_message_and_takes_the_next(
    client: httpx.Client, stack: Stack, redis: Redis
) -> None:
    worker, counted, logged = stack.pid("validate"), read_count(stack, "validate"), read_errors(stack, "validate")

    for entry in IN_REDIS.values():
        redis.lpush("validate", entry)
    (job,) = wait_for_all(client, [submit_photo(client, photo_file())])

    assert job["status"] == "done"
    wait_until(lambda: not redis.exists("validate", "unacked", "unacked_index"), "the forged messages to be gone")
    dropped = len(IN_REDIS.keys() - READABLE)
    wait_until(lambda: read_count(stack, "validate") == counted + dropped, "all to be counted")
    wait_until(lambda: len(read_errors(stack, "validate")) == len(logged) + dropped, "all to be logged")
    assert set(read_errors(stack, "validate")[len(logged) :]) == {"message.unreadable"}
    assert stack.pid("validate") == worker


def test_unreadable_messages_are_not_delivered_again_and_those_beside_them_are(
    client: httpx.Client, stack: Stack, redis: Redis
) -> None:
    worker = stack.pid("finalize")
    for number, entry in enumerate(IN_UNACKED.values()):
        redis.hset("unacked", f"forged {number}", entry)
        redis.zadd("unacked_index", {f"forged {number}": number + 1})
    redis.zadd("unacked_index", {"forged and gone": 1})

    wait_until(lambda: not redis.exists("unacked", "unacked_index"), "the forged messages to be gone", 20)

    (job,) = wait_for_all(client, [submit_photo(client, photo_file())])
    assert job["status"] == "done"
    assert stack.pid("finalize") == worker
