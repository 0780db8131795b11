"""The room for uploads on the disk with the blobs, a part of which is reserved for the stages of accepted jobs."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic

from gateway import problems
from gateway.problems import StorageFull
from pipeline.blob_reserve import compute_reserve
from pipeline.http_settings import BlobsSettings
from storage.blobs import Blobs

REFRESH_SECONDS = 1.0
RETRY_AFTER_SECONDS = 60
"""Space comes back when results expire, or when a person makes room."""
HELD_RETRY_AFTER_SECONDS = problems.RETRY_AFTER_SECONDS
"""Room that uploads under way hold comes back when they end, as they may be smaller than they could be, or fail."""
DETAIL = (
    "The server's disk is full: it has no room for new images. Jobs that were accepted still finish. "
    "Send the request again after the time in Retry-After."
)


@dataclass(slots=True)
class DiskSpace:
    """The bytes of a disk that uploads may use: what was free, and what was used since."""

    free: int | None = None
    """Free bytes above the reserve, when they were last read; None: unknown, or without a limit."""
    written: int = 0
    """Bytes that were written since then."""
    expected: int = 0
    """Bytes that requests under way have yet to write."""

    @property
    def unused(self) -> float:
        """Bytes above the reserve, those included that requests under way hold; infinite without a limit."""
        return math.inf if self.free is None else self.free - self.written

    def check(self, size: int) -> None:
        """Raise `StorageFull` unless so many bytes more leave the reserve free."""
        if self.unused - self.expected < size:
            seconds = RETRY_AFTER_SECONDS if self.unused < size else HELD_RETRY_AFTER_SECONDS
            raise StorageFull(DETAIL, headers={"Retry-After": str(seconds)})


class HeldRoom:
    """The room that one request holds."""

    def __init__(self, space: DiskSpace) -> None:
        """Hold nothing yet."""
        self._space = space
        self._expected = 0

    def expect(self, size: int) -> None:
        """Hold so many bytes more."""
        self._expected += size
        self._space.expected += size

    def expect_copy(self, size: int) -> None:
        """Hold so many bytes more for the copy of a blob, or raise `StorageFull`."""
        self._space.check(size)
        self.expect(size)

    def use(self, size: int) -> None:
        """Note that so many bytes were written."""
        self._space.written += size
        self.expect(-min(size, self._expected))

    def release(self) -> None:
        """Hold nothing any more."""
        self.expect(-self._expected)


class BlobRoom:
    """What uploads may still use of the disk with the blobs. An object store is never full.

    The free space is read at most every REFRESH_SECONDS, in a thread. What was written since then, and what requests
    under way have yet to write, counts as used: so uploads do not use the reserve, however many there are at a time.
    """

    def __init__(self, settings: BlobsSettings, *, upload_bytes: int, refresh_seconds: float = REFRESH_SECONDS) -> None:
        """Keep room for one more upload of `upload_bytes` above the reserve: a full disk refuses small ones as well."""
        self._settings = settings
        self._upload_bytes = upload_bytes
        self._refresh_seconds = refresh_seconds
        self._space = DiskSpace()
        self._refresh_at = 0.0
        self._reading: asyncio.Task[None] | None = None

    async def is_full(self, blobs: Blobs) -> bool:
        """Whether an upload has no room, even once those under way have ended without using what they hold.

        Raises OSError when the disk cannot be asked.
        """
        await self._refresh(blobs)
        return self._space.unused < self._upload_bytes

    @asynccontextmanager
    async def hold(self, blobs: Blobs, size: int | None) -> AsyncIterator[HeldRoom]:
        """Hold room for a request of `size` bytes until the block ends, or raise `StorageFull`. None: unknown size."""
        await self._refresh(blobs)
        self._space.check(max(size or 0, self._upload_bytes))
        held = HeldRoom(self._space)
        held.expect(self._upload_bytes if size is None else size)
        try:
            yield held
        finally:
            held.release()

    async def _refresh(self, blobs: Blobs) -> None:
        """Read the free space when that is due. Requests that come meanwhile, or give up, share one reading."""
        if not blobs.is_local or monotonic() < self._refresh_at:
            return
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_space(blobs))
        await asyncio.shield(self._reading)

    async def _read_space(self, blobs: Blobs) -> None:
        written_before = self._space.written
        free, size = await asyncio.to_thread(blobs.read_disk_space)
        reserve = compute_reserve(self._settings, size)
        self._space.free = free - reserve if reserve else None
        self._space.written -= written_before
        self._refresh_at = monotonic() + self._refresh_seconds
