"""Whether a document matches the conditions of a filter, by MongoDB's rules for scalar values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import ge, gt, le, lt
from typing import Any

from deploy.local.document_server.unsupported import Unsupported
from deploy.local.document_server.updating import split_path

Document = dict[str, Any]
RANGES: Mapping[str, Callable[[Any, Any], bool]] = {"$gt": gt, "$gte": ge, "$lt": lt, "$lte": le}


def matches(document: Document, conditions: Mapping[str, Any]) -> bool:
    """Return whether the document meets all conditions, by their dotted paths."""
    return all(_meets(_find(document, path), condition) for path, condition in conditions.items())


def _find(document: Document, path: str) -> Any:
    """Return the value at the path. A missing one is None: no operator here tells the two apart."""
    value: Any = document
    for name in split_path(path):
        if type(value) is dict:
            value = value.get(name)
        elif type(value) is list:
            raise Unsupported
        else:
            return None
    if type(value) is list:  # a condition on an array is one on its elements
        raise Unsupported
    return value


def _meets(value: Any, condition: Any) -> bool:
    if type(condition) is not dict:
        return _equals(value, condition)
    if not condition:
        raise Unsupported
    return all(_compare(value, operator, operand) for operator, operand in condition.items())


def _compare(value: Any, operator: str, operand: Any) -> bool:
    if operator == "$in" and type(operand) is list:
        return True in [_equals(value, each) for each in operand]  # looks at all of them: one may be unsupported
    if operator == "$ne":
        return not _equals(value, operand)
    if operator not in RANGES or not isinstance(operand, int | float) or type(operand) is bool:
        raise Unsupported
    return isinstance(value, int | float) and type(value) is not bool and RANGES[operator](value, operand)


def _equals(value: Any, operand: Any) -> bool:
    if not (operand is None or isinstance(operand, str | int | float)) or type(operand) is bool:
        raise Unsupported
    return bool(value == operand) and type(value) is not bool
