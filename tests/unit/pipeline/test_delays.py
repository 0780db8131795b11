"""The delay of a retry: its worker counts it from the receipt, whatever the clock of the sender says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline import tasks
from pipeline.celery import DELAY_HEADER, app
from pipeline.celery_request import JobContextRequest
from tests.support.fakes import FakeBroker

SKEW = timedelta(seconds=120)
COUNTDOWN = 30


def send(broker: FakeBroker, **options: Any) -> Any:
    tasks.validate.apply_async(("one",), **options)
    [message] = broker.take_messages()
    return message


def receive(message: Any) -> Any:
    """Return until when a worker holds the message."""
    return JobContextRequest(message, app=app, hostname="worker").eta


def test_a_delay_is_sent_beside_the_time_of_its_end(broker: FakeBroker) -> None:
    start = datetime.now(UTC)

    message = send(broker, countdown=COUNTDOWN)

    elapsed_ms = (datetime.now(UTC) - start) / timedelta(milliseconds=1)
    assert COUNTDOWN * 1000 - elapsed_ms - 1 <= message.headers[DELAY_HEADER] <= COUNTDOWN * 1000


def test_a_message_of_a_sender_whose_clock_is_ahead_waits_for_its_delay_only(broker: FakeBroker) -> None:
    message = send(broker, countdown=COUNTDOWN)
    message.headers["eta"] = (datetime.fromisoformat(message.headers["eta"]) + SKEW).isoformat()
    delay = timedelta(milliseconds=message.headers[DELAY_HEADER])

    start, end_of_delay, end = datetime.now(UTC), receive(message), datetime.now(UTC)

    assert start + delay <= end_of_delay <= end + delay


def test_a_message_of_an_earlier_version_waits_until_the_time_that_it_names(broker: FakeBroker) -> None:
    message = send(broker, countdown=COUNTDOWN)
    del message.headers[DELAY_HEADER]

    assert receive(message) == datetime.fromisoformat(message.headers["eta"])


def test_a_message_without_a_delay_does_not_wait(broker: FakeBroker) -> None:
    assert receive(send(broker)) is None
