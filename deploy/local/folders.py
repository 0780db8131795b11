"""Check before the work whether a folder can be written into, and explain in one line why not."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

MEBIBYTE = 1 << 20
PROBE_BYTES = 4096


class FolderUnusable(Exception):
    """A folder cannot be written into. The message says in one line which one, and why."""


def prepare_folder(folder: Path, *, min_free_bytes: int = 0) -> None:
    """Create the folder. Raises FolderUnusable if no file can be written into it or its disk has too little space."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_free_space(folder, min_free_bytes)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(PROBE_BYTES))
    except OSError as error:
        raise FolderUnusable(describe_failure(error, folder)) from error


def check_free_space(folder: Path, min_free_bytes: int) -> None:
    """Raise FolderUnusable if the disk of a folder has less free space than this."""
    free = shutil.disk_usage(folder).free
    if free < min_free_bytes:
        raise FolderUnusable(
            f"The disk of {folder} is full: {free // MEBIBYTE} MiB are free, "
            f"{min_free_bytes // MEBIBYTE} MiB are needed."
        )


def check_temporary_folder() -> None:
    """Raise FolderUnusable if there is no writable temporary folder."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        raise FolderUnusable(
            "No temporary folder can be written, neither /tmp nor /var/tmp. Set another one, such as TMPDIR=$HOME/tmp"
        ) from None


def describe_failure(error: OSError, folder: Path) -> str:
    """Return one line that says why a write into the folder failed."""
    blocking_file = next((each for each in (folder, *folder.parents) if _is_no_folder(each)), None)
    if blocking_file is not None:
        return f"{folder} cannot be used: {blocking_file} is a file, not a folder."
    where = Path(os.fsdecode(error.filename)) if error.filename else folder
    return f"{_shorten(where)} cannot be written: {(error.strerror or str(error)).lower()}."


def _is_no_folder(path: Path) -> bool:
    try:
        return os.path.lexists(path) and not path.is_dir()
    except OSError:  # such as a name that is too long
        return False


def _shorten(path: Path) -> str:
    text = str(path)
    return text if len(text) <= 300 else f"{text[:200]}... ({len(text)} characters)"  # noqa: PLR2004  # of a line
