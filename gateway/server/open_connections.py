"""The open connections of a server: never so many that its stores get no files, and which one ends for a new one."""

from __future__ import annotations

import asyncio
import resource
import sys
from contextlib import suppress
from time import monotonic

import structlog

FILES_SHARE = 0.4  # of the files that the process may open: an answer may take one more, and the stores take theirs
LOG_SECONDS = 60.0

log = structlog.get_logger("gateway")


def raise_file_limit() -> int:
    """Raise this process's soft limit of open files to the hard limit, and return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # macOS: a hard limit of infinity is more than the kernel allows
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


class OpenConnections:
    """Counts connections, by their transports. For one too many, the one that has been idle for the longest ends.

    Idle ones serve no request: they wait for the head of one, or for the client to close.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: set[asyncio.Transport] = set()
        self._idle: dict[asyncio.Transport, None] = {}  # in the order in which they became idle
        self._next_log = 0.0

    def add(self, transport: asyncio.Transport) -> bool:
        """Count a new connection, and abort idle ones above the limit. False if it is still one too many."""
        while len(self._open) >= self._limit and self._idle:
            dispensable = self._find_dispensable()
            self.remove(dispensable)
            dispensable.abort()
            self._log_limit()
        self._open.add(transport)
        self._idle[transport] = None
        return len(self._open) <= self._limit

    def mark_busy(self, transport: asyncio.Transport) -> None:
        """Note that a request is served on the connection."""
        self._idle.pop(transport, None)

    def mark_idle(self, transport: asyncio.Transport) -> None:
        """Note that no request is served on the connection any more."""
        if transport in self._open:
            self._idle[transport] = None

    def remove(self, transport: asyncio.Transport) -> None:
        """Count a connection no longer. One that is not counted is no error."""
        self._open.discard(transport)
        self._idle.pop(transport, None)

    def _find_dispensable(self) -> asyncio.Transport:
        """Return the oldest idle connection, if possible one whose client has been sent all of its last answer."""
        sent = (transport for transport in self._idle if not transport.get_write_buffer_size())
        return next(sent, next(iter(self._idle)))

    def _log_limit(self) -> None:
        if monotonic() >= self._next_log:
            self._next_log = monotonic() + LOG_SECONDS
            log.warning("connections.limit_reached", limit=self._limit)
