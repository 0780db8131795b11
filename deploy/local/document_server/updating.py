"""Changes a document as an update says, by MongoDB's rules for fields of objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from deploy.local.document_server.unsupported import Unsupported

Document = dict[str, Any]
MAX_INTEGER = 2**63 - 1
OPERATORS = frozenset({"$set", "$unset", "$inc"})
_MISSING: Any = object()


def apply_update(document: Document, update: Mapping[str, Any]) -> bool:
    """Change the document; return whether it is another one now. After `Unsupported`, it may be half changed."""
    if not update or not update.keys() <= OPERATORS:
        raise Unsupported
    has_changed = False
    for path, value in update.get("$set", {}).items():
        fields, name = _locate(document, path)
        has_changed |= not _is_same(fields.get(name, _MISSING), value)
        fields[name] = value
    for path, value in update.get("$inc", {}).items():
        fields, name = _locate(document, path)
        has_changed |= value != 0 or name not in fields
        fields[name] = _add(fields.get(name, 0), value)
    return _unset(document, update.get("$unset", {})) or has_changed


@lru_cache(1024)
def split_path(path: str) -> tuple[str, ...]:
    """Return the names in a dotted path. Those with operators, and that of the id, are unsupported."""
    names = tuple(path.split("."))
    if names[0] == "_id" or any(not name or name.startswith("$") for name in names):
        raise Unsupported
    return names


def _locate(document: Document, path: str) -> tuple[Document, str]:
    """Return the object that the last name of the path is a field of. Missing objects are created, as MongoDB does."""
    *parents, name = split_path(path)
    fields = document
    for parent in parents:
        fields = fields.setdefault(parent, {})
        if type(fields) is not dict:
            raise Unsupported
    return fields, name


def _unset(document: Document, paths: Iterable[str]) -> bool:
    """Remove fields; return whether there was one."""
    has_changed = False
    for path in paths:
        *parents, name = split_path(path)
        fields: Any = document
        for parent in parents:
            fields = fields.get(parent, {})
            if type(fields) is not dict:
                raise Unsupported
        has_changed |= fields.pop(name, _MISSING) is not _MISSING
    return has_changed


def _add(number: Any, amount: Any) -> int | float:
    for each in (number, amount):
        if not isinstance(each, int | float) or type(each) is bool:
            raise Unsupported
    total: int | float = number + amount
    if not -MAX_INTEGER <= total <= MAX_INTEGER:
        raise Unsupported
    return total


def _is_same(old: Any, new: Any) -> bool:
    """Return whether a field keeps its value. Objects and lists count as changed: they are not compared."""
    if old is None or new is None:
        return old is new
    return isinstance(new, str | int) and type(new) is not bool and type(old) in {str, int} and bool(old == new)
