"""One connection to Redis, for a process that uses it from one thread."""

from __future__ import annotations

import os
from typing import Any

from redis.exceptions import ReadOnlyError, RedisError, ResponseError

Command = tuple[Any, ...]


class DirectConnection:
    """Sends commands in one packet and returns their replies, over a connection that stays open.

    redis-py's clients take a connection from a pool, return it and count each command. In a worker's child, which runs
    one task at a time, this costs more than the command.
    """

    def __init__(self, pool: Any) -> None:
        """Connect at first use, like the connections of this pool of redis-py."""
        self._pool = pool
        self._connection: Any = None
        self._pid = 0

    def execute(self, *commands: Command) -> list[Any]:
        """Return the reply to each command. Raises redis-py's errors; all commands may have been carried out then."""
        connection = self._connection
        if self._pid != os.getpid():  # a fork shares the socket of its parent
            connection = self._open()
        elif connection.is_connected and _is_stale(connection):
            connection.disconnect()
        try:
            connection.connect()  # unless it is: only here are sentinels asked for the master
            connection.send_packed_command(connection.pack_commands(commands))
            replies = [_read_reply(connection) for _ in commands]
        except BaseException:
            self.close()
            raise
        for reply in replies:
            if isinstance(reply, ReadOnlyError):  # the name of the server may stand for another one by now
                self.close()
            if isinstance(reply, ResponseError):
                raise reply
        return replies

    def close(self) -> None:
        """Disconnect; the next call connects again."""
        if self._connection is not None:
            self._connection.disconnect()

    def _open(self) -> Any:
        """Return a new connection. There is one in each process: the pool allows only so many in all its life."""
        self._connection, self._pid = self._pool.make_connection(), os.getpid()
        return self._connection


def _is_stale(connection: Any) -> bool:
    """Whether a connection is closed, as by a restart of Redis, or has something to read that nobody has asked for."""
    try:
        return bool(connection.can_read())
    except (RedisError, OSError):
        return True


def _read_reply(connection: Any) -> Any:
    """Return a reply, also one that is an error: the replies to further commands follow it."""
    try:
        return connection.read_response()
    except ResponseError as error:
        return error
