"""The commands that Darkroom sends most, on documents by their ids or an index: without the library."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import bson
from bson.errors import BSONError
from bson.int64 import Int64
from neosqlite import Connection
from nx_27017.wire_protocol import MAX_BSON_DOCUMENT_SIZE

from deploy.local.document_server.batch import Batch, BatchLost
from deploy.local.document_server.matching import matches
from deploy.local.document_server.table import Row, Table, encode
from deploy.local.document_server.unsupported import Unsupported
from deploy.local.document_server.updating import apply_update

Document = dict[str, Any]
MAX_DOCUMENTS = 101  # MongoDB's first batch has as many
MAX_INSERTED = 1  # of more, those before one that fails would have to be kept
COMMON = frozenset({"$db", "lsid", "$readPreference", "writeConcern"})
FIND = COMMON | {"find", "filter", "projection", "sort", "limit", "singleBatch"}
INSERT = COMMON | {"insert", "ordered", "documents"}
UPDATE = COMMON | {"update", "ordered", "updates"}
MODIFY = COMMON | {"findAndModify", "query", "update", "new", "upsert"}
ONE_UPDATE = {"q", "u", "multi", "upsert"}
NOT_ACKNOWLEDGED = 0
MALFORMED = (AttributeError, KeyError, TypeError, ValueError, OverflowError, BSONError)


class Shortcuts:
    """Runs commands on the library's databases, which must not run one meanwhile."""

    def __init__(self, databases: Mapping[str, Connection], batch: Batch) -> None:
        self._databases, self._batch = databases, batch
        self._tables: dict[tuple[str, str], Table] = {}
        self._commands: dict[str, tuple[frozenset[str], Callable[[Table, Document], bytes]]] = {
            "find": (FIND, self._find),
            "insert": (INSERT, self._insert),
            "update": (UPDATE, self._update),
            "findAndModify": (MODIFY, self._find_and_modify),
        }

    def run(self, name: str, command: Document) -> bytes:
        """Return the reply, a BSON document. Writes are kept once the batch is committed.

        Raises `Unsupported`, and `BatchLost` when the batch is to be rolled back.
        """
        fields, run = self._commands.get(name, (frozenset(), None))
        if run is None or not command.keys() <= fields or not isinstance(command[name], str):
            raise Unsupported
        if command.get("writeConcern", {}).get("w") == NOT_ACKNOWLEDGED:
            raise Unsupported
        table = self._open_table(command.get("$db", ""), command[name])
        try:
            return run(table, command)
        except MALFORMED as error:  # the library says what is wrong
            raise Unsupported from error

    def _open_table(self, database: str, collection: str) -> Table:
        table = self._tables.get((database, collection))
        connection = self._databases.get(database)
        if table is None or table.database is not connection:
            if connection is None:
                raise Unsupported
            table = self._tables[database, collection] = Table(connection, collection)
        return table

    def forget(self) -> None:
        """Forget what is kept of documents: the library may change them, or the batch is rolled back."""
        is_open = {key: table for key, table in self._tables.items() if self._databases.get(key[0]) is table.database}
        self._tables = is_open
        for table in is_open.values():
            table.forget()

    def _find(self, table: Table, command: Document) -> bytes:
        if "_id" not in command.get("filter", {}):
            limit = command.get("limit", 0) or MAX_DOCUMENTS + 1
            found = table.search(command.get("filter", {}), command.get("sort", {}), limit=limit)
            return _encode_found(command, found)
        document_ids, conditions = _split(command["filter"])
        if len(document_ids) > MAX_DOCUMENTS or "sort" in command:
            raise Unsupported
        rows = [row for each in document_ids if (row := table.take(each))]
        reply = _encode_found(command, [row.document for row in rows if matches(row.document, conditions)])
        for row in rows:
            table.keep(row)
        return reply

    def _insert(self, table: Table, command: Document) -> bytes:
        documents = command.get("documents", [])
        if len(documents) != MAX_INSERTED or type(documents[0].get("_id")) is not str:
            raise Unsupported
        text = encode(documents[0])
        self._batch.begin(table.connection)
        try:
            table.keep(table.insert(documents[0], text))
        except table.connection.IntegrityError as error:  # the library says it as MongoDB does
            raise Unsupported from error
        except table.connection.Error as error:
            raise BatchLost from error
        return bson.encode({"n": 1, "ok": 1})

    def _update(self, table: Table, command: Document) -> bytes:
        updates = command.get("updates", [])
        if any(each.keys() - ONE_UPDATE or each.get("multi") or each.get("upsert") for each in updates):
            raise Unsupported
        queries = [_split(each["q"]) for each in updates]
        if len({document_id for document_ids, _ in queries for document_id in document_ids}) != len(updates):
            raise Unsupported  # the second update of a document must see the first one
        matched, changed = 0, []
        for each, ((document_id,), conditions) in zip(updates, queries, strict=True):
            row = self._take_matching(table, document_id, conditions)
            if row:
                matched += 1
                if apply_update(row.document, each["u"]):
                    changed.append((row, encode(row.document)))
        self._write(table, changed)
        return bson.encode({"n": matched, "nModified": len(changed), "ok": 1})

    def _find_and_modify(self, table: Table, command: Document) -> bytes:
        (document_id,), conditions = _split(command.get("query", {}))
        if command.get("upsert") or not isinstance(command.get("update"), dict):
            raise Unsupported
        row = self._take_matching(table, document_id, conditions)
        if row is None:
            return bson.encode({"value": None, "ok": 1})
        before = bson.encode({"value": row.document, "ok": 1})
        has_changed = apply_update(row.document, command["update"])
        reply = bson.encode({"value": row.document, "ok": 1}) if command.get("new") else before
        self._write(table, [(row, encode(row.document))] if has_changed else [])
        return reply

    @staticmethod
    def _take_matching(table: Table, document_id: str, conditions: Document) -> Row | None:
        row = table.take(document_id)
        if row is None or matches(row.document, conditions):
            return row
        table.keep(row)
        return None

    def _write(self, table: Table, changed: list[tuple[Row, str]]) -> None:
        if not changed:
            return
        self._batch.begin(table.connection)
        try:
            for row, text in changed:
                table.write(row, text)
                table.keep(row)
        except table.connection.Error as error:
            raise BatchLost from error


