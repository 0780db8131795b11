"""The SQLite table of a collection, as neosqlite lays it out: a document's id in one column, its JSON in another."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from neosqlite import Connection
from neosqlite.collection.json_helpers import NeoSQLiteJSONEncoder
from neosqlite.collection.jsonb_support import json_data_column, supports_jsonb
from neosqlite.sql_utils import quote_table_name

from deploy.local.document_server.index_search import MAX_STEPS, Index, build_search, list_indexes
from deploy.local.document_server.matching import matches
from deploy.local.document_server.unsupported import Unsupported

Document = dict[str, Any]
COLUMNS = ["id", "_id", "data"]
GRIDFS_SUFFIXES = ("files", "chunks")
LIBRARY_TYPE = "__neosqlite_"  # begins the keys of values that JSON has no type for
DATE = "$date"
MAX_KEPT = 64  # of each collection: those of the jobs under way, in about a megabyte


@dataclass(slots=True)
class Row:
    """A row of a table."""

    number: int
    document: Document


class Table:
    """The documents of one collection, by their ids. Only ids that are texts are supported."""

    def __init__(self, database: Connection, name: str) -> None:
        self.database = database
        self.connection: sqlite3.Connection = database.db
        try:
            columns = self.connection.execute("SELECT name FROM pragma_table_info(?)", (name,)).fetchall()
        except self.connection.Error as error:
            raise Unsupported from error
        if [column for (column,) in columns] != COLUMNS or name.endswith(GRIDFS_SUFFIXES):
            raise Unsupported
        self._name, table = name, quote_table_name(name)
        self._select = f"SELECT id, {json_data_column(supports_jsonb(self.connection))} FROM {table}"  # noqa: S608
        self._read_sql = f"{self._select} WHERE _id = ?"
        self._write_sql = f"UPDATE {table} SET data = ? WHERE id = ?"  # noqa: S608  # the library quotes the name
        self._insert_sql = f"INSERT INTO {table} (data, _id) VALUES (?, ?)"  # noqa: S608
        self._kept: dict[str, Row] = {}
        self._indexes: list[Index] = []

    def take(self, document_id: Any) -> Row | None:
        """Return the row with this id, or None. Nothing else keeps it: the caller may change the document."""
        if type(document_id) is not str:
            raise Unsupported
        row = self._kept.pop(document_id, None)
        return row or self._read(document_id)

    def keep(self, row: Row) -> None:
        """Keep a row whose document is as it is stored, to take it again without reading it."""
        self._kept[row.document["_id"]] = row
        if len(self._kept) > MAX_KEPT:
            del self._kept[next(iter(self._kept))]

    def forget(self) -> None:
        """Forget all kept rows, and the indexes: others may change them now."""
        self._kept.clear()
        self._indexes = []

    def search(self, conditions: Document, sort: Mapping[str, int], *, limit: int) -> list[Document]:
        """Return the first documents that meet conditions, found by an index, in the order of `sort`."""
        try:
            self._indexes = self._indexes or list_indexes(self.connection, self._name)
            search = build_search(self._indexes, conditions, sort)
            self.connection.set_progress_handler(lambda: True, MAX_STEPS)  # ends it with an error
            rows = self.connection.execute(f"{self._select} {search.sql}", search.parameters)
            documents = (_build_row(*row).document for row in rows)
            return list(islice((each for each in documents if matches(each, conditions)), limit))
        except self.connection.Error as error:
            raise Unsupported from error
        finally:
            self.connection.set_progress_handler(None, 0)

    def write(self, row: Row, text: str) -> None:
        """Store the document of a row, as `encode` returned it."""
        self.connection.execute(self._write_sql, (text, row.number))

    def insert(self, document: Document, text: str) -> Row:
        """Insert a document, as `encode` returned it. Raises sqlite3's `IntegrityError` if its id is taken."""
        number = self.connection.execute(self._insert_sql, (text, document["_id"])).lastrowid
        return Row(number or 0, document)

    def _read(self, document_id: str) -> Row | None:
        try:
            found = self.connection.execute(self._read_sql, (document_id,)).fetchone()
        except self.connection.Error as error:  # such as that the table has been dropped
            raise Unsupported from error
        if found is None:
            return None
        row = _build_row(*found)
        if row.document["_id"] != document_id:
            raise Unsupported
        return row


def _build_row(number: int, text: Any) -> Row:
    if not isinstance(text, str) or LIBRARY_TYPE in text:
        raise Unsupported
    document = decode(text)
    if type(document.get("_id")) is not str:
        raise Unsupported
    return Row(number, document)


def encode(document: Document) -> str:
    """Return the JSON text of a document."""
    try:
        text: str = _ENCODER.encode(document)
    except (TypeError, ValueError) as error:
        raise Unsupported from error
    return text


def decode(text: str) -> Document:
    """Return the document of a JSON text."""
    try:
        document: Document = _DECODER.decode(text)
    except ValueError as error:
        raise Unsupported from error
    return document


def _read_date(fields: Document) -> Any:
    if DATE not in fields:
        return fields
    if len(fields) > 1 or not isinstance(fields[DATE], str):
        raise Unsupported
    return datetime.fromisoformat(fields[DATE])


_ENCODER = NeoSQLiteJSONEncoder(separators=(",", ":"))
_DECODER = json.JSONDecoder(object_hook=_read_date)
