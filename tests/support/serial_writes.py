"""A proxy that lets one write at a time pass to a server whose updates are not atomic.

FerretDB 1 reads the document, then writes all of it: of two updates at once, one is lost, whatever their conditions.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import BinaryIO, cast

from tests.support.mongo_wire import ServerConnection, read_message

WRITES = frozenset({"insert", "update", "delete", "findAndModify"})


class SerialWrites(ThreadingTCPServer):
    """The proxy, on a port of its own."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, server: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.server = server
        self.port = self.server_address[1]
        self.writing = threading.Lock()


class _Connection(StreamRequestHandler):
    server: SerialWrites
    disable_nagle_algorithm = True

    def handle(self) -> None:
        with closing(ServerConnection(self.server.server)) as upstream, suppress(ConnectionError):
            while (message := read_message(cast("BinaryIO", self.rfile))) is not None:
                with self.server.writing if message.name in WRITES else nullcontext():
                    reply = upstream.forward(message.content)
                self.wfile.write(reply.content)


@contextmanager
def run_serial_writes(server: tuple[str, int]) -> Iterator[int]:
    """Put the proxy before a server; yield its port."""
    with SerialWrites(server) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield proxy.port
        finally:
            proxy.shutdown()
            thread.join()
