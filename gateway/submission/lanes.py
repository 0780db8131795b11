"""The lane of a new job: ahead of bulk work, unless it is heavy or one of a burst."""

from __future__ import annotations

from limits import parse as parse_rate_limit
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from pipeline.settings import LanesSettings
from storage.documents import Lane


class Lanes:
    """Counts what each caller sends, in this gateway's memory: an estimate is enough to be fair."""

    def __init__(self, settings: LanesSettings) -> None:
        self._burst = parse_rate_limit(settings.burst)
        self._heavy_bytes = settings.heavy_bytes
        self._sent = MovingWindowRateLimiter(MemoryStorage())

    async def choose(self, caller: str, *, size: int) -> Lane:
        """Return the lane for a file of `size` bytes that a caller sends, and count it."""
        within = await self._sent.hit(self._burst, caller)
        return Lane.EXPRESS if within and size < self._heavy_bytes else Lane.BULK
