"""Commands to Redis whose replies nobody needs now: they are read before the next commands are sent."""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

Command = tuple[Any, ...]


class UnawaitedCommands:
    """A connection that sends commands and does not wait for their replies. Doing a command twice must be harmless.

    A worker has to wait for Redis twice for each message otherwise, once before its child may begin, and once before it
    takes the next message. An error that Redis answers is raised by the next call. What has no reply when the
    connection is lost is sent again over a new one.
    """

    def __init__(self, pool: Any) -> None:
        """Connect at first use, like the connections of this pool of redis-py."""
        self._pool = pool  # a connection that asks sentinels has only a weak reference to it
        self._connection = pool.make_connection()
        self._unanswered: deque[Command] = deque()
        self._lock = Lock()  # the timers of a worker that stops run in a thread

    def send(self, *commands: Command) -> None:
        """Send commands in one packet. Raises the errors of redis-py, also those of the commands before."""
        with self._lock:
            refusal = None
            try:
                refusal = self._read_replies()
                self._send(*commands)
            except RedisConnectionError:
                self._send(*self._unanswered, *commands)
            self._unanswered.extend(commands)
        if refusal is not None:
            raise refusal

    def wait(self) -> None:
        """Return when Redis has carried out all commands. Raises as `send` does."""
        with self._lock:
            try:
                refusal = self._read_replies()
            except RedisConnectionError:
                self._send(*self._unanswered)
                refusal = self._read_replies()
        if refusal is not None:
            raise refusal

    def close(self) -> None:
        """Disconnect; the next call connects again."""
        with self._lock:
            self._unanswered.clear()
            self._connection.disconnect()

    def _send(self, *commands: Command) -> None:
        if not self._connection.is_connected:
            self._connection.connect()  # `send_packed_command` would ask no sentinel
        self._connection.send_packed_command(self._connection.pack_commands(commands))

    def _read_replies(self) -> ResponseError | None:
        """Read all replies, and return the last one that is an error."""
        refusal = None
        while self._unanswered:
            try:
                self._connection.read_response()
            except ResponseError as error:
                refusal = error
            except RedisConnectionError:  # also an answer, such as LOADING
                self._connection.disconnect()
                raise
            self._unanswered.popleft()
        return refusal
