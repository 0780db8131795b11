"""Lanes: where the messages of a job go, and that a worker takes from both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery.app.amqp import Queues
from celery.app.task import Context
from kombu import Queue

from pipeline import tasks
from pipeline.canvas import build_canvas, publish_canvas
from pipeline.routing import ERRBACK, FINALIZE, QUEUES, ROUTES, VALIDATE, consume_all_lanes, lane_queue, lane_queues
from storage.documents import Kind, Lane
from tests.support.fakes import FakeBroker, new_job


@pytest.mark.parametrize(
    ("lane", "queue"), [(Lane.EXPRESS, "resize"), (Lane.BULK, "resize.bulk"), ("bulk", "resize.bulk")]
)
def test_a_lane_has_a_queue_of_its_own(lane: str, queue: str) -> None:
    assert lane_queue("resize", lane) == queue


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("lane", Lane)
def test_all_messages_of_a_job_take_its_lane(kind: Kind, lane: Lane) -> None:
    signatures = list(_walk(build_canvas(new_job(kind, lane=lane))))

    expected = {name: lane_queue(route["queue"], lane) for name, route in ROUTES.items()}
    assert {each["task"] for each in signatures} >= {VALIDATE, FINALIZE, ERRBACK}
    assert [each["options"].get("queue") for each in signatures] == [expected[each["task"]] for each in signatures]


def test_a_message_is_published_in_the_lane_of_its_job(broker: FakeBroker) -> None:
    publish_canvas(new_job(lane=Lane.BULK))

    assert [message.delivery_info["routing_key"] for message in broker.take_messages()] == ["validate.bulk"]


def test_a_retried_message_stays_in_its_lane(broker: FakeBroker) -> None:
    delivered = {"exchange": "", "routing_key": "resize.bulk"}
    request = Context(id="one", args=["job", "small"], kwargs={}, delivery_info=delivered)

    tasks.resize.signature_from_request(request).apply_async()

    assert [message.delivery_info["routing_key"] for message in broker.take_messages()] == ["resize.bulk"]


def test_a_worker_of_a_queue_consumes_it_in_all_lanes() -> None:
    queues = Queues([Queue(lane) for name in QUEUES for lane in lane_queues(name)])
    queues.select(["resize", "finalize"])

    consume_all_lanes(queues)

    assert set(queues.consume_from) == {"resize", "resize.bulk", "finalize", "finalize.bulk"}


def _walk(part: Any) -> Iterator[dict[str, Any]]:
    """Yield the signatures of single tasks in a canvas, wherever they are in it."""
    if isinstance(part, dict):
        if not part.get("subtask_type") and part.get("task"):
            yield part
        for each in part.values():
            yield from _walk(each)
    elif isinstance(part, list | tuple):
        for each in part:
            yield from _walk(each)
