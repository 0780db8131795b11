"""Ends waits and leases of before the database's clock was set back: they would last longer by as much as it was."""

from __future__ import annotations

from pipeline.tidying.context import TidyContext
from storage.documents import LEASE_MARGIN_MS


class ClockSteps:
    """A step of the tidier that finds times which are later than the longest possible ones."""

    def __init__(self, context: TidyContext) -> None:
        self._context = context

    async def end_long_waits(self) -> bool:
        """Make due what waits too long. Return that there is no more to do."""
        context, settings = self._context, self._context.settings
        lease_ms = int(settings.work.time_limit * 1000) + LEASE_MARGIN_MS
        patience_ms = int(max(settings.sweeper.patience, settings.sweeper.accept_patience) * 1000)
        await context.jobs.end_long_waits(longest_ms=lease_ms + patience_ms)
        await context.stores.webhooks.end_long_waits()
        await context.bulk_actions.end_long_leases(longest_ms=settings.bulk.lease_ms + LEASE_MARGIN_MS)
        return False
