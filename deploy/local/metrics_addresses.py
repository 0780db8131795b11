"""The metrics URLs of a stack's processes, in a file of its data folder, for `./run top`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

NAME = "addresses.json"


def write_metrics_urls(folder: Path, urls: Mapping[str, str]) -> None:
    """Record the URL of each process, by its name."""
    unfinished = folder / f"{NAME}.new"
    unfinished.write_text(json.dumps(dict(urls), indent=2) + "\n", encoding="utf-8")
    unfinished.replace(folder / NAME)


def read_metrics_urls(folder: Path) -> dict[str, str]:
    """Return the URLs of the stack last started on this folder; empty if there was none."""
    try:
        urls: dict[str, str] = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return urls
