"""The lane of a new job: express, unless its file is large or it is one of a burst."""

from __future__ import annotations

from limits import parse as parse_rate_limit
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from pipeline.http_settings import LanesSettings
from storage.documents import Lane


class LaneChooser:
    """Counts the files of each caller, in this gateway's memory: an estimate is enough for fairness."""

    def __init__(self, settings: LanesSettings) -> None:
        self._burst = parse_rate_limit(settings.burst)
        self._heavy_bytes = settings.heavy_bytes
        self._burst_limiter = MovingWindowRateLimiter(MemoryStorage())

    async def choose(self, caller: str, *, size: int) -> Lane:
        """Count a file of `size` bytes from a caller, and return its lane."""
        is_within_burst = await self._burst_limiter.hit(self._burst, caller)
        return Lane.EXPRESS if is_within_burst and size < self._heavy_bytes else Lane.BULK
