"""The tidier: removes expired results, documents and keys, and what interrupted uploads and killed runs left.

It also ends waits that a step of the database's clock has made too long.
"""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry

from pipeline.metrics import TidierMetrics
from pipeline.settings import Settings
from pipeline.tidying.clock_steps import ClockSteps
from pipeline.tidying.context import TidyContext
from pipeline.tidying.expiry import Expiry
from pipeline.tidying.leftovers import Leftovers
from pipeline.tidying.orphans import Orphans
from pipeline.tidying.upload_expiry import UploadExpiry
from storage.stores import Stores


class Tidier:
    """One loop in each gateway. The one that holds the lease works; the others wait to take over.

    A step handles one batch in a round, so that none waits long for another. Every removal can be done twice.
    """

    def __init__(self, stores: Stores, settings: Settings, metrics: TidierMetrics | None = None) -> None:
        self._context = TidyContext(stores, settings)
        self._metrics = metrics or TidierMetrics(CollectorRegistry())
        self._interval = settings.sweeper.tidy_interval
        expiry, leftovers, orphans = Expiry(self._context), Leftovers(self._context), Orphans(self._context)
        uploads, clock_steps = UploadExpiry(self._context), ClockSteps(self._context)
        self._steps = (
            clock_steps.end_long_waits,
            expiry.remove_cancelled,
            expiry.remove_expired,
            expiry.remove_refused,
            expiry.remove_documents,
            expiry.remove_expired_keys,
            uploads.remove_expired_uploads,
            uploads.forget_ended_uploads,
            expiry.remove_expired_token_uses,
            expiry.remove_bulk_actions,
            expiry.remove_deliveries,
            leftovers.remove_leftovers,
            leftovers.remove_late_leftovers,
            orphans.remove_orphans,
        )

    async def run(self) -> None:
        """Run rounds until cancelled, one after the other while there is more to do."""
        try:
            while True:
                has_more = await self.tidy()
                await asyncio.sleep(0 if has_more else self._interval)
        finally:
            self._context.close()

    async def tidy(self) -> bool:
        """Run one round, if this tidier has the lease. Return whether there is more to do now.

        Errors are logged; later rounds try again.
        """
        context, has_more = self._context, False
        context.errors = 0
        if not await context.attempt("acquire_lease", context.acquire_lease()):
            return False
        for step in self._steps:
            has_more |= bool(await context.attempt(step.__name__, step()))
        if not context.errors:
            self._metrics.record_round()
        return has_more
