"""The canvas as it is published: one message that holds the whole job, and no byte of its image."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from kombu import Message

from pipeline.canvas import publish_canvas, root_id
from pipeline.celery import QUEUED_HEADER, app
from pipeline.routing import QUEUES, ROUTES
from pipeline.stage_order import prerequisites, stage_order_of
from storage.clock import now_ms
from storage.documents import DestinationReference, JobRecord, Kind, Operation
from tests.support.fakes import FakeBroker, new_job


@pytest.fixture
def job() -> JobRecord:
    return new_job()


@pytest.fixture
def message(job: JobRecord, broker: FakeBroker) -> Message:
    publish_canvas(job)
    [message] = broker.take_messages()
    return message


def test_the_first_task_has_the_id_of_its_job(message: Message, job: JobRecord) -> None:
    assert message.headers["id"] == job.id


def test_every_task_has_the_id_of_its_job_as_root(message: Message, job: JobRecord) -> None:
    assert message.headers["root_id"] == job.id


def test_a_job_sent_again_has_a_root_of_its_own() -> None:
    assert root_id(new_job(id="job", generation=2)) == "job.2"


def test_a_job_is_published_under_the_root_of_its_generation(broker: FakeBroker) -> None:
    job = new_job(generation=3)

    publish_canvas(job)

    [message] = broker.take_messages()
    assert message.headers["id"] == f"{job.id}.3"


def test_the_canvas_begins_in_the_queue_of_its_first_stage(message: Message) -> None:
    assert message.delivery_info["routing_key"] == "validate"


def test_the_message_says_when_it_was_sent(job: JobRecord, broker: FakeBroker) -> None:
    start = now_ms()

    publish_canvas(job)

    [message] = broker.take_messages()
    assert start <= int(message.headers[QUEUED_HEADER]) <= now_ms()


def test_the_message_holds_every_stage_of_the_job(message: Message, job: JobRecord) -> None:
    stages = [message.headers["task"], *_stages(_rest(message))]

    assert sorted(stages) == sorted(job.stages)


@pytest.mark.parametrize("renditions", [{"only": 100}, {"small": 100, "large": 200}])
def test_an_export_comes_between_the_renditions_and_the_end(broker: FakeBroker, renditions: dict[str, int]) -> None:
    destination = DestinationReference(name="shop", key="{rendition}")
    operation = Operation(renditions=dict(renditions), destination=destination)
    job = new_job(renditions=renditions, operation=operation)

    publish_canvas(job)

    [message] = broker.take_messages()
    assert sorted([message.headers["task"], *_stages(_rest(message))]) == sorted(job.stages)
    order = stage_order_of(job)
    assert order == (("validate",), ("normalize",), tuple(renditions), ("export",), ("finalize",))
    assert prerequisites(order, "export") == ("validate", "normalize", *renditions)


def test_a_rendition_of_an_earlier_version_that_is_called_as_a_stage_is_no_such_stage(broker: FakeBroker) -> None:
    job = new_job(renditions={"export": 100, "fetch": 200})

    publish_canvas(job)

    [message] = broker.take_messages()
    assert message.headers["task"] == "validate"
    assert sorted(_stages(_rest(message))) == ["export", "fetch", "finalize", "normalize"]
    assert stage_order_of(job) == (("validate",), ("normalize",), ("export", "fetch"), ("finalize",))


def test_a_job_of_one_rendition_holds_every_stage(broker: FakeBroker) -> None:
    job = new_job(renditions={"only": 100})

    publish_canvas(job)

    [message] = broker.take_messages()
    assert sorted([message.headers["task"], *_stages(_rest(message))]) == sorted(job.stages)


def test_every_task_is_given_its_job_and_at_most_a_rendition(message: Message, job: JobRecord) -> None:
    given = [message.payload[0], *(task["args"] for task in _tasks(_rest(message)))]

    assert sorted(given) == sorted([[job.id]] * 3 + [[job.id, name] for name in job.operation.renditions])


def test_the_errback_is_on_the_first_task(message: Message, job: JobRecord) -> None:
    [errback] = message.payload[2]["errbacks"]

    assert (errback["task"], errback["args"]) == ("on_failed", [job.id])


def test_the_errback_is_on_every_task_that_follows_one_by_one(message: Message) -> None:
    following = {
        task["task"]: [errback["task"] for errback in task["options"].get("link_error", [])]
        for task in _tasks(_rest(message))
        if task["task"] != "resize"  # of a chord, the body tells
    }

    assert following == {"normalize": ["on_failed"], "finalize": ["on_failed"]}


def test_the_errback_takes_the_failed_id_before_its_own_arguments(message: Message) -> None:
    [errback] = message.payload[2]["errbacks"]

    assert not errback["immutable"]


@pytest.fixture(params=[Kind.CROP, Kind.GRAYSCALE, Kind.RESIZE, Kind.PROCESS])
def operation(request: pytest.FixtureRequest) -> JobRecord:
    return new_job(request.param)


@pytest.fixture
def sent(operation: JobRecord, broker: FakeBroker) -> Message:
    """The message of an operation."""
    publish_canvas(operation)
    [message] = broker.take_messages()
    return message


def test_an_operation_runs_under_the_id_of_its_job(sent: Message, operation: JobRecord) -> None:
    assert (sent.headers["id"], sent.headers["root_id"]) == (operation.id, operation.id)


def test_an_operation_holds_every_stage_of_its_job(sent: Message, operation: JobRecord) -> None:
    assert sorted([sent.headers["task"], *_stages(_rest(sent))]) == sorted(operation.stages)


def test_an_operation_is_sent_without_a_chord(sent: Message) -> None:
    assert [task["task"] for task in _rest(sent)[::-1]] == ["transform", "finalize"]


def test_every_task_of_an_operation_is_given_its_job_alone(sent: Message, operation: JobRecord) -> None:
    assert [sent.payload[0], *(task["args"] for task in _tasks(_rest(sent)))] == [[operation.id]] * 3


def test_the_errback_is_on_every_task_of_an_operation(sent: Message, operation: JobRecord) -> None:
    errbacks = [sent.payload[2]["errbacks"], *(task["options"]["link_error"] for task in _tasks(_rest(sent)))]

    assert [[(each["task"], each["args"]) for each in some] for some in errbacks] == [
        [("on_failed", [operation.id])]
    ] * 3


def test_what_is_asked_of_an_operation_is_not_in_its_message(broker: FakeBroker) -> None:
    asked = Operation(parameters={"width": 987_654}, background="#abcdef")

    publish_canvas(new_job(Kind.RESIZE, operation=asked))

    [message] = broker.take_messages()
    text = json.dumps([message.headers, message.payload])
    assert [word for word in ("987654", "#abcdef") if word in text] == []


def test_the_message_holds_nothing_of_the_upload(message: Message, job: JobRecord) -> None:
    text = json.dumps([message.headers, message.payload])

    assert [word for word in (job.original.sha256, job.original.blob, str(job.original.name)) if word in text] == []


def test_the_message_is_json(message: Message) -> None:
    assert message.content_type == "application/json"


def test_every_task_of_the_app_has_a_route() -> None:
    assert {name for name in app.tasks if not name.startswith("celery.")} == set(ROUTES)


def test_every_route_leads_to_a_queue_that_exists() -> None:
    assert {route["queue"] for route in ROUTES.values()} <= set(QUEUES)


def _rest(message: Message) -> list[dict[str, Any]]:
    """Return the signatures that follow the first task, as they are in its message."""
    rest: list[dict[str, Any]] = message.payload[2]["chain"]
    return rest


def _tasks(signatures: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the tasks of signatures, those of chords and groups too."""
    for signature in signatures:
        inner = signature["kwargs"]
        if "header" in inner:
            yield from _tasks([inner["header"], inner["body"]])
        elif "tasks" in inner:
            yield from _tasks(inner["tasks"])
        else:
            yield signature


def _stages(signatures: list[dict[str, Any]]) -> list[str]:
    return [task["args"][1] if len(task["args"]) > 1 else task["task"] for task in _tasks(signatures)]
