"""The modules that the processes of a stack share: imported once, before they are forked. None reads settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

SERVED = ("gateway.server.serve", "uvicorn.lifespan.on", "uvicorn.loops.auto")
DOCUMENTS = ("pipeline.canvas", "storage.stores")
GATEWAY_MODULES = (*SERVED, *DOCUMENTS)
FRONTEND_MODULES = (*SERVED, "httpx")
WORKER_MODULES = (
    *DOCUMENTS,
    "celery.bin.worker",
    "celery.apps.worker",
    "celery.concurrency.prefork",
    "celery.worker.autoscale",
    "celery.worker.components",
    "celery.worker.consumer",
    "celery.worker.consumer.delayed_delivery",
    "celery.worker.strategy",
    "celery.app.log",
    "celery.app.control",
    "billiard.popen_fork",
    "billiard.sharedctypes",
    "billiard.synchronize",
    "pipeline.backend",
    "pipeline.broker.direct_pool",
    "pipeline.celery_request",
    "pipeline.consumer",
    "pipeline.exporter",
    "pipeline.logs",
    "pipeline.settings_mistakes",
    "pipeline.tasks",
    "pipeline.watchdog",
    "pipeline.worker_events",
)


def find_shared(modules: Iterable[str]) -> list[str]:
    """Return the modules that are given more than once.

    A module of one process is left to that process. Its pages would not stay shared, because each change of a
    reference count copies one, and the originals would stay in use.
    """
    return [module for module, count in Counter(modules).items() if count > 1]
