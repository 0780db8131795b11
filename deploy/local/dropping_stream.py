"""Standard output that loses what a full disk does not take: `nohup ./run up` writes it to a file."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

FULL = (errno.ENOSPC, errno.EDQUOT)


class DroppingStream:
    """A text stream that ignores a full disk, and no other error. In all else it is the given stream."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text if there is room."""
        with _ignore_full_disk():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream if there is room."""
        with _ignore_full_disk():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _ignore_full_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
