"""Names of results: the gateway's, as it gives them with the bytes, made safe for a file system."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path
from urllib.parse import unquote

import httpx

_IN_FULL = re.compile(r"filename\*=UTF-8''([^;\s]+)", re.IGNORECASE)
_PLAIN = re.compile(r'filename="([^"]*)"', re.IGNORECASE)


def filename_of(answer: httpx.Response) -> str:
    """Return the name that a result is saved under: its Content-Disposition's (RFC 6266), or one after its path."""
    disposition = answer.headers.get("content-disposition", "")
    in_full, plain = _IN_FULL.search(disposition), _PLAIN.search(disposition)
    name = unquote(in_full[1]) if in_full else plain[1] if plain else ""
    return safe_filename(name) or f"{answer.url.path.rsplit('/', 1)[-1]}.{_subtype(answer)}"


def safe_filename(name: str) -> str:
    """Return a name that is no path, hides nothing and has no control characters; empty where nothing is left."""
    printable = "".join(character for character in name if character.isprintable())
    return printable.replace("\\", "/").rpartition("/")[2].lstrip(". ")


def number_paths(path: Path) -> Iterator[Path]:
    """Return a path and its alternatives: photo.jpg, photo (2).jpg, photo (3).jpg."""
    return chain([path], (path.with_name(f"{path.stem} ({number}){path.suffix}") for number in count(2)))


def _subtype(answer: httpx.Response) -> str:
    subtype = answer.headers.get("content-type", "").partition(";")[0].rpartition("/")[2]
    return "jpg" if subtype == "jpeg" else re.sub(r"[^a-z0-9]", "", subtype) or "bin"
