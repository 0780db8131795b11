"""Who wants to know of each rendition that is done: jobs of others record no event of it."""

from __future__ import annotations

from time import monotonic

from storage.documents import JobRecord, Kind
from storage.events import EventType
from storage.webhook_store import Webhooks

KNOWN_SECONDS = 3.0
"""How long the answer for an owner is kept. A webhook that is created meanwhile hears of renditions of later jobs."""
MAX_OWNERS = 1000
"""Owners whose answers are kept."""


class RenditionInterest:
    """The owners with an enabled webhook that wants each rendition, read when a job is accepted or reprocessed."""

    def __init__(self, webhooks: Webhooks) -> None:
        self._webhooks = webhooks
        self._known: dict[str | None, tuple[float, bool]] = {}

    async def are_wanted(self, job: JobRecord) -> bool:
        """Whether some webhook of the job's owner wants to know of each rendition, now or a few seconds ago."""
        if job.kind is not Kind.PREVIEWS:
            return False
        until, are_wanted = self._known.get(job.owner, (0.0, False))
        if monotonic() < until:
            return are_wanted
        found = await self._webhooks.list_enabled(job.owner)
        are_wanted = any(EventType.RENDITION_DONE in endpoint.events for endpoint in found)
        if len(self._known) >= MAX_OWNERS:
            self._known.clear()
        self._known[job.owner] = (monotonic() + KNOWN_SECONDS, are_wanted)
        return are_wanted

    def forget(self, owner: str | None) -> None:
        """Read the webhooks of an owner again for the next job: they have changed."""
        self._known.pop(owner, None)
