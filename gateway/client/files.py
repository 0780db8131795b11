"""Pictures: what is uploaded, in a form that can be sent again from its start."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

File = str | os.PathLike[str] | bytes | BinaryIO
"""A path, the bytes, or a binary stream, which is read to its end and kept."""
ProgressCallback = Callable[[int, int], None]
"""Told how many bytes have been handed over for sending, and of how many; from 0 again with each attempt."""


@dataclass(frozen=True, kw_only=True)
class ReopenableFile:
    """A name, which is a label only, and a way to open the bytes anew."""

    name: str
    open: Callable[[], BinaryIO]
    progress: ProgressCallback | None = None

    @classmethod
    def of(cls, file: File, *, name: str | None = None, progress: ProgressCallback | None = None) -> ReopenableFile:
        """Take whatever a caller has."""
        if isinstance(file, str | os.PathLike):
            path = Path(file)
            return cls(name=_to_utf8_name(name or path.name), open=lambda: path.open("rb"), progress=progress)
        content = file if isinstance(file, bytes) else file.read()
        label = name or str(getattr(file, "name", "")).rpartition("/")[2] or "image"
        return cls(name=_to_utf8_name(label), open=lambda: io.BytesIO(content), progress=progress)

    def open_with_progress(self) -> BinaryIO:
        """Open the bytes for one attempt."""
        file = self.open()
        return _ProgressFile(file, self.progress) if self.progress else file  # type: ignore[return-value]  # all that is read


class _ProgressFile:
    """A file that tells how much of it has been read."""

    def __init__(self, file: BinaryIO, progress: ProgressCallback) -> None:
        self._file = file
        self._progress = progress
        self._total = file.seek(0, io.SEEK_END)
        file.seek(0)

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self._progress(self._file.tell(), self._total)
        return piece

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


def _to_utf8_name(name: str) -> str:
    """Make a name out of any file's: those that are not UTF-8 reach Python as lone surrogates."""
    return os.fsencode(name).decode("utf-8", "replace")
