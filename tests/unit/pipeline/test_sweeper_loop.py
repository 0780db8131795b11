"""The sweeper goes on when a round fails."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from pymongo.errors import AutoReconnect

from pipeline.settings import Settings
from pipeline.sweeper import Sweeper
from storage.blobs import Blobs
from storage.documents import Job
from tests.support.fakes import FakeJobs, FakeQueues, FakeStores


class FailingOnce(FakeJobs):
    """Jobs whose first question fails, and which tell when they are asked again."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.asked_again = asyncio.Event()
        self._errors = [error]

    async def find_due(self, *, limit: int) -> list[Job]:
        if self._errors:
            raise self._errors.pop()
        self.asked_again.set()
        return await super().find_due(limit=limit)


@pytest.mark.parametrize("error", [AutoReconnect("the database is away"), ZeroDivisionError()], ids=["outage", "bug"])
async def test_a_round_that_fails_is_followed_by_the_next(
    blobs: Blobs, queues: FakeQueues, settings: Settings, error: Exception
) -> None:
    jobs = FailingOnce(error)
    loop = asyncio.create_task(Sweeper(FakeStores(jobs, blobs), queues, settings).run())

    async with asyncio.timeout(5):
        await jobs.asked_again.wait()

    loop.cancel()
    with suppress(asyncio.CancelledError):
        await loop
