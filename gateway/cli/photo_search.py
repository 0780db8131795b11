"""Find photos: the files that the arguments name, and the files in folders that have an accepted extension."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..client.filenames import is_image_name
from .command import CommandError
from .journal import JOURNAL_NAME, read_entries

STDIN = Path("-")
EXTENSIONS_BY_FORMAT = {
    "jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "png": (".png", ".apng"),
    "tiff": (".tif", ".tiff"),
    "bmp": (".bmp", ".dib"),
    "heic": (".heic", ".heif", ".hif"),
}


@dataclass(frozen=True, kw_only=True)
class PhotoFile:
    """The file of a photo."""

    path: Path
    """Absolute."""
    root: Path | None
    """The folder argument that it was found in; None if the file itself is an argument."""
    display_name: str


def find_photos(
    arguments: Sequence[Path], accepts: Mapping[str, str], *, recursive: bool, out: Path | None
) -> list[PhotoFile]:
    """Return each photo once, in the order of the arguments. `accepts` has the formats that the gateway accepts.

    In folders, the search skips hidden files and folders, the folder `out`, and the results that earlier runs saved.
    """
    extensions = file_extensions(accepts)
    photos: dict[Path, PhotoFile] = {}
    for argument in arguments:
        path = _absolute(argument)
        if not path.is_dir():
            photos.setdefault(path, PhotoFile(path=path, root=None, display_name=str(argument)))
            continue
        for photo in _walk(path, extensions, recursive=recursive, out=_absolute(out) if out else None):
            display_name = str(argument / photo.relative_to(path))
            photos.setdefault(photo, PhotoFile(path=photo, root=path, display_name=display_name))
    return list(photos.values())


def file_extensions(accepts: Iterable[str]) -> set[str]:
    """Return the extensions of these formats, in lower case and with the dot: only those of images."""
    extensions = {extension for name in accepts for extension in EXTENSIONS_BY_FORMAT.get(name, (f".{name}",))}
    return {extension for extension in extensions if is_image_name(f"image{extension}")}


def ensure_files_exist(arguments: Sequence[Path]) -> None:
    """Raise `CommandError` if a file or folder does not exist."""
    if missing := [str(path) for path in arguments if path != STDIN and not path.exists()]:
        raise CommandError(f"No such file or folder: {', '.join(missing)}")


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
    """Return the absolute path without resolving links: a linked photo keeps the name of its link."""
    return Path(os.path.abspath(path))  # noqa: PTH100  # resolve() would follow links
