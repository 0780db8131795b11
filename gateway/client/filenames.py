"""File names of results: the names that the gateway sends, made safe for a file system."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path
from urllib.parse import unquote

import httpx

_EXTENDED = re.compile(r"filename\*=UTF-8''([^;\s]+)", re.IGNORECASE)
_PLAIN = re.compile(r'filename="([^"]*)"', re.IGNORECASE)


def filename_of(answer: httpx.Response) -> str:
    """Return the file name of a result, from its Content-Disposition (RFC 6266), else from its path and media type."""
    disposition = answer.headers.get("content-disposition", "")
    extended, plain = _EXTENDED.search(disposition), _PLAIN.search(disposition)
    name = unquote(extended[1]) if extended else plain[1] if plain else ""
    return safe_filename(name) or f"{answer.url.path.rsplit('/', 1)[-1]}.{_subtype(answer)}"


def safe_filename(name: str) -> str:
    """Return the name without folders, leading dots and unprintable characters; empty if nothing is left."""
    printable = "".join(character for character in name if character.isprintable())
    return printable.replace("\\", "/").rpartition("/")[2].lstrip(". ")


def number_paths(path: Path) -> Iterator[Path]:
    """Iterate over a path and its alternatives: photo.jpg, photo (2).jpg, photo (3).jpg and so on."""
    return chain([path], (path.with_name(f"{path.stem} ({number}){path.suffix}") for number in count(2)))


def _subtype(answer: httpx.Response) -> str:
    subtype = answer.headers.get("content-type", "").partition(";")[0].rpartition("/")[2]
    return "jpg" if subtype == "jpeg" else re.sub(r"[^a-z0-9]", "", subtype) or "bin"