def _encode_found(command: Document, documents: list[Document]) -> bytes:
    """Return the reply with the documents that were found, in one batch."""
    limit = command.get("limit", 0) or len(documents)
    if not 0 <= limit <= MAX_DOCUMENTS:
        raise Unsupported
    if fields := command.get("projection"):
        documents = [_project(document, fields) for document in documents]
    namespace = f"{command['$db']}.{command['find']}"
    cursor = {"id": Int64(0), "ns": namespace, "firstBatch": documents[:limit]}
    reply = bson.encode({"cursor": cursor, "ok": 1})
    if len(reply) > MAX_BSON_DOCUMENT_SIZE:
        raise Unsupported
    return reply


def _split(query: Any) -> tuple[list[str], Document]:
    """Return the ids that a filter names, and its other conditions."""
    wanted = query.get("_id")
    if isinstance(wanted, dict):
        wanted = sorted(set(wanted["$in"])) if wanted.keys() == {"$in"} and _are_texts(wanted["$in"]) else None
    elif wanted is not None:
        wanted = [wanted]
    if wanted is None or any(path.startswith("$") for path in query):
        raise Unsupported
    return wanted, {path: condition for path, condition in query.items() if path != "_id"}


def _are_texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(each, str) for each in values)


def _project(document: Document, fields: Any) -> Document:
    """Return some fields of a document, in its order."""
    if any("." in name or name.startswith("$") or value != 1 for name, value in fields.items()):
        raise Unsupported
    return {name: value for name, value in document.items() if name in fields or name == "_id"}
