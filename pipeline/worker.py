"""Entry point of a worker: Celery's signals configure logs, start the metrics exporter and open each child."""

from __future__ import annotations

import gc
from contextlib import ExitStack
from typing import Any

from celery.signals import (
    celeryd_after_setup,
    celeryd_init,
    setup_logging,
    worker_before_create_process,
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutdown,
)

from pipeline import traces
from pipeline.broker.unreadable_messages import call_on_unreadable_message
from pipeline.celery import configure
from pipeline.celery_request import JobContextRequest
from pipeline.exporter import Exporter, child_metrics
from pipeline.idle_memory import return_memory_when_idle
from pipeline.logs import configure_logs, is_for_people
from pipeline.memory_limit import limit_memory
from pipeline.routing import NOTIFY, QUEUES, consume_all_lanes
from pipeline.settings import Settings
from pipeline.settings_mistakes import stop_on_mistakes
from pipeline.stage_order import stages_of_queue
from pipeline.watchdog import Watchdog
from pipeline.worker_child import open_worker_child

stop_on_mistakes()
settings = Settings()
app = configure(settings)
app.Task.Request = JobContextRequest  # type: ignore[assignment]  # the type stubs expect a class name
app.steps["worker"].add(Watchdog)
_resources = ExitStack()
_exporters: list[Exporter] = []
_counting = ExitStack()


@celeryd_init.connect
def _configure_logs_and_banner(instance: Any, **_: object) -> None:
    configure_logs(settings.log_format)
    instance.quiet = not is_for_people(settings.log_format)  # show Celery's banner only to people


@celeryd_after_setup.connect
def _consume_all_lanes(**_: object) -> None:
    consume_all_lanes(app.amqp.queues)


@celeryd_after_setup.connect
def _warn_if_tracing_unavailable(**_: object) -> None:
    traces.telemetry_class()  # in the parent, so that it warns once and not in each child


@setup_logging.connect
def _configure_logs(**_: object) -> None:
    configure_logs(settings.log_format)


@worker_init.connect
def _start_exporter(**_: object) -> None:
    if settings.metrics.port:
        exporter = Exporter(host=settings.metrics.host, port=settings.metrics.port, queues=_served_queues())
        _exporters.append(exporter)
        _counting.enter_context(call_on_unreadable_message(exporter.count_unreadable_message))


@worker_before_create_process.connect
def _keep_pages_shared(**_: object) -> None:
    gc.freeze()  # a child that collected garbage would write to all objects, and so copy their pages


@worker_ready.connect
def _observe_pool(sender: Any, **_: object) -> None:
    for exporter in _exporters:
        exporter.observe_pool(sender.pool._pool)  # noqa: SLF001  # billiard's pool inside Celery's


@worker_shutdown.connect
def _close_exporters(**_: object) -> None:
    _counting.close()
    while _exporters:
        _exporters.pop().close()


@worker_process_init.connect
def _open_child(**_: object) -> None:
    for exporter in _exporters:
        exporter.close_inherited_files()
    limit_memory(settings.work.max_image_memory_mib)
    return_memory_when_idle()
    traces.start("-".join(["darkroom-worker", *_served_queues()]))
    stages = [stage for queue in _served_queues() for stage in stages_of_queue(queue, settings.renditions)]
    metrics = child_metrics(stages, sends_webhooks=NOTIFY in _served_queues())
    _resources.enter_context(open_worker_child(settings, metrics))


@worker_process_shutdown.connect
def _close_child(**_: object) -> None:
    _resources.close()
    traces.stop()


def _served_queues() -> list[str]:
    """Return the queues that this worker consumes, without their lanes."""
    return [name for name in app.amqp.queues.consume_from if name in QUEUES]
