"""The embedded document server as a driver meets it: order, commits, a full disk, a kill."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from nx_27017.handler import NeoSQLiteHandler
from pymongo import AsyncMongoClient, MongoClient
from pymongo.errors import DuplicateKeyError, OperationFailure, WriteError

from deploy.local.document_server.connection import Connection
from deploy.local.document_server.dispatcher import Dispatcher
from deploy.local.ports import free_port
from deploy.local.processes import ROOT, mongo
from tests.support.mongo_wire import OP_MSG, ServerConnection, encode_command
from tests.support.programs import run_program

Document = dict[str, Any]
JOURNALED: dict[str, Any] = {"w": "majority", "journal": True}
CLIENTS = 8
KILOBYTES = "x" * 40_000
EMPTY = bytes([5, 0, 0, 0, 0])  # a BSON document
WITHOUT_AN_END = struct.pack("<iiiiIB", 33, 1, 0, OP_MSG, 0, 0) + EMPTY + struct.pack("<Bi2s", 1, -1, b"d")
"""A message whose second section says that it ends where it begins."""


@contextmanager
def run_server(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server as a stack does, until the block ends."""
    folder.mkdir(exist_ok=True)
    with run_program(*mongo(folder, port=port).command, cwd=ROOT) as process:
        yield process


def connect(port: int) -> MongoClient[Document]:
    """Return a client that waits for each write to be journaled."""
    return MongoClient(port=port, **JOURNALED)


class Serving:
    """A server in this process."""

    def __init__(self, folder: Path) -> None:
        self.handler = NeoSQLiteHandler(data_dir=str(folder))
        self.dispatcher = Dispatcher(self.handler, asyncio.get_running_loop())

    @property
    def database(self) -> Any:
        """Its SQLite connection."""
        return self.handler.databases["darkroom"].db


@pytest.fixture
async def serving(tmp_path: Path) -> Serving:
    return Serving(tmp_path)


@pytest.fixture
async def jobs(serving: Serving) -> AsyncIterator[Any]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(serving.handler, serving.dispatcher), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, AsyncMongoClient(f"mongodb://127.0.0.1:{port}", **JOURNALED) as client:
        await client.darkroom.jobs.insert_one({"_id": "one", "version": 0})
        yield client.darkroom.jobs
    serving.dispatcher.close()


async def test_each_of_many_updates_at_once_sees_the_one_before(jobs: Any) -> None:
    increment: Document = {"$inc": {"version": 1}}
    before = await asyncio.gather(*(jobs.find_one_and_update({"_id": "one"}, increment) for _ in range(CLIENTS)))

    assert sorted(document["version"] for document in before) == list(range(CLIENTS))
    assert (await jobs.find_one({"_id": "one"}))["version"] == CLIENTS


async def test_shortcuts_and_the_library_take_turns(jobs: Any) -> None:
    await asyncio.gather(
        *(jobs.update_one({"_id": "one"}, {"$inc": {"version": 1}}) for _ in range(CLIENTS)),
        *(jobs.update_many({}, {"$inc": {"version": 1}}) for _ in range(CLIENTS)),
        *(jobs.insert_one({"_id": f"other {number}"}) for number in range(CLIENTS)),
    )

    assert (await jobs.find_one({"_id": "one"}))["version"] == 2 * CLIENTS
    assert await jobs.count_documents({}) == 1 + CLIENTS


async def test_an_id_that_is_taken_is_a_duplicate_key(jobs: Any) -> None:
    with pytest.raises(DuplicateKeyError):
        await jobs.insert_one({"_id": "one", "version": 9})

    assert await jobs.find_one({"_id": "one"}) == {"_id": "one", "version": 0}


async def test_on_a_full_disk_a_write_fails_and_what_was_written_stays(serving: Serving, jobs: Any) -> None:
    (pages,) = serving.database.execute("PRAGMA page_count").fetchone()
    serving.database.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(WriteError):
        await jobs.update_one({"_id": "one"}, {"$set": {"text": KILOBYTES}})
    with pytest.raises(OperationFailure):
        await jobs.insert_one({"_id": "two", "text": KILOBYTES})
    await jobs.update_one({"_id": "one"}, {"$inc": {"version": 1}})
    assert await jobs.find_one({"_id": "one"}) == {"_id": "one", "version": 1}

    serving.database.execute(f"PRAGMA max_page_count = {1000 * pages}")
    await jobs.update_one({"_id": "one"}, {"$set": {"text": KILOBYTES}})
    assert await jobs.find_one({"_id": "one"}) == {"_id": "one", "version": 1, "text": KILOBYTES}


