"""Recent jobs: those that this gateway has just accepted, so that a client that waits for one needs no look at it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

from storage.documents import Job
from storage.jobs import Jobs

KEPT_SECONDS = 5.0
"""Most clients that wait for the end of a job ask for it at once after the upload."""
MAX_KEPT = 256
"""Jobs that are kept, each of some kilobytes."""


class RecentJobs:
    """Jobs as they were accepted, until a notification says that they have ended.

    They may have changed since. So a job from here is only good for waiting until it is read again, not for an answer.
    """

    def __init__(self, jobs: Jobs, *, clock: Callable[[], float] = monotonic) -> None:
        self._jobs = jobs
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, Job]] = OrderedDict()

    def add(self, job: Job) -> None:
        """Keep a job that is inserted, before it is dispatched."""
        self._kept[job.id] = self._clock() + KEPT_SECONDS, job
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)

    def forget(self, job_id: str) -> None:
        """Do not keep a job any more: it has ended, or is about to."""
        self._kept.pop(job_id, None)

    def clear(self) -> None:
        """Keep no job: notifications may have been missed."""
        self._kept.clear()

    async def get(self, job_id: str, *, owner: str | None = None, token_id: str | None = None) -> Job:
        """Return the job as `Jobs.get` does, from here if possible. Raises `JobNotFound`, `JobUnreadable`."""
        expires, job = self._kept.get(job_id, (0.0, None))
        is_kept = job is not None and self._clock() < expires
        if job is None or not is_kept or owner not in {None, job.owner} or token_id not in {None, job.token_id}:
            return await self._jobs.get(job_id, owner=owner, token_id=token_id)
        return job
