"""The lane of a stage: renditions in heavy formats take the bulk lane, and nothing else changes its lane."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.canvas import publish_canvas
from pipeline.lanes import lane_of_stage, queue_of_message
from storage.documents import JobRecord, Kind, Lane, Operation
from tests.support.fakes import FakeBroker, new_job

RENDITIONS = {"light": {"edge": 100, "formats": ["auto", "jpeg"]}, "heavy": {"edge": 100, "formats": ["avif", "jpeg"]}}


@pytest.fixture
def job() -> JobRecord:
    return new_job(renditions={"light": 1, "heavy": 1}, operation=Operation(renditions=RENDITIONS))


def test_only_a_rendition_in_a_heavy_format_takes_the_bulk_lane(job: JobRecord) -> None:
    assert {stage: lane_of_stage(job, stage) for stage in job.stages} == {
        "validate": Lane.EXPRESS,
        "normalize": Lane.EXPRESS,
        "light": Lane.EXPRESS,
        "heavy": Lane.BULK,
        "finalize": Lane.EXPRESS,
    }


def test_a_bulk_job_has_no_stage_in_the_express_lane(job: JobRecord) -> None:
    bulk = job.model_copy(update={"lane": Lane.BULK})

    assert {queue_of_message(bulk, stage).rpartition(".")[2] for stage in bulk.stages} == {"bulk"}


@pytest.mark.parametrize(("format_", "lane"), [("avif", Lane.BULK), ("jpeg", Lane.EXPRESS), ("auto", Lane.EXPRESS)])
def test_the_format_of_an_upload_counts_too(format_: str, lane: Lane) -> None:
    job = new_job(renditions={"small": 1}, operation=Operation(renditions={"small": 160}, format=format_))

    assert (lane_of_stage(job, "small"), lane_of_stage(job, "normalize")) == (lane, Lane.EXPRESS)


def test_an_operation_stays_in_its_lane() -> None:
    crop = new_job(Kind.CROP, operation=Operation(format="avif"))

    assert {lane_of_stage(crop, stage) for stage in crop.stages} == {Lane.EXPRESS}


def test_the_canvas_sends_each_message_to_the_queue_of_its_lane(job: JobRecord, broker: FakeBroker) -> None:
    publish_canvas(job)

    [message] = broker.take_messages()
    queues = {
        signature["args"][-1]: signature["options"]["queue"] for signature in _resizes(message.payload[2]["chain"])
    }
    assert queues == {"light": "resize", "heavy": "resize.bulk"}


def _resizes(signatures: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for signature in signatures:
        if signature["task"] == "resize":
            yield signature
        for inner in ("header", "tasks", "body"):
            found = signature["kwargs"].get(inner, [])
            yield from _resizes(found if isinstance(found, list) else [found])
