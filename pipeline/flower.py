"""Read-only Flower, the page of workers and tasks: `python -m pipeline.flower`, configured by `DARKROOM_FLOWER_*`."""

from __future__ import annotations

import logging
import os
import signal

import structlog
from flower.options import options  # type: ignore[import-untyped]
from flower.urls import settings as web_settings  # type: ignore[import-untyped]
from tornado.ioloop import IOLoop

from pipeline import flower_broker
from pipeline.celery import configure
from pipeline.flower_app import PersistentEvents, ReadOnlyFlower
from pipeline.flower_settings import FlowerSettings
from pipeline.logs import configure_logs
from pipeline.settings import Settings
from pipeline.settings_mistakes import stop_on_mistakes

log = structlog.get_logger("flower")

MAX_BODY_BYTES = 64 * 1024  # the form of the task table has a few hundred bytes


def build_flower(settings: Settings, flower_settings: FlowerSettings) -> ReadOnlyFlower:
    """Build the web application for our broker, without starting it."""
    app = configure(settings, publisher=True)  # a publisher does not wait: Flower can stop while the broker is down
    app.conf.imports = ()  # Flower shows events: it needs neither the tasks nor their imports
    flower_broker.install()
    _set_options(flower_settings)
    prefix = f"/{flower_settings.url_prefix.strip('/')}".rstrip("/")
    web = web_settings | {"static_url_prefix": f"{prefix}/static/", "login_url": f"{prefix}/login"}
    flower_settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    events = PersistentEvents(
        app,
        IOLoop.current(),
        db=str(flower_settings.folder / "memory"),
        persistent=True,
        state_save_interval=int(flower_settings.save_interval * 1000),
        max_tasks_in_memory=flower_settings.max_tasks,
        max_workers_in_memory=flower_settings.max_workers,
    )
    credentials = f"{flower_settings.user}:{flower_settings.password}" if flower_settings.user else ""
    return ReadOnlyFlower(credentials, prefix, capp=app, options=options, events=events, **web)


def _set_options(flower_settings: FlowerSettings) -> None:
    """Set Flower's global options, which it reads in many places; its FLOWER_* variables are ignored."""
    options.url_prefix = flower_settings.url_prefix.strip("/") or None
    options.basic_auth = [f"{flower_settings.user}:{flower_settings.password}"] if flower_settings.user else []
    options.read_only = True
    options.purge_offline_workers = flower_settings.forget_workers


def main() -> None:
    """Serve until TERM or INT, then save the state."""
    stop_on_mistakes(Settings, FlowerSettings)
    settings, flower_settings = Settings(), FlowerSettings()
    configure_logs(settings.log_format)
    logging.getLogger("tornado.access").setLevel(logging.WARNING)
    logging.getLogger("flower.events").setLevel(logging.ERROR)  # else a line a second while Redis is down
    flower = build_flower(settings, flower_settings)
    loop = IOLoop.current()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.add_callback_from_signal(loop.stop))
    flower.listen(flower_settings.port, flower_settings.address, max_body_size=MAX_BODY_BYTES)
    log.info("flower.started", address=flower_settings.address, port=flower_settings.port)
    try:
        flower.start()
    finally:
        flower.stop()
    os._exit(0)  # do not wait for threads: a broadcast of kombu retries for ever after it has lost Redis


if __name__ == "__main__":
    main()
