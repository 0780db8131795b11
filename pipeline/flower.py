"""Flower, the page of workers and tasks, for reading only: `python -m pipeline.flower`, set by `DARKROOM_FLOWER_*`."""

from __future__ import annotations

import logging
import os
import signal
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import structlog
from flower.options import options  # type: ignore[import-untyped]
from flower.urls import settings as web_settings  # type: ignore[import-untyped]
from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from tornado.ioloop import IOLoop

from pipeline import flower_broker
from pipeline.celery import configure
from pipeline.flower_app import PersistentEvents, ReadOnlyFlower
from pipeline.logs import configure_logs
from pipeline.settings import Count, Seconds, Settings

log = structlog.get_logger("flower")

MAX_BODY_BYTES = 64 * 1024  # bytes; the form of its table of tasks has a few hundred
PrintableAscii = Annotated[str, Field(pattern=r"^[ -~]*$")]  # browsers differ about everything else


class FlowerSettings(BaseSettings):
    """Where Flower listens, whom it lets in, and how much it remembers."""

    model_config = SettingsConfigDict(
        env_prefix="DARKROOM_FLOWER_",
        frozen=True,
        extra="ignore",
        env_file=None,
        secrets_dir=os.environ.get("DARKROOM_SECRETS_DIR") or None,
        hide_input_in_errors=True,  # the password is among it
    )

    address: str = Field("127.0.0.1", description="Where it listens; elsewhere than on loopback it wants credentials.")
    port: int = Field(5555, ge=1, le=65535, description="Of its page.")
    url_prefix: str = Field("", pattern=r"^[A-Za-z0-9_./-]*$", description="Where a proxy has it, such as `/flower`.")
    user: str = Field("", pattern=r"^[A-Za-z0-9_.-]*$", description="With the password, wanted for every page.")
    password: PrintableAscii = Field("", repr=False, description="Or the file `darkroom_flower_password`.")
    folder: Path = Field(Path(".darkroom/flower"), description="Where it keeps its memory.")
    save_interval: Seconds = Field(30, description="Between writes of its memory.")
    max_tasks: Count = Field(10_000, description="Tasks remembered; the oldest make room.")
    max_workers: Count = Field(200, description="Workers remembered.")
    forget_workers: Count = Field(86_400, description="Seconds until a worker that is gone is shown no more.")

    @model_validator(mode="after")
    def _require_credentials(self) -> FlowerSettings:
        if bool(self.user) != bool(self.password):
            raise ValueError("DARKROOM_FLOWER_USER and DARKROOM_FLOWER_PASSWORD go together: set both")
        if not self.user and not _is_loopback(self.address):
            raise ValueError(
                f"on {self.address or 'every address'} strangers can reach it: "
                "set DARKROOM_FLOWER_USER and DARKROOM_FLOWER_PASSWORD"
            )
        return self


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def build_flower(settings: Settings, flower_settings: FlowerSettings) -> ReadOnlyFlower:
    """Make the web application on our broker; it starts nothing yet."""
    app = configure(settings, publisher=True)  # so that it can be stopped while the broker is away: it does not wait
    app.conf.imports = ()  # events tell what it shows: it needs neither the tasks nor what they import
    flower_broker.install()
    _set_options(flower_settings)
    prefix = f"/{flower_settings.url_prefix.strip('/')}".rstrip("/")
    web = web_settings | {"static_url_prefix": f"{prefix}/static/", "login_url": f"{prefix}/login"}
    flower_settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    memory = PersistentEvents(
        app,
        IOLoop.current(),
        db=str(flower_settings.folder / "memory"),
        persistent=True,
        state_save_interval=int(flower_settings.save_interval * 1000),
        max_tasks_in_memory=flower_settings.max_tasks,
        max_workers_in_memory=flower_settings.max_workers,
    )
    credentials = f"{flower_settings.user}:{flower_settings.password}" if flower_settings.user else ""
    return ReadOnlyFlower(credentials, prefix, capp=app, options=options, events=memory, **web)


def _set_options(flower_settings: FlowerSettings) -> None:
    """Set what Flower reads from its own options, wherever it asks for them; its FLOWER_* variables stay unread."""
    options.url_prefix = flower_settings.url_prefix.strip("/") or None
    options.basic_auth = [f"{flower_settings.user}:{flower_settings.password}"] if flower_settings.user else []
    options.read_only = True
    options.purge_offline_workers = flower_settings.forget_workers


def main() -> None:
    """Serve until TERM or INT, and remember what was seen."""
    try:
        settings, flower_settings = Settings(), FlowerSettings()
    except ValidationError as error:
        raise SystemExit(str(error)) from None
    configure_logs(settings.log_format)
    logging.getLogger("tornado.access").setLevel(logging.WARNING)
    logging.getLogger("flower.events").setLevel(logging.ERROR)  # or a line a second while Redis is away
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
    os._exit(0)  # no thread is waited for: kombu's broadcasts try for ever once Redis went away under one


if __name__ == "__main__":
    main()
