"""Commands to Redis whose replies nobody needs now: they are read before the next commands are sent."""

from __future__ import annotations

from threading import Lock
from typing import Any

from redis.exceptions import ResponseError


class UnawaitedCommands:
    """A connection that sends commands and does not wait for their replies.

    A worker has to wait for Redis twice for each message otherwise, once before its child may begin, and once before it
    takes the next message. An error that Redis answers is raised by the next call. So is that of a lost connection.
    """

    def __init__(self, pool: Any) -> None:
        """Connect at first use, like the connections of this pool of redis-py."""
        self._connection = pool.make_connection()
        self._replies = 0  # that Redis owes
        self._lock = Lock()  # the timers of a worker that stops run in a thread

    def send(self, *commands: tuple[Any, ...]) -> None:
        """Send commands in one packet. Raises the errors of redis-py, also those of the commands before."""
        with self._lock:
            error = self._read_replies()
            self._connection.send_packed_command(self._connection.pack_commands(commands))
            self._replies = len(commands)
        if error is not None:
            raise error

    def wait(self) -> None:
        """Return when Redis has carried out all commands. Raises as `send` does."""
        with self._lock:
            error = self._read_replies()
        if error is not None:
            raise error

    def close(self) -> None:
        """Disconnect; the next call connects again."""
        with self._lock:
            self._replies = 0
            self._connection.disconnect()

    def _read_replies(self) -> ResponseError | None:
        """Read all replies, and return the last one that is an error."""
        error = None
        owed, self._replies = self._replies, 0  # a connection that fails while it is read owes nothing any more
        for _ in range(owed):
            try:
                self._connection.read_response()
            except ResponseError as refusal:
                error = refusal
        return error
