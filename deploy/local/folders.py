"""Folders to be written into: whether one can be is found out, and said in one line, before the work."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

MEBIBYTE = 1 << 20
PROBE_BYTES = 4096


class FolderUnusable(Exception):
    """Nothing can be written into a folder; the message says in one line which one it is, and why."""


def prepare_folder(folder: Path, *, min_free_bytes: int = 0) -> None:
    """Make the folder, and see that files can be written into it and that its disk has room. Raises FolderUnusable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_free_space(folder, min_free_bytes)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(PROBE_BYTES))
    except OSError as error:
        raise FolderUnusable(describe_failure(error, folder)) from error


def check_free_space(folder: Path, min_free_bytes: int) -> None:
    """Raise FolderUnusable where the disk of a folder has less room than this."""
    free = shutil.disk_usage(folder).free
    if free < min_free_bytes:
        raise FolderUnusable(
            f"The disk of {folder} is full: {free // MEBIBYTE} MiB are free, "
            f"{min_free_bytes // MEBIBYTE} MiB are needed."
        )


def check_temporary_folder() -> None:
    """Raise FolderUnusable where there is none."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        raise FolderUnusable(
            "No temporary folder can be written, neither /tmp nor /var/tmp: name another, such as TMPDIR=$HOME/tmp"
        ) from None


def describe_failure(error: OSError, folder: Path) -> str:
    """Return one line that says why something in the folder could not be written."""
    in_place = next((each for each in (folder, *folder.parents) if _is_no_folder(each)), None)
    if in_place is not None:
        return f"{folder} cannot be used: {in_place} is a file, not a folder."
    where = Path(os.fsdecode(error.filename)) if error.filename else folder
    return f"{_shortened(where)} cannot be written: {(error.strerror or str(error)).lower()}."


def _is_no_folder(path: Path) -> bool:
    try:
        return os.path.lexists(path) and not path.is_dir()
    except OSError:  # such as a name that is too long
        return False


def _shortened(path: Path) -> str:
    text = str(path)
    return text if len(text) <= 300 else f"{text[:200]}... ({len(text)} characters)"  # noqa: PLR2004  # of a line
