"""What is learned of an original while its bytes come in: format, size and SHA-256. Uploads and fetches share it."""

from __future__ import annotations

from hashlib import sha256

from stages.formats import MEDIA_TYPES, recognize
from stages.limits import Limits
from storage.documents import Original


class OriginalMeter:
    """Counts and hashes the bytes of one original."""

    def __init__(self, head: bytes, limits: Limits) -> None:
        """Recognize the format by the first HEAD_BYTES of the file. Raises what `recognize` raises."""
        self.format = recognize(head, limits).format
        self.size = 0
        self._max_bytes = limits.upload_bytes
        self._digest = sha256()

    @property
    def is_too_large(self) -> bool:
        """Whether there are more bytes than an original may have."""
        return self.size > self._max_bytes

    def add(self, chunk: bytes) -> None:
        """Count and hash the next piece, `head` included."""
        self.count(chunk)
        self.hash(chunk)

    def count(self, chunk: bytes) -> None:
        """Count the next piece, which another thread may hash."""
        self.size += len(chunk)

    def hash(self, chunk: bytes) -> None:
        """Hash the next piece, which was counted, or is about to be."""
        self._digest.update(chunk)

    def describe(self, *, blob: str, name: str | None) -> Original:
        """Return the original whose bytes were all added."""
        digest, media_type = self._digest.hexdigest(), MEDIA_TYPES[self.format]
        return Original(blob=blob, name=name, media_type=media_type, bytes=self.size, sha256=digest)
