"""The HTTP server of a worker's metrics: one thread, which wakes up only for a request."""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIServer, make_server

from prometheus_client import CollectorRegistry, exposition, make_wsgi_app

_exposition: Any = exposition


class MetricsServer:
    """Serves a registry like prometheus_client's `start_http_server`, whose thread wakes up twice a second.

    Raises OSError when it cannot bind the port.
    """

    def __init__(self, host: str, port: int, registry: CollectorRegistry) -> None:
        family, address = _exposition._get_best_family(host, port)  # noqa: SLF001  # as `start_http_server` does
        server_class = type("Server", (_exposition.ThreadingWSGIServer,), {"address_family": family})
        handler_class = _exposition._SilentHandler  # noqa: SLF001
        app = make_wsgi_app(registry)
        self._server: WSGIServer = make_server(address, port, app, server_class, handler_class=handler_class)
        self._is_closing = False
        self._thread = Thread(target=self._serve, name="metrics", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._server.server_port

    def close(self) -> None:
        """Stop serving."""
        self._is_closing = True
        with suppress(OSError):
            self._server.socket.shutdown(socket.SHUT_RDWR)  # wakes up the thread
        self._thread.join(timeout=1)
        self._server.server_close()

    def close_inherited_socket(self) -> None:
        """Close the socket in a child process; the parent's goes on."""
        self._server.socket.close()

    def _serve(self) -> None:
        while not self._is_closing:
            self._server.handle_request()
