"""The lines of a TOML file: where each table and each key begins. The parser of the standard library does not say."""

from __future__ import annotations

import re

_HEADER = re.compile(r"\s*\[+([^\[\]]+)\]+\s*(?:#.*)?$")
_KEY = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_ASSIGNMENT = re.compile(rf"\s*({_KEY}(?:\s*\.\s*{_KEY})*)\s*=")


LONGEST_PATH = 8
"""Parts of a path: more than any value of a preset needs. Keys can be of as many parts as the file has bytes."""


def find_lines(text: str) -> dict[str, int]:
    """Return the line (from 1) of each path, such as `product.renditions.card.width`.

    Keys of inline tables are not found, and a text of several lines may look like a key: a line is a help for people.
    """
    lines: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = path = _normalize(header[1])
        elif assignment := _ASSIGNMENT.match(line):
            path = f"{table}.{_normalize(assignment[1])}".lstrip(".")
        else:
            continue
        parts = path.split(".")
        for length in range(1, min(len(parts), LONGEST_PATH) + 1):
            lines.setdefault(".".join(parts[:length]), number)
    return lines


def line_of(path: str, lines: dict[str, int]) -> int | None:
    """Return the line of a path, or of the nearest table or key around it."""
    while path:
        if path in lines:
            return lines[path]
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return None


def _normalize(key: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in key.split("."))
