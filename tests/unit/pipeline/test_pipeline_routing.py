"""Lanes: where the messages of a job go, and that a worker takes from both."""

from __future__ import annotations

import pytest
from celery.app.amqp import Queues
from kombu import Queue

from pipeline import context
from pipeline.celery import app, configure
from pipeline.routing import QUEUES, ROUTES, consume_all_lanes, lane_queue, lane_queues
from pipeline.settings import Settings
from storage.documents import Lane
from tests.fakes import new_job


@pytest.mark.parametrize(
    ("lane", "queue"), [(Lane.EXPRESS, "resize"), (Lane.BULK, "resize.bulk"), ("bulk", "resize.bulk")]
)
def test_a_lane_is_the_queue_or_its_twin(lane: str, queue: str) -> None:
    assert lane_queue("resize", lane) == queue


@pytest.mark.parametrize("task", ROUTES)
@pytest.mark.parametrize("lane", Lane)
def test_all_messages_of_a_job_take_its_lane(task: str, lane: Lane) -> None:
    configure(Settings())
    job = new_job().model_copy(update={"lane": lane})

    with context.messages_of(job):
        route = app.amqp.router.route({}, task)

    assert route["queue"].name == lane_queue(ROUTES[task]["queue"], lane)


def test_what_is_sent_because_of_a_bulk_message_is_bulk_too() -> None:
    with context.message({"lane": "bulk", "root_id": "job"}, "validate", ["job"]):
        assert context.lane() == "bulk"


def test_a_worker_of_a_queue_takes_from_its_twin_too() -> None:
    queues = Queues([Queue(lane) for name in QUEUES for lane in lane_queues(name)])
    queues.select(["resize", "finalize"])

    consume_all_lanes(queues)

    assert set(queues.consume_from) == {"resize", "resize.bulk", "finalize", "finalize.bulk"}
