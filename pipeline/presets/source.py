"""Reads files of presets and the image files beside them, once, so that one load sees one state of them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

MAX_FILE_BYTES = 1024 * 1024
"""The largest `.toml` file: the parser takes about a second for it."""
MAX_FILES = 100
PATTERN = "*.toml"


class Unreadable(Exception):
    """A file cannot be used. The message is a sentence."""


class Snapshot:
    """The bytes of the files of presets, and of each image file that a load has read, at one time."""

    def __init__(self, path: Path) -> None:
        """Read the files of presets: a file, or all `.toml` files of a folder. Raises `Unreadable`."""
        try:
            self.folder = path if path.is_dir() else path.parent
            files = [path] if self.folder != path else sorted(path.glob(PATTERN))
        except OSError as error:
            raise Unreadable(_describe(error)) from None
        if len(files) > MAX_FILES:
            raise Unreadable(f"The folder has {len(files)} files of presets; at most {MAX_FILES} are allowed.")
        self.files: dict[str, bytes | Unreadable] = {
            file.name: self._read(file.name, MAX_FILE_BYTES) for file in files if not file.name.startswith(".")
        }
        self.images: dict[str, bytes | Unreadable] = {}

    def read_image(self, name: str, max_bytes: int) -> bytes:
        """Return the bytes of an image file beside the files of presets. Raises `Unreadable`."""
        if name not in self.images:
            self.images[name] = self._read(name, max_bytes)
        content = self.images[name]
        if isinstance(content, Unreadable):
            raise content
        return content

    def fingerprint(self, images: Iterable[str] = (), max_bytes: int = 0) -> str:
        """Return a hash of everything that has been read, these images included."""
        for name in images:
            if name not in self.images:
                self.images[name] = self._read(name, max_bytes)
        total = sha256()
        for name, content in sorted([*self.files.items(), *self.images.items()]):
            text = str(content).encode() if isinstance(content, Unreadable) else sha256(content).digest()
            total.update(name.encode(errors="surrogateescape") + b"\0" + text + b"\0")
        return total.hexdigest()

    def _read(self, name: str, max_bytes: int) -> bytes | Unreadable:
        try:
            return _read_inside(self.folder, name, max_bytes)
        except Unreadable as error:
            return error
        except OSError as error:
            return Unreadable(_describe(error))


def _read_inside(folder: Path, name: str, max_bytes: int) -> bytes:
    """Return the bytes of a regular file. A link may lead to another file below the folder, as those of Kubernetes do.

    Raises `Unreadable` or OSError.
    """
    try:
        path = (folder / name).resolve(strict=True)
    except RuntimeError:  # pathlib's error for it
        raise Unreadable("The file is a link that leads to itself.") from None
    if not path.is_relative_to(folder.resolve(strict=True)):
        raise Unreadable("The file is a link to a place outside the folder of the presets.")
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)  # a pipe would wait for a writer
    with open(file, "rb") as content:  # noqa: PTH123  of a descriptor
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise Unreadable("It is no regular file.")
        found = content.read(max_bytes + 1)
    if len(found) > max_bytes:
        raise Unreadable(f"The file is larger than {max_bytes:,} bytes.")
    return found


def _describe(error: OSError) -> str:
    reason = error.strerror or type(error).__name__
    return f"The file cannot be read: {reason.lower()}."
