"""The lane of a new job: express, unless its file is large or it is one of a burst."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from time import monotonic

from limits import parse as parse_rate_limit
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from pipeline.http_settings import LanesSettings
from storage.documents import Lane

FEW_JOBS = 4
"""A caller with fewer unfinished jobs is no burst, or one that waits for each of its jobs becomes one by being fast."""
UNFINISHED_SECONDS = 60.0
"""A job counts as unfinished for this long: the notification of its end may be lost."""


class LaneChooser:
    """Counts the files and the unfinished jobs of each caller.

    It counts in this gateway's memory: an estimate is enough for fairness.
    """

    def __init__(self, settings: LanesSettings, *, clock: Callable[[], float] = monotonic) -> None:
        self._burst = parse_rate_limit(settings.burst)
        self._heavy_bytes = settings.heavy_bytes
        self._burst_limiter = MovingWindowRateLimiter(MemoryStorage())
        self._clock = clock
        self._unfinished: dict[str, tuple[str, float]] = {}  # caller and time of each job, oldest first
        self._unfinished_by_caller: Counter[str] = Counter()

    async def choose(self, caller: str, job_id: str, *, size: int) -> Lane:
        """Count a job with a file of `size` bytes from a caller, and return its lane."""
        self._forget_expired()
        has_few_jobs = self._unfinished_by_caller[caller] < FEW_JOBS
        self._unfinished[job_id] = (caller, self._clock())
        self._unfinished_by_caller[caller] += 1
        is_within_burst = await self._burst_limiter.hit(self._burst, caller)
        return Lane.EXPRESS if (is_within_burst or has_few_jobs) and size < self._heavy_bytes else Lane.BULK

    def forget(self, job_id: str) -> None:
        """Count a job as finished; one of another gateway is not counted here."""
        caller, _ = self._unfinished.pop(job_id, (None, 0.0))
        if caller is None:
            return
        self._unfinished_by_caller[caller] -= 1
        if not self._unfinished_by_caller[caller]:
            del self._unfinished_by_caller[caller]

    def _forget_expired(self) -> None:
        expired = self._clock() - UNFINISHED_SECONDS
        while self._unfinished:
            job_id, (_, started) = next(iter(self._unfinished.items()))
            if started > expired:
                return
            self.forget(job_id)
