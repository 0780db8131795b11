"""The Celery app's settings: what each process of the pipeline relies on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.celery import app, configure
from pipeline.routing import QUEUES, ROUTES
from pipeline.settings import Settings
from pipeline.worker_settings import BrokerSettings, WorkSettings
from tests.support.fakes import FakeBroker

SETTINGS = Settings(
    redis_url="redis://broker.example:7001/3",
    result_url="redis://results.example:7002/5",
    work=WorkSettings(
        soft_time_limit=11,
        time_limit=13,
        max_tasks_per_child=17,
        max_memory_per_child_kib=19,
        soft_shutdown_timeout=23,
    ),
    broker=BrokerSettings(
        visibility_timeout=29,
        restore_interval=31,
        restore_mutex_expire=37,
        connect_timeout=41,
        socket_timeout=43,
        publish_timeout=47,
        health_check_interval=53,
        result_expires=59,
        chord_expires=61,
        result_max_retries=67,
    ),
)


@pytest.fixture
def worker() -> Iterator[Any]:
    """Return the configuration of a worker."""
    yield configure(SETTINGS).conf
    configure(FakeBroker.settings)


@pytest.fixture
def publisher() -> Iterator[Any]:
    """Return the configuration of the gateway."""
    yield configure(SETTINGS, publisher=True).conf
    configure(FakeBroker.settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("broker_url", "redis://broker.example:7001/3"),
        ("result_backend", "pipeline.backend:PipelineBackend+redis://results.example:7002/5"),
        ("task_soft_time_limit", 11),
        ("task_time_limit", 13),
        ("worker_max_tasks_per_child", 17),
        ("worker_max_memory_per_child", 19),
        ("worker_soft_shutdown_timeout", 23),
        ("redis_socket_connect_timeout", 41),
        ("redis_socket_timeout", 43),
        ("redis_backend_health_check_interval", 53),
        ("result_expires", 59),
        ("result_chord_expires", 61),
        ("result_backend_max_retries", 67),
    ],
)
def test_a_worker_takes_its_values_from_the_settings(worker: Any, name: str, value: object) -> None:
    assert worker[name] == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("visibility_timeout", 29),
        ("unacked_restore_interval", 31),
        ("unacked_mutex_expire", 37),
        ("socket_connect_timeout", 41),
        ("socket_timeout", 43),
        ("health_check_interval", 53),
    ],
)
def test_the_broker_is_used_as_the_settings_say(worker: Any, name: str, value: object) -> None:
    assert worker.broker_transport_options[name] == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("task_acks_late", True),
        ("task_reject_on_worker_lost", True),
        ("task_acks_on_failure_or_timeout", True),
        ("task_allow_error_cb_on_chord_header", False),
        ("task_always_eager", False),
        ("task_serializer", "json"),
        ("accept_content", ["json"]),
        ("result_serializer", "json"),
        ("result_backend_always_retry", True),
        ("redis_socket_keepalive", True),
        ("worker_prefetch_multiplier", 1),
        ("worker_cancel_long_running_tasks_on_connection_loss", False),
        ("worker_hijack_root_logger", False),
        ("broker_connection_retry_on_startup", True),
        ("broker_connection_max_retries", None),
    ],
)
def test_what_keeps_work_from_being_lost_is_on(worker: Any, name: str, value: object) -> None:
    assert worker[name] == value


@pytest.mark.parametrize(("name", "value"), [("unacked_restore_throttle", 1), ("socket_keepalive", True)])
def test_the_broker_restores_what_a_dead_worker_held(worker: Any, name: str, value: object) -> None:
    assert worker.broker_transport_options[name] == value


def test_a_publisher_waits_no_longer_than_it_is_told(publisher: Any) -> None:
    assert publisher.broker_transport_options["socket_timeout"] == 47


def test_a_publisher_shares_the_visibility_timeout(publisher: Any) -> None:
    assert publisher.broker_transport_options["visibility_timeout"] == 29


def test_there_is_a_queue_in_each_lane_for_each_kind_of_work(worker: Any) -> None:
    assert {queue.name for queue in worker.task_queues} == {*QUEUES, *(f"{name}.bulk" for name in QUEUES)}


def test_a_queue_is_bound_under_its_own_name(worker: Any) -> None:
    assert [queue.routing_key for queue in worker.task_queues] == [queue.name for queue in worker.task_queues]


def test_a_message_of_no_job_takes_the_queue_of_its_task(worker: Any) -> None:
    assert worker.task_routes == ROUTES


def test_the_tasks_are_imported_by_every_worker(worker: Any) -> None:
    assert worker.imports == ("pipeline.tasks",)


def test_there_is_one_app() -> None:
    assert configure(FakeBroker.settings) is app
