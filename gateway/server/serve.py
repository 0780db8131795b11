"""Runs an ASGI application on uvicorn, with the protocol and the settings that Darkroom's servers share."""

from __future__ import annotations

import argparse
from functools import partial

import uvicorn

from gateway.server.http_protocol import HeadLimits, HttpProtocol
from pipeline.settings import Settings

KEEP_ALIVE_SECONDS = 75  # longer than clients and proxies keep an idle connection, so that they close it


def serve(application: str, *, default_port: int, graceful_seconds: int) -> None:
    """Serve what the factory `module:function` builds, until a stop signal. Reads the address from the command line."""
    arguments = _parse_arguments(default_port)
    http = Settings().http
    limits = HeadLimits(max_bytes=http.max_header_bytes, seconds=http.header_timeout)
    uvicorn.run(
        application,
        factory=True,
        host=arguments.host,
        port=arguments.port,
        http=partial(HttpProtocol, limits=limits),  # type: ignore[arg-type]  # uvicorn only calls it
        ws="none",
        access_log=False,
        proxy_headers=False,  # the gateway has a setting of its own
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=graceful_seconds,
    )


def _parse_arguments(default_port: int) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=default_port, help="port to listen on; 0: any free port")
    return parser.parse_args()
