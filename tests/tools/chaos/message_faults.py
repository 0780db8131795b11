"""Faults of messages: delivered twice, delivered too early, and lost on the way."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress

from celery import Celery
from redis import Redis

from pipeline.routing import LANE_QUEUES
from tests.tools.chaos.scene import FaultEffect, Scene
from tests.tools.chaos.timing import MAX_ATTEMPTS

GATHER_SECONDS = 2.0
MOST = 30
COPIES = 5
NO_MESSAGE = (ValueError, KeyError, TypeError, RecursionError)
OVER_BUDGET = MAX_ATTEMPTS + 2  # times a job: none of them may count


def duplicates(scene: Scene) -> Iterator[FaultEffect]:
    """Push copies of messages that wait or are worked on: five of some at once, one of each when its stage is done."""
    deadline = time.monotonic() + GATHER_SECONDS
    gathered: dict[str, tuple[str, str]] = {}
    with Redis.from_url(scene.stack.redis_url, decode_responses=True) as redis:
        while time.monotonic() < deadline and len(gathered) < MOST:
            for tag, queue, message in _messages(redis):
                if tag not in gathered and scene.random.random() < 0.5:
                    redis.lpush(queue, *[message] * COPIES)
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
    if taken := take_message(scene):
        yield FaultEffect(taken[0])


def take_message(scene: Scene) -> tuple[str, str] | None:
    """Take the next message that comes to any queue; return the queue and the id of its job, None when none comes."""
    with Redis.from_url(scene.stack.redis_url, decode_responses=True) as redis:
        taken = redis.brpop(list(scene.random.sample(LANE_QUEUES, len(LANE_QUEUES))), timeout=5)
    if not taken:
        return None
    queue, text = taken
    with suppress(*NO_MESSAGE):
        return str(queue), str(json.loads(text)["headers"]["root_id"]).partition(".")[0]
    return None


def _messages(redis: Redis) -> Iterator[tuple[str, str, str]]:
    """Find what waits and what is unacknowledged: delivery tag, queue, message, as kombu keeps them. Skip forgeries."""
    for queue in LANE_QUEUES:
        for text in redis.lrange(queue, 0, -1):
            with suppress(*NO_MESSAGE):
                yield json.loads(text)["properties"]["delivery_tag"], queue, str(text)
    for tag, entry in redis.hgetall("unacked").items():
        with suppress(*NO_MESSAGE):
            message, _, queue = json.loads(entry)
            yield str(tag), queue, json.dumps(message)
