"""What a worker's child sends itself is what Celery and kombu would have sent; they send whatever else there is."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import pytest
from celery.app.task import Context
from celery.canvas import Signature
from kombu.exceptions import OperationalError
from redis import Redis

from pipeline import tasks
from pipeline.canvas import publish_canvas
from pipeline.celery import app
from pipeline.direct_task import publish_directly
from pipeline.settings import Settings
from storage.documents import Kind
from tests.support.fakes import UNREACHABLE_URL, new_job

Entry = dict[str, Any]
Send = Callable[[], None]


@pytest.fixture
def both(redis: Redis, settings: Settings) -> Callable[[Send], tuple[list[Entry], list[Entry]]]:
    """Send something through Celery, then directly; return the entries of both, without what is new in each."""

    def send(function: Send) -> tuple[list[Entry], list[Entry]]:
        results = []
        for block in (nullcontext(), publish_directly(settings.redis_url)):
            with block:
                function()
            results.append(_take_all(redis))
        return results[0], results[1]

    return send


def test_each_message_of_a_canvas_is_as_celery_sends_it(redis: Redis, both: Any) -> None:
    publish_canvas(new_job())
    [first] = _take_all(redis)

    normalized, directly = both(lambda: _continue(first))
    resized, resized_directly = both(lambda: _continue(normalized[0]))
    finalized, finalized_directly = both(lambda: _count_parts(resized))

    assert [entry["headers"]["task"] for entry in (*normalized, *resized, *finalized)] == [
        "normalize",
        *["resize"] * 3,
        "finalize",
    ]
    assert (directly, resized_directly, finalized_directly) == (normalized, resized, finalized)


@pytest.mark.parametrize("kind", [Kind.CROP, Kind.PROCESS])
def test_each_message_of_an_operation_is_as_celery_sends_it(redis: Redis, both: Any, kind: Kind) -> None:
    publish_canvas(new_job(kind=kind))
    sent = _take_all(redis)

    for task in ("transform", "finalize"):
        stock, directly = both(partial(_continue, sent[-1]))
        assert directly == stock
        assert [entry["headers"]["task"] for entry in stock] == [task]
        sent += stock


def test_an_errback_is_as_celery_sends_it(both: Any) -> None:
    errback = tasks.on_failed.si("failed", "job").set(queue="finalize", task_id="one")

    stock, directly = both(lambda: errback.apply_async(parent_id="parent", root_id="root"))

    assert directly == stock
    assert len(stock) == 1


@pytest.mark.parametrize("options", [{"countdown": 5}, {"expires": 60}, {"headers": {"name": "value"}}])
def test_a_message_that_needs_more_is_left_to_celery(both: Any, options: dict[str, Any]) -> None:
    message = tasks.validate.si("job").set(queue="validate", task_id="one", **options)

    stock, directly = both(message.apply_async)

    for entry in (*stock, *directly):
        entry["headers"].update(eta=None, expires=None, delay_ms=None)
    assert directly == stock
    assert len(stock) == 1


def test_a_canvas_is_sent_by_celery_in_the_same_block(redis: Redis, settings: Settings) -> None:
    with publish_directly(settings.redis_url):
        publish_canvas(new_job())
        publish_canvas(new_job())

    assert redis.llen("validate") == 2


def test_messages_that_redis_does_not_take_are_an_error_of_the_broker() -> None:
    with publish_directly(UNREACHABLE_URL), pytest.raises(OperationalError):
        tasks.validate.si("job").set(queue="validate", task_id="one").apply_async()


def test_a_block_that_ends_with_an_error_sends_nothing(redis: Redis, settings: Settings) -> None:
    def send() -> None:
        with app.producer_or_acquire() as batch:
            tasks.validate.si("job").set(queue="validate", task_id="one").apply_async(producer=batch)
            raise LookupError

    with publish_directly(settings.redis_url), pytest.raises(LookupError):
        send()

    assert redis.llen("validate") == 0


def _continue(entry: Entry) -> None:
    """Send what follows a task, as Celery does when it has ended."""
    headers, (_, _, embed) = entry["headers"], entry["body"]
    *rest, following = embed["chain"]
    signature: Any = Signature.from_dict(following, app=app)
    signature.apply_async((None,), chain=rest, parent_id=headers["id"], root_id=headers["root_id"], priority=None)


def _count_parts(entries: list[Entry]) -> None:
    """Count the parts of a chord, each of which sends what follows it."""
    app.backend.set_chord_size(entries[0]["headers"]["group"], len(entries))
    for entry in entries:
        request = Context(entry["headers"], chord=entry["body"][2]["chord"], called_directly=False)
        tasks.resize.push_request(**vars(request))
        app.backend.on_chord_part_return(request, "SUCCESS", None)
        tasks.resize.pop_request()


def _take_all(redis: Any) -> list[Entry]:
    entries = []
    for queue in ("validate", "normalize", "resize", "transform", "finalize"):
        while text := redis.rpop(queue):
            entry = json.loads(text)
            entry["body"] = json.loads(base64.b64decode(entry["body"]))
            del entry["properties"]["delivery_tag"], entry["headers"]["queued_ms"]
            entries.append(entry)
    return entries
