"""Faults of what others write: messages that no canvas sends, and a job document that this version cannot read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from uuid import uuid4

import httpx
from redis import Redis

from pipeline.routing import LANE_QUEUES
from tests.support.forged_messages import IN_REDIS, IN_UNACKED, ForgedMessage
from tests.support.http_options import HTTP_OPTIONS
from tests.tools.chaos.message_faults import take_message
from tests.tools.chaos.scene import FaultEffect, Scene
from tests.tools.chaos.timing import ENDED_SECONDS
from tests.tools.chaos.violations import ViolationKind
from tests.tools.chaos.witness import retry_mongo, wait_for

LONG_AGO_MS = 1_000_000_000_000
DRAIN_SECONDS = 30.0
NO_STAGES = (("resize", "colossal"), ("resize", "normalize"), ("resize", "$where"), ("transform",), ("no_task",))
"""Tasks and renditions of which the job has no stage."""
UNREADABLE_ID = "01900000-0000-7000-8000-00000000bad1"  # sorts before every job


def messages_forged(scene: Scene) -> Iterator[FaultEffect]:
    """Put forged messages at the head of a queue, and among those that workers have taken and not acknowledged."""
    queue, job_id = scene.random.choice(LANE_QUEUES), retry_mongo(scene.witness.newest)
    waiting = [*IN_REDIS.values(), *(_forge(task, job_id, *others) for task, *others in NO_STAGES)]
    with Redis.from_url(scene.stack.redis_url) as redis:
        redis.rpush(queue, *waiting)
        for entry in IN_UNACKED.values():
            tag = str(uuid4())
            redis.hset("unacked", tag, entry)
            redis.zadd("unacked_index", {tag: LONG_AGO_MS / 1000})
        yield FaultEffect(f"{len(waiting)} in {queue}, {len(IN_UNACKED)} unacknowledged")
        wait_for(lambda: redis.lpos(queue, waiting[0]) is None, DRAIN_SECONDS)  # what stays is found in the end
        wait_for(lambda: not redis.zcount("unacked_index", 0, LONG_AGO_MS / 1000), DRAIN_SECONDS)


def document_unreadable(scene: Scene) -> Iterator[FaultEffect]:
    """Insert a job of an unknown kind that is long due, and lose a message: its job is dispatched again beside it."""
    document = {"_id": UNREADABLE_ID, "kind": "hologram", "state": "accepted", "next_dispatch_ms": LONG_AGO_MS}
    scene.witness.insert(document)
    try:
        yield FaultEffect()
        _check_dispatch(scene)
        _check_lists(scene)
        found = retry_mongo(lambda: scene.witness.read(UNREADABLE_ID)) or {}
        if found | {"next_dispatch_ms": LONG_AGO_MS} != document:  # the sweeper may put it off
            scene.report(ViolationKind.WRONG_RESULT, f"a document of an unknown kind was changed: {found}")
    finally:
        scene.witness.remove(UNREADABLE_ID)


def _check_dispatch(scene: Scene) -> None:
    """Lose a message, and report it if the sweeper does not see to the end of its job."""
    if taken := take_message(scene):
        queue, job_id = taken
        if not wait_for(lambda: scene.witness.has_ended(job_id), ENDED_SECONDS):
            sentence = f"its message in {queue} was lost {ENDED_SECONDS:.0f} s ago, beside an unreadable document"
            scene.report(ViolationKind.STUCK, sentence, job_id)


def _check_lists(scene: Scene) -> None:
    """Report it if a gateway cannot list jobs beside an unreadable one."""
    for name, url in scene.stack.urls.items():
        answer = httpx.get(f"{url}/jobs", params={"status": "accepted"}, timeout=30, **HTTP_OPTIONS)
        if answer.status_code != httpx.codes.OK:
            sentence = f"{name} answers a list of jobs {answer.status_code}, beside an unreadable document"
            scene.report(ViolationKind.REFUSED, sentence)


def _forge(task: str, job_id: str | None, *others: str) -> bytes:
    """Return a message for a real job."""
    usual = ForgedMessage()
    body = json.dumps([[job_id, *others], {}, {}]).encode()
    return ForgedMessage(body, usual.headers | {"task": task, "root_id": job_id}).to_redis()
