"""Faults of messages: delivered twice, delivered too early, and lost on the way."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

from celery import Celery
from redis import Redis

from tests.tools.chaos.scene import FaultEffect, Scene
from tests.tools.chaos.stack import POOLS
from tests.tools.chaos.timing import MAX_ATTEMPTS

GATHER_SECONDS = 2.0
MOST = 30
OVER_BUDGET = MAX_ATTEMPTS + 2  # times a job: none of them may count


def duplicates(scene: Scene) -> Iterator[FaultEffect]:
    """Push copies of messages that wait or are being worked on, some at once, some when their stage is long done."""
    deadline = time.monotonic() + GATHER_SECONDS
    gathered: dict[str, tuple[str, str]] = {}
    with Redis.from_url(scene.stack.redis_url, decode_responses=True) as redis:
        while time.monotonic() < deadline and len(gathered) < MOST:
            for tag, queue, message in _messages(redis):
                if tag not in gathered and scene.random.random() < 0.5:
                    redis.lpush(queue, message)
                gathered[tag] = (queue, message)
            time.sleep(0.01)
        for queue, message in gathered.values():
            redis.lpush(queue, message)
    yield FaultEffect(f"{len(gathered)} messages")


def chord_early(scene: Scene) -> Iterator[FaultEffect]:
    """Send finalize for jobs as soon as they are seen, before their stages are done, as if a chord had miscounted."""
    deadline = time.monotonic() + GATHER_SECONDS
    seen = set(scene.witness.active_ids())
    with Celery("chaos", broker=scene.stack.redis_url, set_as_current=False) as app:
        while time.monotonic() < deadline:
            for job_id in set(scene.witness.active_ids()) - seen:
                seen.add(job_id)
                for _ in range(OVER_BUDGET):
                    app.send_task("finalize", args=[job_id], queue="finalize", ignore_result=True)
            time.sleep(0.005)
    yield FaultEffect(f"{len(seen)} jobs")


def message_lost(scene: Scene) -> Iterator[FaultEffect]:
    """Take a message from a queue as a worker does that dies before it has it."""
    with Redis.from_url(scene.stack.redis_url, decode_responses=True) as redis:
        taken = redis.brpop(list(scene.random.sample(POOLS, len(POOLS))), timeout=5)
    if taken:
        yield FaultEffect(str(taken[0]))


def _messages(redis: Redis) -> Iterator[tuple[str, str, str]]:
    """Find what waits and what is unacknowledged: delivery tag, queue, message, as kombu keeps them."""
    for queue in POOLS:
        for text in redis.lrange(queue, 0, -1):
            yield json.loads(text)["properties"]["delivery_tag"], queue, str(text)
    for tag, entry in redis.hgetall("unacked").items():
        message, _, queue = json.loads(entry)
        yield str(tag), queue, json.dumps(message)
