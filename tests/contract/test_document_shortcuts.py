"""The shortcuts of the embedded document server do what its library does, and write what the library reads."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bson
import pytest
from nx_27017.handler import NeoSQLiteHandler

from deploy.local.document_server.batch import Batch
from deploy.local.document_server.library import run_in_library
from deploy.local.document_server.shortcuts import Shortcuts
from deploy.local.document_server.unsupported import Unsupported
from deploy.local.document_server.wire import Request
from tests.support.mongo_wire import OP_MSG, Document, WireMessage, encode_command

CLAIM = {"$set": {"state": "running", "stages.small.state": "running", "ms": 2**40}, "$inc": {"version": 1, "a.b": 2}}
FILTERS: list[Document] = [
    {},
    {"state": "pending"},
    {"state": "done"},
    {"state": {"$in": ["pending", "done"]}},
    {"state": {"$in": ["done"]}},
    {"state": {"$ne": "done"}},
    {"state": None},
    {"missing": None},
    {"missing": {"$in": [None, 7]}},
    {"missing": {"$lte": 5}},
    {"null": None},
    {"null": {"$lte": 5}},
    {"null": {"$in": ["pending", None]}},
    {"stages.small.lease_ms": {"$lte": 5}},
    {"stages.small.lease_ms": {"$lt": 5}},
    {"stages.small.lease_ms": {"$gt": 4, "$lte": 5}},
    {"stages.small.lease_ms": 5.0},
    {"stages.small": "text"},
    {"stages.missing.state": None},
    {"state.deeper": None},
]
UPDATES: list[Document] = [
    CLAIM,
    {"$set": {"state": "pending"}},
    {"$set": {"state": None, "new": {"list": [1, {"two": 2.5}], "none": None}}},
    {"$set": {"stages.new.state": "pending", "stages.small.flag": False}},
    {"$inc": {"version": -1, "counted": 1}},
    {"$inc": {"counted": 0}},
    {"$unset": {"null": "", "stages.small.state": "", "no.such.field": ""}},
    {"$unset": {"missing": ""}},
    {"$set": {"text": "„ü“ \U0001f600 \u2028 \x00"}},
]
ACTIVE: Document = {"$in": ["accepted", "processing"]}
SEARCHES: list[Document] = [
    {"filter": {"state": ACTIVE, "due_ms": {"$lte": 50}}, "sort": {"due_ms": 1}, "limit": 10},
    {"filter": {"state": ACTIVE, "due_ms": {"$lte": 50}}, "sort": {"due_ms": -1}},
    {"filter": {"state": "done", "kind": {"$ne": "image"}}, "sort": {"_id": 1}, "limit": 1},
    {"filter": {"state": "none"}, "limit": 3},
    {"filter": {"outbox_ms": {"$gt": 0}}, "projection": {"outbox_ms": 1}, "sort": {"outbox_ms": 1}, "limit": 100},
    {"filter": {"sha": "5", "state": "done", "outbox_ms": None}, "sort": {"_id": -1}},
    {"filter": {"outbox_ms": {"$gt": 20, "$lt": 60}, "state": {"$in": ["done", None]}}, "sort": {"outbox_ms": 1}},
]
NO_SEARCHES: list[Document] = [
    {"filter": {"kind": "image"}},
    {"filter": {}},
    {"filter": {"due_ms": {"$lte": 50}}},
    {"filter": {"outbox_ms": None}},
    {"filter": {"state": "done", "$or": [{"kind": "image"}]}},
    {"filter": {"state": {"$regex": "d"}}},
    {"filter": {"state": True}},
    {"filter": {"outbox_ms": {"$lt": datetime(2026, 1, 2, tzinfo=UTC)}}},
    {"filter": {"outbox_ms": {"$gte": None}}},
    {"filter": {"state": "done"}, "sort": {"kind": 1}},
    {"filter": {"state": "done"}, "sort": {"_id": 1, "due_ms": 1}},
    {"filter": {"state": "done"}, "limit": 1000},
    {"filter": {"state": "done"}, "skip": 1},
]
LEFT_TO_THE_LIBRARY: list[Document] = [
    {"find": "jobs", "filter": {"state": "pending"}},
    {"find": "jobs", "filter": {"_id": "one"}, "sort": {"ms": 1}},
    {"find": "jobs", "filter": {"_id": {"$gt": "one"}}},
    {"find": "jobs", "filter": {"_id": 1}},
    {"find": "jobs", "filter": {"_id": "one", "$or": [{"state": "pending"}]}},
    {"find": "jobs", "filter": {"_id": "one", "tags": "red"}},
    {"find": "jobs", "filter": {"_id": "one", "state": {"$regex": "p"}}},
    {"find": "jobs", "filter": {"_id": "one"}, "projection": {"stages.small": 1}},
    {"find": "jobs", "filter": {"_id": "one"}, "projection": {"stages": 0}},
    {"find": "absent", "filter": {"_id": "one"}},
    {"update": "jobs", "updates": [{"q": {"_id": "one"}, "u": {"$set": {"a": 1}}, "multi": True}]},
    {"update": "jobs", "updates": [{"q": {"_id": "none"}, "u": {"$set": {"a": 1}}, "upsert": True}]},
    {"update": "jobs", "updates": [{"q": {"_id": "one"}, "u": {"replaced": True}}]},
    {"update": "jobs", "updates": [{"q": {"_id": "one"}, "u": {"$push": {"tags": "blue"}}}]},
    {"update": "jobs", "updates": [{"q": {"_id": "one"}, "u": {"$set": {"tags.0": "blue"}}}]},
    {"update": "jobs", "updates": [{"q": {"_id": "one"}, "u": {"$set": {"state.deeper": 1}}}]},
    {"update": "jobs", "updates": [{"q": {"_id": "one"}, "u": {"$inc": {"state": 1}}}]},
    {"update": "jobs", "updates": [{"q": {"_id": "one"}, "u": {"$set": {"_id": "two"}}}]},
    {"update": "jobs", "updates": [{"q": {"_id": "one"}, "u": {"$set": {"bytes": b"1"}}}]},
    {"update": "jobs", "updates": [{"q": {"_id": "one"}, "u": {"$inc": {"version": 1}}}] * 2},
    {
        "update": "jobs",
        "updates": [{"q": {"_id": each}, "u": {"$inc": {"version": 1}}} for each in ("one", {"$in": ["one"]})],
    },
    {"update": "jobs", "updates": [{"q": {"_id": "one"}, "u": {"$set": {"a": 1}}}], "writeConcern": {"w": 0}},
    {"findAndModify": "jobs", "query": {"_id": "one"}, "remove": True},
    {"findAndModify": "jobs", "query": {"_id": "one"}, "update": {"$set": {"a": 1}}, "fields": {"a": 1}},
    {"insert": "jobs", "documents": [{"_id": 1}]},
    {"insert": "jobs", "documents": [{"_id": "three"}, {"_id": "four"}]},
    {"insert": "jobs", "documents": [{"_id": "one"}]},
]


def job(job_id: str) -> Document:
    """Return a document with a field of each type that jobs have."""
    small = {"state": "pending", "lease_ms": 5, "ratio": 0.5}
    return {
        "_id": job_id,
        "state": "pending",
        "version": 3,
        "created_at": datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC),
        "null": None,
        "flag": True,
        "tags": ["red", {"deep": 1}],
        "stages": {"small": small},
        "a": {"b": 1},
    }


class Server:
    """The library, on a database with two jobs, and the shortcuts beside it."""

    def __init__(self, folder: Path) -> None:
        self.handler = NeoSQLiteHandler(data_dir=str(folder))
        self.batch = Batch(lambda: None)
        self.shortcuts = Shortcuts(self.handler.databases, self.batch)
        self.in_library({"insert": "jobs", "documents": [job("one"), job("two")]})

    @property
    def database(self) -> Any:
        """Its SQLite connection."""
        return self.handler.databases["darkroom"].db

    def in_library(self, command: Document) -> Document:
        """Run a command in the library."""
        self.batch.commit()
        self.shortcuts.forget()
        content = run_in_library(self.handler, Request(encode_command(command | {"$db": "darkroom"})), "connection")
        return WireMessage(1, OP_MSG, content[16:], content).decode()

    def by_shortcut(self, command: Document) -> Document:
        """Run a command by a shortcut, and commit it."""
        request = Request(encode_command(command | {"$db": "darkroom"}))
        reply = self.shortcuts.run(request.name, request.command)
        self.batch.commit()
        return bson.decode(reply)

    def documents(self) -> list[Document]:
        """Return all documents, as the library reads them."""
        found: list[Document] = self.in_library({"find": "jobs"})["cursor"]["firstBatch"]
        return found


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "library")
    yield server
    server.handler.close_all()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "shortcuts")
    yield server
    server.handler.close_all()


@pytest.mark.parametrize("condition", FILTERS, ids=str)
def test_a_shortcut_finds_what_the_library_finds(server: Server, condition: Document) -> None:
    command = {"find": "jobs", "filter": {"_id": "one", **condition}, "limit": 1, "singleBatch": True}

    found = server.by_shortcut(command)

    assert found == server.in_library(command)


@pytest.mark.parametrize(
    ("condition", "is_met"),
    [({"missing": {"$ne": None}}, False), ({"null": {"$ne": "done"}}, True), ({"version": {"$lt": "4"}}, None)],
    ids=str,
)
def test_a_shortcut_finds_what_mongodb_finds(server: Server, condition: Document, *, is_met: bool | None) -> None:
    command = {"find": "jobs", "filter": {"_id": "one", **condition}}

    if is_met is None:
        with pytest.raises(Unsupported):
            server.by_shortcut(command)
    else:
        assert bool(server.by_shortcut(command)["cursor"]["firstBatch"]) is is_met


@pytest.mark.parametrize("update", UPDATES, ids=str)
def test_a_shortcut_updates_as_the_library_does(server: Server, library: Server, update: Document) -> None:
    for condition in ({"state": "done"}, {"version": 3, "state": {"$ne": "done"}}):
        command = {"update": "jobs", "updates": [{"q": {"_id": "one", **condition}, "u": update}]}

        reply = server.by_shortcut(command)

        expected = library.in_library(command)
        assert reply["n"] == expected["n"]
        assert server.documents() == as_mongodb_stores(library.documents())


@pytest.mark.parametrize("is_new", [False, True])
@pytest.mark.parametrize("update", UPDATES, ids=str)
def test_a_shortcut_modifies_as_the_library_does(
    server: Server, library: Server, update: Document, *, is_new: bool
) -> None:
    command = {"findAndModify": "jobs", "query": {"_id": "one", "version": 3}, "update": update, "new": is_new}

    replies = [server.by_shortcut(command)["value"] for _ in range(2)]

    expected = [library.in_library(command)["value"] for _ in range(2)]
    assert replies == [each and as_mongodb_stores([each])[0] for each in expected]
    assert server.documents() == as_mongodb_stores(library.documents())


def as_mongodb_stores(documents: list[Document]) -> list[Document]:
    """Return documents with false where the library has stored a 0 for it: it binds booleans as SQLite's integers.

    It also removes no field inside another one.
    """

    def repair(value: Any, name: str) -> Any:
        if isinstance(value, dict):
            return {name: repair(each, name) for name, each in value.items()}
        return False if name == "flag" and value == 0 else value

    return [repair(document, "") for document in documents]


@pytest.fixture
def indexed(server: Server) -> Server:
    """A server with jobs in several states, and indexes on some fields."""
    states = ("accepted", "processing", "done", "done", "failed")
    jobs = [
        {
            "_id": f"job {number:02}",
            "state": states[number % 5],
            "kind": "image" if number % 3 else "previews",
            "sha": str(number % 7),
            "due_ms": number * 7 % 100,
            "outbox_ms": number * 11 % 100 if number % 4 else None,
        }
        for number in range(60)
    ]
    for document in jobs:
        server.by_shortcut({"insert": "jobs", "documents": [document]})
    keys: list[Document] = [{"state": 1, "due_ms": 1}, {"sha": 1}, {"outbox_ms": 1}]
    indexes = [{"key": key, "name": "_".join(key)} for key in keys]
    server.in_library({"createIndexes": "jobs", "indexes": indexes})
    return server


@pytest.mark.parametrize("search", SEARCHES, ids=str)
def test_a_search_by_an_index_finds_what_the_library_finds(indexed: Server, search: Document) -> None:
    command = {"find": "jobs", **search}

    found = indexed.by_shortcut(command)

    assert found == indexed.in_library(command)


@pytest.mark.parametrize("search", NO_SEARCHES, ids=str)
def test_what_no_index_serves_is_left_to_the_library(indexed: Server, search: Document) -> None:
    with pytest.raises(Unsupported):
        indexed.by_shortcut({"find": "jobs", **search})


def test_a_long_search_is_left_to_the_library_and_later_ones_are_not(indexed: Server) -> None:
    for number in range(1500):
        content = {"_id": f"more {number}", "state": "done", "due_ms": number, "kind": "image"}
        indexed.shortcuts.run("insert", {"insert": "jobs", "documents": [content], "$db": "darkroom"})
    indexed.batch.commit()

    with pytest.raises(Unsupported):
        indexed.by_shortcut({"find": "jobs", "filter": {"state": "done", "kind": "none"}})
    with pytest.raises(Unsupported):
        indexed.by_shortcut({"find": "jobs", "filter": {"state": "done"}})
    found = indexed.by_shortcut({"find": "jobs", "filter": {"state": "done", "due_ms": {"$lt": 10}}})
    documents = indexed.database.execute("SELECT data FROM jobs WHERE data LIKE '%done%'").fetchall()

    assert len(found["cursor"]["firstBatch"]) > 10
    assert len(documents) > 1500


def test_a_search_finds_what_is_not_committed_yet(indexed: Server) -> None:
    new = {"_id": "new", "state": "accepted", "due_ms": -1}
    indexed.shortcuts.run("insert", {"insert": "jobs", "documents": [new], "$db": "darkroom"})

    found = indexed.by_shortcut({"find": "jobs", "filter": {"state": "accepted", "due_ms": {"$lt": 0}}})

    assert found["cursor"]["firstBatch"] == [new]


@pytest.mark.parametrize("command", LEFT_TO_THE_LIBRARY, ids=str)
def test_what_has_no_shortcut_is_left_to_the_library_and_changes_nothing(server: Server, command: Document) -> None:
    before = server.documents()

    with pytest.raises(Unsupported):
        server.by_shortcut(command)

    assert server.documents() == before


def test_the_library_reads_what_a_shortcut_inserts(server: Server) -> None:
    reply = server.by_shortcut({"insert": "jobs", "documents": [job("three")], "ordered": True})

    assert reply == {"n": 1, "ok": 1}
    one, _, three = server.documents()
    assert three == one | {"_id": "three"}


def test_several_documents_are_updated_by_one_command(server: Server) -> None:
    updates = [
        {"q": {"_id": "one", "version": 3}, "u": {"$set": {"state": "done"}}},
        {"q": {"_id": "two", "version": 9}, "u": {"$set": {"state": "done"}}},
    ]

    reply = server.by_shortcut({"update": "jobs", "updates": updates, "ordered": False})

    assert (reply["n"], reply["nModified"]) == (1, 1)
    assert [each["state"] for each in server.documents()] == ["done", "pending"]


def test_an_update_that_changes_nothing_modifies_nothing(server: Server) -> None:
    update = {"q": {"_id": "one"}, "u": {"$set": {"state": "pending", "null": None}}}

    reply = server.by_shortcut({"update": "jobs", "updates": [update]})

    assert (reply["n"], reply["nModified"]) == (1, 0)


def test_a_document_that_is_kept_is_that_of_the_last_update(server: Server) -> None:
    find = {"find": "jobs", "filter": {"_id": "one"}, "projection": {"version": 1}}
    increment = {"update": "jobs", "updates": [{"q": {"_id": "one"}, "u": {"$inc": {"version": 1}}}]}

    versions = []
    for run in (server.by_shortcut, server.in_library, server.by_shortcut):
        run(increment)
        versions.append(server.by_shortcut(find)["cursor"]["firstBatch"])

    assert versions == [[{"_id": "one", "version": version}] for version in (4, 5, 6)]


def test_half_an_update_is_not_seen_by_the_next_command(server: Server) -> None:
    half = {"q": {"_id": "one"}, "u": {"$set": {"state": "done", "tags.0": "blue"}}}
    server.by_shortcut({"find": "jobs", "filter": {"_id": "one"}})
    with pytest.raises(Unsupported):
        server.by_shortcut({"update": "jobs", "updates": [half]})

    found = server.by_shortcut({"find": "jobs", "filter": {"_id": "one"}, "projection": {"state": 1}})

    assert found["cursor"]["firstBatch"] == [{"_id": "one", "state": "pending"}]


def test_writes_are_synced_whatever_the_library_has_set(server: Server) -> None:
    server.database.execute("PRAGMA synchronous = NORMAL")

    server.by_shortcut({"insert": "jobs", "documents": [job("three")]})

    assert server.database.execute("PRAGMA synchronous").fetchone() == (2,)
    assert server.database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_table_of_another_layout_has_no_shortcut(server: Server) -> None:
    server.database.execute("ALTER TABLE jobs ADD COLUMN newer TEXT")

    with pytest.raises(Unsupported):
        Shortcuts(server.handler.databases, server.batch).run("find", {"find": "jobs", "$db": "darkroom"})
