"""Finds documents by an index: the library's own SQL for `$in` reads the whole table."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from neosqlite.sql_utils import quote_table_name

from deploy.local.document_server.unsupported import Unsupported

Document = dict[str, Any]
COLUMN = re.compile(r"(jsonb?_extract\(data, '\$\.([\w.]+)'\))")
RANGES = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
SORT_ORDERS = {1: "ASC", -1: "DESC"}
MAX_STEPS = 5000
"""Steps of SQLite's virtual machine, a few for each row: longer searches run in the library, off the event loop."""


@dataclass(frozen=True, slots=True)
class Index:
    """An index on fields of documents."""

    name: str
    columns: Mapping[str, str]
    """The SQL of each column by its path, in their order."""


@dataclass(frozen=True, slots=True)
class Search:
    """What follows the table's name in a query. Not every row that it finds meets all conditions."""

    sql: str
    parameters: list[Any]


def list_indexes(connection: sqlite3.Connection, table: str) -> list[Index]:
    """Return the indexes of a table on whole fields of all documents."""
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql NOT LIKE '% WHERE %'"
    rows = connection.execute(query, (table,))
    indexes = [Index(name, {path: sql for sql, path in COLUMN.findall(text)}) for name, text in rows]
    return [index for index in indexes if index.columns]


def build_search(indexes: list[Index], conditions: Mapping[str, Any], sort: Mapping[str, int]) -> Search:
    """Return the search for documents that meet conditions, in the order of at most one field.

    Raises `Unsupported` where no index serves it. A field that is a list in some documents is not found by it.
    """
    terms = {path: terms for path, condition in conditions.items() if (terms := _build_terms(condition))}
    index = max(indexes, key=lambda each: _rank(each, terms), default=None)
    if index is None or not _count_served(index, terms) or len(sort) > 1:
        raise Unsupported
    clauses, parameters = [], []
    for path, path_terms in terms.items():
        if path in index.columns:  # others are left to the caller: their SQL could make SQLite choose another index
            clauses += [f"{index.columns[path]} {operator}" for operator, _ in path_terms]
            parameters += [value for _, values in path_terms for value in values]
    sql = f"INDEXED BY {quote_table_name(index.name)} WHERE {' AND '.join(clauses)}"
    return Search(sql + _build_order(index, sort), parameters)


def _rank(index: Index, terms: Mapping[str, Any]) -> tuple[bool, int]:
    served = _count_served(index, terms)
    return served == len(index.columns), served


def _count_served(index: Index, terms: Mapping[str, Any]) -> int:
    """Return how many of an index's first columns have a condition."""
    paths = list(index.columns)
    return next((number for number, path in enumerate(paths) if path not in terms), len(paths))


def _build_terms(condition: Any) -> list[tuple[str, list[Any]]]:
    """Return what a condition is in SQL, as far as it can be said: operators and their values."""
    if not isinstance(condition, dict):
        return [("= ?", [condition])] if _is_plain(condition) else []
    terms = [(f"{RANGES[name]} ?", [value]) for name, value in condition.items() if name in RANGES and _is_plain(value)]
    values = condition.get("$in")
    if isinstance(values, list) and values and all(_is_plain(value) for value in values):
        terms.append((f"IN ({', '.join('?' * len(values))})", values))
    return terms


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _build_order(index: Index, sort: Mapping[str, int]) -> str:
    for path, order in sort.items():
        column = "_id" if path == "_id" else index.columns.get(path)
        if column is None or order not in SORT_ORDERS:
            raise Unsupported
        return f" ORDER BY {column} {SORT_ORDERS[order]}"
    return ""
