"""Removes old folders without a job or an open upload: the request ended before the document was inserted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from uuid import UUID

import structlog

from pipeline.tidying.context import TidyContext
from storage.clock import DATABASE_CLOCK, now_ms

JOB_ID_VERSION = 7
LOOK_GRACE_SHARE = 0.25
"""How often to look for orphans, as a share of their grace period."""
FULL_LOOK_MS = 86_400_000
"""How often to look at all folders. The other looks begin where the last one ended: ids begin with their time."""

log = structlog.get_logger("tidier")


@dataclass(frozen=True, slots=True)
class Look:
    """A listing of folders under way."""

    pages: Iterator[list[str]]
    began_ms: int
    until_ms: int
    is_full: bool


class Orphans:
    """A step of the tidier that reads one page of folders in a round."""

    def __init__(self, context: TidyContext) -> None:
        self._context = context
        self._look: Look | None = None

    async def remove_orphans(self) -> bool:
        """Handle one page of folders. Return whether there is more to do now."""
        look, self._look = self._look or self._begin(), None  # after an error, a new look begins
        if look is None:
            return False
        folders = await self._context.call(next, look.pages, None)
        if folders is None:
            progress = replace(self._context.progress, orphans_until_ms=look.until_ms)
            await self._context.record(replace(progress, full_look_ms=look.began_ms) if look.is_full else progress)
            return False
        old = [folder for folder in folders if created_ms(folder) < look.until_ms]
        # Uploads first: one that becomes a job between the two questions has its job by the second one.
        # A job whose blobs were removed has some again if a run that was frozen wakes up, and is killed as it writes.
        without_upload = await self._context.uploads.find_not_open(old)
        await self._context.for_each(await self._context.jobs.find_without_blobs(without_upload), self._remove_orphan)
        self._look = look
        return True

    def _begin(self) -> Look | None:
        """Begin a look when one is due.

        None begins in the first grace period after a step of the database's clock: uploads under way look old then.
        """
        now, progress = now_ms(), self._context.progress
        grace_seconds = self._context.settings.sweeper.orphan_grace
        if DATABASE_CLOCK.has_stepped_within(grace_seconds):
            return None
        grace_ms = int(grace_seconds * 1000)
        until_ms = now - grace_ms
        if until_ms - progress.orphans_until_ms < grace_ms * LOOK_GRACE_SHARE:
            return None
        is_full = now - progress.full_look_ms >= FULL_LOOK_MS
        after = "" if is_full else str(UUID(int=progress.orphans_until_ms << 80))
        return Look(self._context.blobs.read_folder_pages(after=after), now, until_ms, is_full)

    async def _remove_orphan(self, folder: str) -> None:
        await self._context.call(self._context.blobs.remove_folder, folder)
        log.info("orphan.removed", folder=folder)


def created_ms(folder: str) -> int:
    """Return the time in a folder's name: job ids are UUIDv7, which begin with epoch ms (RFC 9562, section 5.7)."""
    with suppress(ValueError):
        name = UUID(folder)
        if name.version == JOB_ID_VERSION and str(name) == folder:
            return name.int >> 80
    return now_ms()  # not a job's folder: never old enough to be removed
