"""Writes that are committed together: those of all commands that arrived while the disk was busy."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress

from deploy.local.document_server.unsupported import Unsupported

SYNCHRONOUS_FULL = 2  # each commit is synced: a reply says that its write survives a power cut


class BatchLost(Exception):
    """SQLite has failed, such as on a full disk: none of the writes since `begin` is kept."""


class Batch:
    """At most one open transaction. `request_commit` is called when one begins."""

    def __init__(self, request_commit: Callable[[], object]) -> None:
        self._request_commit = request_commit
        self.connection: sqlite3.Connection | None = None
        """Where the transaction is open."""

    def begin(self, connection: sqlite3.Connection) -> None:
        """Begin a transaction, if it is not open yet. Raises `Unsupported` while another one is."""
        if self.connection is connection:
            return
        if connection.in_transaction or self.connection:
            raise Unsupported
        try:
            if connection.execute("PRAGMA synchronous").fetchone()[0] < SYNCHRONOUS_FULL:
                connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
        except connection.Error as error:
            raise Unsupported from error
        self.connection = connection
        self._request_commit()

    def commit(self) -> None:
        """Commit what is open. Raises `BatchLost`."""
        connection, self.connection = self.connection, None
        if connection is None:
            return
        try:
            connection.execute("COMMIT")
        except connection.Error as error:
            self._roll_back(connection)
            raise BatchLost from error

    def roll_back(self) -> None:
        """Undo what is open."""
        connection, self.connection = self.connection, None
        if connection is not None:
            self._roll_back(connection)

    @staticmethod
    def _roll_back(connection: sqlite3.Connection) -> None:
        with suppress(connection.Error):  # SQLite may have done so itself
            connection.execute("ROLLBACK")
