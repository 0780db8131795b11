"""Decides the order of the requests of all connections: one after the other, each by a shortcut or in the library."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from nx_27017.handler import NeoSQLiteHandler

from deploy.local.document_server.batch import Batch, BatchLost
from deploy.local.document_server.library import run_in_library
from deploy.local.document_server.shortcuts import Shortcuts
from deploy.local.document_server.unsupported import Unsupported
from deploy.local.document_server.wire import OP_QUERY, Request, encode_reply

AT_ONCE = frozenset({"hello", "ismaster", "isMaster", "ping"})
"""Commands that touch no document: a driver takes a server for dead that does not answer them in time."""


class Client(Protocol):
    """Where a request came from."""

    connection_id: str

    def send(self, reply: bytes) -> None:
        """Send a reply, unless the connection is closed."""


@dataclass(slots=True)
class Call:
    """A request that is not answered yet."""

    client: Client
    request: Request
    reply: bytes = b""
    """The reply that waits for the commit."""
    needs_library: bool = False


class Dispatcher:
    """Runs shortcuts on the event loop, because a change of threads takes as long, and the library in one thread.

    A reply to a write is sent once it is committed, and the replies to all that came after it wait with it.
    """

    def __init__(self, handler: NeoSQLiteHandler, loop: asyncio.AbstractEventLoop) -> None:
        self._handler, self._loop = handler, loop
        self._batch = Batch(lambda: loop.call_soon(self._end_batch))  # after all that has arrived by now
        self._shortcuts = Shortcuts(handler.databases, self._batch)
        self._thread = ThreadPoolExecutor(1, "library")
        self._waiting: deque[Call] = deque()
        self._uncommitted: list[Call] = []
        self._is_in_library = False

    def submit(self, client: Client, request: Request) -> None:
        """Answer a request, now or later."""
        if request.opcode == OP_QUERY or (request.name in AT_ONCE and request.command.get("$db") == "admin"):
            client.send(run_in_library(self._handler, request, client.connection_id))
            return
        self._waiting.append(Call(client, request))
        self._run_waiting()

    def close(self) -> None:
        """Commit what is written, and close all databases."""
        self._commit()
        self._thread.shutdown()
        self._handler.close_all()

    def _run_waiting(self) -> None:
        while self._waiting and not self._is_in_library:
            self._run(self._waiting.popleft())

    def _run(self, call: Call) -> None:
        if not call.needs_library:
            try:
                document = self._shortcuts.run(call.request.name, call.request.command)
            except Unsupported:
                call.needs_library = True
            except BatchLost:
                self._batch.roll_back()
                self._shortcuts.forget()
                self._repeat([*self._uncommitted, call])
                return
            else:
                call.reply = encode_reply(document, call.request.message_id)
                self._answer(call)
                return
        if self._batch.connection is None:
            self._run_in_thread(call)
            return
        self._waiting.appendleft(call)
        self._commit()

    def _answer(self, call: Call) -> None:
        if self._batch.connection is None:
            call.client.send(call.reply)
        else:
            self._uncommitted.append(call)

    def _end_batch(self) -> None:
        self._commit()
        self._run_waiting()

    def _commit(self) -> None:
        try:
            self._batch.commit()
        except BatchLost:
            self._shortcuts.forget()
            self._repeat(self._uncommitted)
            return
        for call in self._uncommitted:
            call.client.send(call.reply)
        self._uncommitted.clear()

    def _repeat(self, calls: list[Call]) -> None:
        """Have the library run calls whose writes are lost, before all others: it says in its replies what fails."""
        for call in calls:
            call.needs_library = True
        self._waiting.extendleft(reversed(calls))
        self._uncommitted = []

    def _run_in_thread(self, call: Call) -> None:
        self._is_in_library = True
        self._shortcuts.forget()
        arguments = (self._handler, call.request, call.client.connection_id)
        future = self._loop.run_in_executor(self._thread, run_in_library, *arguments)
        future.add_done_callback(lambda done: self._end_library(call.client, done))

    def _end_library(self, client: Client, done: asyncio.Future[bytes]) -> None:
        self._is_in_library = False
        client.send(done.result())
        self._run_waiting()