async def test_a_write_that_fails_does_not_fail_those_beside_it(serving: Serving, jobs: Any) -> None:
    await asyncio.gather(*(jobs.insert_one({"_id": f"other {number}", "version": 0}) for number in range(CLIENTS)))
    (pages,) = serving.database.execute("PRAGMA page_count").fetchone()
    serving.database.execute(f"PRAGMA max_page_count = {pages}")

    results = await asyncio.gather(
        jobs.update_one({"_id": "one"}, {"$set": {"text": KILOBYTES}}),
        *(jobs.update_one({"_id": f"other {number}"}, {"$inc": {"version": 1}}) for number in range(CLIENTS)),
        return_exceptions=True,
    )

    assert [type(result) is WriteError for result in results] == [True, *([False] * CLIENTS)]
    versions = [(await jobs.find_one({"_id": f"other {number}"}))["version"] for number in range(CLIENTS)]
    assert versions == [1] * CLIENTS


async def test_a_reply_is_not_sent_before_the_commit(serving: Serving, jobs: Any) -> None:
    await jobs.update_one({"_id": "one"}, {"$set": {"version": 7}})

    assert not serving.database.in_transaction
    assert await jobs.find_one({"_id": "one"}) == {"_id": "one", "version": 7}


def test_what_was_answered_is_there_after_a_kill(tmp_path: Path) -> None:
    port = free_port()
    with run_server(tmp_path / "mongo", port) as process, connect(port) as client:
        client.darkroom.jobs.insert_one({"_id": "one", "version": 0})
        client.darkroom.jobs.update_one({"_id": "one"}, {"$inc": {"version": 1}})
        os.kill(process.pid, signal.SIGKILL)
    with run_server(tmp_path / "mongo", port), connect(port) as client:
        assert client.darkroom.jobs.find_one({"_id": "one"}) == {"_id": "one", "version": 1}


def test_files_of_the_library_alone_are_served_and_left_readable(tmp_path: Path) -> None:
    port, document = free_port(), None
    library = [sys.executable, "-m", "nx_27017.nx_27017", "--data-dir", str(tmp_path / "mongo"), "-p", str(port)]
    library += ["--log-file", os.devnull, "--pid-file", str(tmp_path / "pid")]
    for command in (library, mongo(tmp_path / "mongo", port=port).command) * 2:
        with run_program(*command, cwd=ROOT, stderr=subprocess.DEVNULL), connect(port) as client:
            client.darkroom.jobs.update_one({"_id": "one"}, {"$inc": {"version": 1}}, upsert=True)
            client.darkroom.jobs.update_one({"_id": "one"}, {"$inc": {"version": 1}})
            document = client.darkroom.jobs.find_one({"_id": "one"})

    assert document == {"_id": "one", "version": 8}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoClient[Document]]:
    """A client of a server for several tests."""
    port = free_port()
    with run_server(tmp_path_factory.mktemp("mongo"), port), connect(port) as client:
        client.admin.command("ping")
        yield client


@pytest.fixture
def connection(client: MongoClient[Document]) -> Iterator[ServerConnection]:
    assert client.address
    connection = ServerConnection(client.address)
    yield connection
    connection.close()


def test_a_message_may_arrive_in_pieces_and_with_the_next_one(connection: ServerConnection) -> None:
    ping = encode_command({"ping": 1, "$db": "admin"})

    for piece in (ping[:7], ping[7:], ping + ping):
        connection.send(piece)
    replies = [connection.receive().decode() for _ in range(3)]

    assert replies == [{"ok": 1}] * 3


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<iiii", 3, 1, 0, OP_MSG),
        struct.pack("<iiii", 2**31 - 1, 1, 0, OP_MSG),
        struct.pack("<iiii", 16, 1, 0, OP_MSG),
        struct.pack("<iiiiIBi", 25, 1, 0, OP_MSG, 0, 0, 999),
        struct.pack("<iiiiIB", 21, 1, 0, OP_MSG, 0, 7),
        WITHOUT_AN_END,
        struct.pack("<iiiii", 20, 1, 0, 2004, 0),
        struct.pack("<iiiii", 20, 1, 0, 9999, 0),
    ],
    ids=[
        "short",
        "long",
        "empty",
        "beyond its end",
        "an unknown section",
        "a section without an end",
        "a query",
        "unknown",
    ],
)
def test_a_malformed_message_ends_at_most_its_own_connection(
    client: MongoClient[Document], connection: ServerConnection, content: bytes
) -> None:
    connection.send(content)

    client.darkroom.jobs.update_one({"_id": "one"}, {"$set": {"version": 1}}, upsert=True)
    assert client.darkroom.jobs.find_one({"_id": "one"}) == {"_id": "one", "version": 1}
