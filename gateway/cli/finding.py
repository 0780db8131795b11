"""Finding photos: what the arguments name, and in folders every file that looks like an image the gateway takes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.cli.journal import NAME, entries
from gateway.cli.session import Unusable

STDIN = Path("-")
SPELLINGS = {
    "jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "png": (".png", ".apng"),
    "tiff": (".tif", ".tiff"),
    "bmp": (".bmp", ".dib"),
    "heic": (".heic", ".heif", ".hif"),
}


@dataclass(frozen=True, kw_only=True)
class Found:
    """A photo: its absolute path, the folder it was found through if it was not named itself, and how to show it."""

    path: Path
    root: Path | None
    shown: str


def find(arguments: Sequence[Path], accepts: Mapping[str, str], *, recursive: bool, out: Path | None) -> list[Found]:
    """Return the photos in the order of the arguments, each once.

    In folders, hidden files and folders are passed over, and so are `out` and what earlier runs have saved.
    """
    endings = {ending for name in accepts for ending in SPELLINGS.get(name, (f".{name}",))}
    photos: dict[Path, Found] = {}
    for argument in arguments:
        path = _absolute(argument)
        if not path.is_dir():
            photos.setdefault(path, Found(path=path, root=None, shown=str(argument)))
            continue
        for photo in _walk(path, endings, recursive=recursive, out=_absolute(out) if out else None):
            shown = str(argument / photo.relative_to(path))
            photos.setdefault(photo, Found(path=photo, root=path, shown=shown))
    return list(photos.values())


def ensure_there(arguments: Sequence[Path]) -> None:
    """Raise `Unusable` if an argument names nothing."""
    if missing := [str(path) for path in arguments if path != STDIN and not path.exists()]:
        raise Unusable(f"There is no {', no '.join(missing)}.")


def _walk(folder: Path, endings: set[str], *, recursive: bool, out: Path | None) -> Iterator[Path]:
    ours: set[Path] = set()
    for where, folders, files in os.walk(folder):
        here = Path(where)
        if NAME in files:
            ours |= {here / name for entry in entries(here) for name in entry.saved.values()}
        for name in sorted(files):
            path = here / name
            if not name.startswith(".") and path.suffix.lower() in endings and path not in ours and path.is_file():
                yield path
        folders[:] = sorted(name for name in folders if recursive and not name.startswith(".") and here / name != out)


def _absolute(path: Path) -> Path:
    """Return the path from the root, its links as they are: a linked photo has the name of its link."""
    return Path(os.path.abspath(path))  # noqa: PTH100  # resolve() would follow links
