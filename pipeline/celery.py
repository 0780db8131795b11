"""The Celery app: broker, queues, routes, acknowledgement, limits and results."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from celery import Celery
from celery.signals import before_task_publish
from kombu import Queue

from pipeline.broker import transport
from pipeline.broker.rabbit_urls import RabbitUrl
from pipeline.broker.redis_urls import RedisUrl
from pipeline.direct_chord import use_direct_chords
from pipeline.direct_task import DirectApp, DirectTask
from pipeline.routing import LANE_QUEUES, ROUTES, VALIDATE
from pipeline.settings import Settings
from storage.clock import now_ms

QUEUED_HEADER = "queued_ms"  # when the message was sent (epoch ms)
DELAY_HEADER = "delay_ms"  # how long its worker is to wait before it runs the task

transport.patch_kombu()
use_direct_chords()
app = DirectApp("darkroom", set_as_current=True, task_cls=DirectTask)


def configure(settings: Settings, *, publisher: bool = False) -> Celery:
    """Apply the settings to the app. A `publisher` only sends messages, and fails fast instead of waiting."""
    app.conf.update(
        imports=("pipeline.tasks",),
        task_queues=[Queue(name, routing_key=name) for name in LANE_QUEUES],
        task_default_queue=VALIDATE,
        task_routes=ROUTES,
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        worker_hijack_root_logger=False,
        **_reliability_options(settings),
        **_limits(settings),
        **(_rabbitmq_broker_options if settings.broker_url else _redis_broker_options)(settings, publisher=publisher),
        **_result_options(settings, publisher=publisher),
    )
    return app


def _result_backend(url: RedisUrl) -> str:
    name = "SentinelPipelineBackend" if url.is_sentinel else "PipelineBackend"
    return f"pipeline.backend:{name}+{url.for_kombu()}"


def _reliability_options(settings: Settings) -> dict[str, Any]:
    return {
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_acks_on_failure_or_timeout": True,
        "task_allow_error_cb_on_chord_header": False,
        "task_ignore_result": True,  # the document has all results, and chords count their parts without them
        "worker_consumer": "pipeline.consumer:CheckingConsumer",
        "worker_pool": "pipeline.broker.direct_pool:DirectPool",
        "worker_prefetch_multiplier": 1,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "worker_soft_shutdown_timeout": settings.work.soft_shutdown_timeout,
        "result_expires": settings.broker.result_expires,
        "result_chord_expires": settings.broker.chord_expires,
        "result_backend_always_retry": True,
        "result_backend_max_retries": settings.broker.result_max_retries,
    }


def _limits(settings: Settings) -> dict[str, Any]:
    return {
        "task_soft_time_limit": settings.work.soft_time_limit,
        "task_time_limit": settings.work.time_limit,
        "worker_max_tasks_per_child": settings.work.max_tasks_per_child,
        "worker_max_memory_per_child": settings.work.max_memory_per_child_kib,
    }


def _redis_broker_options(settings: Settings, *, publisher: bool) -> dict[str, Any]:
    broker, url = settings.broker, RedisUrl(settings.redis_url)
    timeouts = _socket_timeouts(settings, publisher=publisher)
    return {
        "broker_url": url.for_kombu(),
        "broker_use_ssl": url.tls or False,
        "broker_transport_options": {
            "visibility_timeout": broker.visibility_timeout,
            "unacked_restore_interval": broker.restore_interval,
            "unacked_restore_throttle": 1,
            "priority_steps": [0],  # no message has a priority: each BRPOP names a queue once, not once per priority
            "unacked_mutex_expire": broker.restore_mutex_expire,
            **timeouts,
            "socket_keepalive": True,
            "health_check_interval": broker.health_check_interval,
            **({"max_retries": 0} if publisher else {}),  # otherwise kombu reconnects for 6 s, even with `retry=False`
            **url.transport_options(**timeouts),
        },
    }


def _rabbitmq_broker_options(settings: Settings, *, publisher: bool) -> dict[str, Any]:
    broker, url = settings.broker, RabbitUrl(settings.broker_url)
    timeout = _socket_timeouts(settings, publisher=publisher)["socket_timeout"]
    return {
        "broker_url": url.for_kombu(),
        "broker_use_ssl": url.tls or False,
        "broker_connection_timeout": broker.connect_timeout,
        "broker_heartbeat": broker.health_check_interval,  # for consuming connections, not pooled ones
        "broker_transport_options": {
            "confirm_publish": True,  # a message counts as sent once RabbitMQ has it on disk
            "read_timeout": timeout,
            "write_timeout": timeout,
            **({"max_retries": 0} if publisher else {}),
        },
    }


def _result_options(settings: Settings, *, publisher: bool) -> dict[str, Any]:
    url, timeouts = RedisUrl(settings.result_backend_url), _socket_timeouts(settings, publisher=publisher)
    return {
        "result_backend": _result_backend(url),
        "result_backend_transport_options": url.transport_options(**timeouts),
        "redis_backend_use_ssl": url.tls or None,
        "redis_socket_timeout": timeouts["socket_timeout"],
        "redis_socket_connect_timeout": timeouts["socket_connect_timeout"],
        "redis_socket_keepalive": True,
        "redis_backend_health_check_interval": settings.broker.health_check_interval,
    }


def _socket_timeouts(settings: Settings, *, publisher: bool) -> dict[str, float]:
    broker = settings.broker
    timeout = broker.publish_timeout if publisher else broker.socket_timeout
    return {"socket_timeout": timeout, "socket_connect_timeout": broker.connect_timeout}


@before_task_publish.connect
def _add_time_headers(headers: dict[str, Any], **_: object) -> None:
    headers[QUEUED_HEADER] = now_ms()
    if headers.get("eta"):  # Celery's own, by the wall clock of the sender, which the receiver's may differ from
        delay = datetime.fromisoformat(headers["eta"]) - datetime.now(UTC)
        headers[DELAY_HEADER] = max(0, delay // timedelta(milliseconds=1))
