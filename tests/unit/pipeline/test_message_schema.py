"""Which messages a worker takes: those of this version's canvas, and none that is forged."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from kombu import Message
from kombu.exceptions import DecodeError
from pydantic import ValidationError

from pipeline.broker.message_schema import check_envelope, check_message
from pipeline.canvas import publish_canvas
from pipeline.tasks import on_failed, resize
from storage.documents import Kind
from tests.support.fakes import FakeBroker, new_job
from tests.support.forged_messages import IN_REDIS, MESSAGES, READABLE, ForgedMessage


def to_kombu(message: ForgedMessage) -> Message:
    """Return the message as kombu hands it to a worker."""
    return Message(
        cast("str", message.body),
        content_type=message.content_type,
        content_encoding=message.content_encoding,
        headers=message.headers,
        accept={"application/json"},
    )


@pytest.mark.parametrize("kind", Kind)
def test_the_messages_of_a_canvas_are_taken(broker: FakeBroker, kind: Kind) -> None:
    publish_canvas(new_job(kind))

    (message,) = broker.take_messages()

    check_message(message)


def test_the_messages_of_later_stages_are_taken(broker: FakeBroker) -> None:
    job = new_job()
    resize.si(job.id, "small").apply_async(countdown=30, expires=60, root_id=f"{job.id}.2", retries=3)
    on_failed.s(job.id).apply_async(args=("message",), chain=[resize.si(job.id, "large")])

    for message in broker.take_messages():
        check_message(message)


@pytest.mark.parametrize("name", sorted(MESSAGES.keys() - READABLE))
def test_forged_messages_are_refused(name: str) -> None:
    message = to_kombu(MESSAGES[name])

    if not message.errors:
        with pytest.raises((ValueError, DecodeError)):
            check_message(message)


@pytest.mark.parametrize("name", sorted(READABLE))
def test_messages_that_a_worker_can_read_are_taken(name: str) -> None:
    check_message(to_kombu(MESSAGES[name]))


def test_a_message_of_a_newer_version_may_have_more_headers() -> None:
    message = ForgedMessage()

    check_message(to_kombu(ForgedMessage(headers=message.headers | {"tenant": ["a", "b"], "priority": {"of": 1}})))


def test_a_message_may_not_wait_for_days() -> None:
    eta = (datetime.now(UTC) + timedelta(days=2)).isoformat()

    with pytest.raises(ValueError, match="too far in the future"):
        check_message(to_kombu(ForgedMessage(headers=ForgedMessage().headers | {"eta": eta})))


def test_an_entry_of_redis_is_taken() -> None:
    check_envelope(json.loads(ForgedMessage().to_redis()))


@pytest.mark.parametrize("name", ["null", "no properties", "a delivery tag that is a list", "headers that are null"])
def test_forged_entries_of_redis_are_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        check_envelope(json.loads(IN_REDIS[name]))
