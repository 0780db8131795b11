"""Files to upload, in a form that each attempt can read from the start."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

File = str | os.PathLike[str] | bytes | BinaryIO
"""A path, bytes, or a binary stream. A stream is read to its end and kept in memory."""
ProgressCallback = Callable[[int, int], None]
"""Called with the number of bytes read for sending and the total. Each attempt starts again from 0."""


@dataclass(frozen=True, kw_only=True)
class ReopenableFile:
    """A file that can be opened for each attempt. The name is only the file name in the form."""

    name: str
    open: Callable[[], BinaryIO]
    progress: ProgressCallback | None = None

    @classmethod
    def of(cls, file: File, *, name: str | None = None, progress: ProgressCallback | None = None) -> ReopenableFile:
        """Return the reopenable file of a path, bytes or a stream."""
        if isinstance(file, str | os.PathLike):
            path = Path(file)
            return cls(name=_to_utf8_name(name or path.name), open=lambda: path.open("rb"), progress=progress)
        content = file if isinstance(file, bytes) else file.read()
        label = name or str(getattr(file, "name", "")).rpartition("/")[2] or "image"
        return cls(name=_to_utf8_name(label), open=lambda: io.BytesIO(content), progress=progress)

    def open_with_progress(self) -> BinaryIO:
        """Open the file for one attempt, with reports to `progress`."""
        file = self.open()
        return _ProgressFile(file, self.progress) if self.progress else file  # type: ignore[return-value]  # it has the methods that httpx calls


class _ProgressFile:
    """A file that reports how many bytes have been read."""

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
    """Replace the bytes of a file name that are not UTF-8: Python has them as lone surrogates, which cannot be sent."""
    return os.fsencode(name).decode("utf-8", "replace")
