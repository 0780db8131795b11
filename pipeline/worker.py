"""A worker's process life: settings once, stores in each child, logs everywhere."""

from __future__ import annotations

from contextlib import ExitStack

from celery.signals import setup_logging, worker_process_init, worker_process_shutdown

from pipeline.celery import configure
from pipeline.child import open_child
from pipeline.logs import configure_logs
from pipeline.settings import Settings

settings = Settings()
app = configure(settings)
_life = ExitStack()


@setup_logging.connect
def _logs(**_: object) -> None:
    configure_logs(settings.log_format)


@worker_process_init.connect
def _open(**_: object) -> None:
    _life.enter_context(open_child(settings))


@worker_process_shutdown.connect
def _close(**_: object) -> None:
    _life.close()
