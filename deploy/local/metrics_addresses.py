"""Where the processes of a stack tell their metrics, in a file of its data folder: for who wants to look at it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

NAME = "addresses.json"


def write_metrics_urls(folder: Path, urls: Mapping[str, str]) -> None:
    """Note the address of each process, by its name."""
    unfinished = folder / f"{NAME}.new"
    unfinished.write_text(json.dumps(dict(urls), indent=2) + "\n", encoding="utf-8")
    unfinished.replace(folder / NAME)


def read_metrics_urls(folder: Path) -> dict[str, str]:
    """Return what the stack that was last started over this folder noted; empty when there was none."""
    try:
        urls: dict[str, str] = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return urls
