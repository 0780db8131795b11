"""Runs an ASGI application on uvicorn, with the protocol and the settings that Darkroom's servers share."""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
from contextlib import suppress
from functools import partial
from types import FrameType

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from gateway.middleware.cors import Cors
from gateway.server.http_protocol import HttpProtocol, Limits
from gateway.server.open_connections import FILES_SHARE, OpenConnections, raise_file_limit
from pipeline.settings import Settings
from pipeline.settings_mistakes import stop_on_mistakes

KEEP_ALIVE_SECONDS = 75  # longer than clients and proxies keep an idle connection, so that they close it
LAST_ANSWER_SECONDS = 3  # for answers to requests that had to be ended
TICK_SECONDS = 1  # between two values of the header Date


class Server(uvicorn.Server):
    """uvicorn's server, but a stop signal wakes it up: uvicorn looks for one ten times a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_stopped = asyncio.Event()

    async def main_loop(self) -> None:
        """Keep the header Date up to date until a stop signal comes."""
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS):
                    await self._is_stopped.wait()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop. A second SIGINT ends the server without waiting for its answers."""
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._is_stopped.set)


def serve(application: str, *, default_port: int) -> None:
    """Serve what the factory `module:function` builds, until a stop signal. Reads the address from the command line."""
    arguments = _parse_arguments(default_port)
    stop_on_mistakes()
    settings = Settings()
    http = settings.http
    open_connections = OpenConnections(min(http.max_connections, int(raise_file_limit() * FILES_SHARE)))
    limits = Limits(
        head_bytes=http.max_header_bytes, head_seconds=http.header_timeout, stop_seconds=http.shutdown_timeout
    )
    config = uvicorn.Config(
        application,
        factory=True,
        host=arguments.host,
        port=arguments.port,
        http=partial(  # type: ignore[arg-type]  # uvicorn only calls it
            HttpProtocol,
            limits=limits,
            open_connections=open_connections,
            wrap_refusal=partial(Cors, settings=settings.cors),
        ),
        ws="none",
        access_log=False,
        proxy_headers=False,  # the gateway has a setting of its own
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=math.ceil(http.shutdown_timeout) + LAST_ANSWER_SECONDS,
    )
    config.load_app()  # a stop signal ends the process at once while it is imported
    server = Server(config)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)


def _parse_arguments(default_port: int) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=default_port, help="port to listen on; 0: any free port")
    return parser.parse_args()
