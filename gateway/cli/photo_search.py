"""Finding photos: what the arguments name, and in folders every file that looks like an image the gateway takes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .journal import JOURNAL_NAME, read_entries
from .session import CommandError

STDIN = Path("-")
EXTENSIONS_BY_FORMAT = {
    "jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "png": (".png", ".apng"),
    "tiff": (".tif", ".tiff"),
    "bmp": (".bmp", ".dib"),
    "heic": (".heic", ".heif", ".hif"),
}


@dataclass(frozen=True, kw_only=True)
class FoundPhoto:
    """A photo: its absolute path, the folder it was found through if it was not named itself, and how to show it."""

    path: Path
    root: Path | None
    display_name: str


def find_photos(
    arguments: Sequence[Path], accepts: Mapping[str, str], *, recursive: bool, out: Path | None
) -> list[FoundPhoto]:
    """Return the photos in the order of the arguments, each once.

    In folders, hidden files and folders are passed over, and so are `out` and what earlier runs have saved.
    """
    extensions = {ending for name in accepts for ending in EXTENSIONS_BY_FORMAT.get(name, (f".{name}",))}
    photos: dict[Path, FoundPhoto] = {}
    for argument in arguments:
        path = _absolute(argument)
        if not path.is_dir():
            photos.setdefault(path, FoundPhoto(path=path, root=None, display_name=str(argument)))
            continue
        for photo in _walk(path, extensions, recursive=recursive, out=_absolute(out) if out else None):
            display_name = str(argument / photo.relative_to(path))
            photos.setdefault(photo, FoundPhoto(path=photo, root=path, display_name=display_name))
    return list(photos.values())


def ensure_files_exist(arguments: Sequence[Path]) -> None:
    """Raise `CommandError` if an argument names nothing."""
    if missing := [str(path) for path in arguments if path != STDIN and not path.exists()]:
        raise CommandError(f"There is no {', no '.join(missing)}.")


def _walk(folder: Path, extensions: set[str], *, recursive: bool, out: Path | None) -> Iterator[Path]:
    saved_paths: set[Path] = set()
    for where, folders, files in os.walk(folder):
        here = Path(where)
        if JOURNAL_NAME in files:
            saved_paths |= {here / name for entry in read_entries(here) for name in entry.saved.values()}
        for name in sorted(files):
            path = here / name
            if (
                not name.startswith(".")
                and path.suffix.lower() in extensions
                and path not in saved_paths
                and path.is_file()
            ):
                yield path
        folders[:] = sorted(name for name in folders if recursive and not name.startswith(".") and here / name != out)


def _absolute(path: Path) -> Path:
    """Return the path from the root, its links as they are: a linked photo has the name of its link."""
    return Path(os.path.abspath(path))  # noqa: PTH100  # resolve() would follow links
