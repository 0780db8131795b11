"""Celery's consumer as a worker sets it up."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.celery import app
from pipeline.consumer import HEARTBEAT_SECONDS, CheckingConsumer
from tests.support.fakes import FakeBroker


@pytest.mark.parametrize(
    ("options", "seconds"),
    [({}, HEARTBEAT_SECONDS), ({"worker_options": {"heartbeat_interval": 3}}, 3)],
)
def test_its_heartbeats_are_rare_unless_the_command_line_says_otherwise(
    broker: FakeBroker,  # noqa: ARG001  # the app uses it
    options: dict[str, Any],
    seconds: float,
) -> None:
    consumer: Any = CheckingConsumer(print, app=app, controller=SimpleNamespace(use_eventloop=False), **options)

    (heart,) = [step for step in consumer.steps if type(step).__name__ == "Heart"]
    assert heart.heartbeat_interval == seconds
