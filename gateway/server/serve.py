"""Runs an ASGI application on uvicorn, with the protocol and the settings that Darkroom's servers share."""

from __future__ import annotations

import argparse
import math
from functools import partial

import uvicorn

from gateway.middleware.cors import Cors
from gateway.server.http_protocol import HttpProtocol, Limits
from gateway.server.open_connections import FILES_SHARE, OpenConnections, raise_file_limit
from pipeline.settings import Settings
from pipeline.settings_mistakes import stop_on_mistakes

KEEP_ALIVE_SECONDS = 75  # longer than clients and proxies keep an idle connection, so that they close it
LAST_ANSWER_SECONDS = 3  # for answers to requests that had to be ended


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
    uvicorn.run(
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


def _parse_arguments(default_port: int) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=default_port, help="port to listen on; 0: any free port")
    return parser.parse_args()
