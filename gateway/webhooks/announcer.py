"""The announcer: hands the events in the outboxes of jobs to the deliveries, and has due deliveries sent."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from contextlib import suppress
from time import monotonic
from uuid import uuid4

import structlog

from gateway.webhooks.dispatch import MAX_ENDPOINTS, dispatch_due
from gateway.webhooks.handover import build_deliveries, insert_deliveries, is_wanted
from gateway.webhooks.metrics import EventMetrics
from gateway.webhooks.rendition_interest import RenditionInterest
from pipeline.queues.queues import Queues
from pipeline.settings import Settings
from pipeline.step_errors import log_errors
from storage.documents import Job
from storage.errors import TRANSIENT_ERRORS, JobNotFound
from storage.outbox import Outbox, sort_events
from storage.stores import Stores
from storage.webhooks import Delivery, WebhookEndpoint

POLL_SECONDS = 2.0
"""Wait between two rounds when nothing wakes the announcer."""
REST_POLLS = 5
"""So many times as long is a wait before there is a webhook: only outboxes are emptied then."""
DEBOUNCE_SECONDS = 0.05
"""Ends of jobs that come within this time are one round."""
HURRIED_SECONDS = 60.0
"""For so long after a job whose owner has webhooks, ends of jobs begin a round at once."""
LEASE_SECONDS = 4.0
"""If its gateway dies, another one takes over after so long, and after the next of its own rounds."""
BATCH = 100
"""Jobs of one round."""
MAX_DELIVERIES = 40
"""Deliveries that are built at a time, but for those of one job: no other request is answered meanwhile."""

log = structlog.get_logger("webhooks")


class Announcer:
    """One loop in each gateway. The one that holds the lease works; the others wait to take over.

    Whatever it does can be done twice, by it or by another one: deliveries have ids that are made of the event and the
    endpoint, and an outbox is only emptied as it was read. So the lease saves work, and nothing depends on it.
    """

    def __init__(
        self,
        stores: Stores,
        queues: Queues,
        settings: Settings,
        metrics: EventMetrics,
        *,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._stores, self._queues, self._settings, self._metrics = stores, queues, settings, metrics
        self._poll_seconds = poll_seconds
        self._holder = uuid4().hex
        self._held_until = self._others_until = 0.0
        self._is_woken = asyncio.Event()
        self._hurried_until = 0.0
        self._has_webhooks = False
        self.renditions = RenditionInterest(stores.webhooks)

    def wake(self) -> None:
        """Have the next round begin at once, as a job has ended. Where nobody wants events, it begins in time."""
        self._is_woken.set()

    async def announce(self, job: Job) -> None:
        """Hand over all events of a job and empty its outbox, before it is retried, reprocessed or removed.

        A job that does not exist any more has none. Raises the errors of the database.
        """
        with suppress(JobNotFound):
            while job.outbox_ms is not None:
                endpoints = await self._stores.webhooks.list_enabled(job.owner)
                await insert_deliveries(self._stores, build_deliveries(job, endpoints, self._settings))
                self._metrics.count(job.outbox.values())
                self.wake()
                if await self._stores.jobs.clear_outbox(job):
                    return
                job = await self._stores.jobs.get(job.id)

    async def run(self) -> None:
        """Run rounds until cancelled."""
        while True:
            has_more = await self.run_round()
            await (asyncio.sleep(0) if has_more else self._wait())

    async def run_round(self) -> bool:
        """Hand over a batch of events and have due deliveries sent. Return whether there is more to do now.

        Errors are logged; later rounds try again.
        """
        has_more = False
        if monotonic() < self._others_until:
            return has_more
        with log_errors(log, "announce"):
            has_more = await self.announce_batch()
        with log_errors(log, "dispatch_due"):
            self._has_webhooks = self._has_webhooks or await self._stores.webhooks.has_enabled()
            if self._has_webhooks:
                await self.dispatch_due()
        return has_more

    async def announce_batch(self) -> bool:
        """Hand over the events of a batch of jobs. Return whether there are more."""
        outboxes = await self._stores.jobs.find_with_events(limit=BATCH)
        if not outboxes or not await self._hold_lease():
            return False
        # Read after the outboxes: a webhook that was there before an event gets it.
        owners = {outbox.owner for outbox in outboxes}
        endpoints = {owner: await self._stores.webhooks.list_enabled(owner) for owner in owners}
        if any(endpoints.values()):
            self._hurried_until = monotonic() + HURRIED_SECONDS
        wanted: dict[str | None, list[Outbox]] = {}
        unwanted = list[Outbox]()
        for outbox in outboxes:
            if is_wanted(outbox.events, endpoints[outbox.owner]):
                wanted.setdefault(outbox.owner, []).append(outbox)
            else:
                unwanted.append(outbox)
        await self._clear_unwanted(unwanted)
        for owner, group in wanted.items():
            await self._hand_over(group, endpoints[owner])
        return len(outboxes) == BATCH

    async def dispatch_due(self) -> None:
        """Have a worker send the deliveries of endpoints that are due."""
        due = await self._stores.webhooks.find_due(limit=MAX_ENDPOINTS)
        if due and await self._hold_lease():
            await dispatch_due(due, self._stores, self._queues)

    async def _clear_unwanted(self, outboxes: list[Outbox]) -> None:
        if outboxes:
            await self._stores.jobs.clear_outboxes({outbox.job_id: outbox.version for outbox in outboxes})
        for outbox in outboxes:
            self._metrics.count(outbox.events)

    async def _hand_over(self, outboxes: list[Outbox], endpoints: list[WebhookEndpoint]) -> None:
        """Hand over the events of jobs of one owner. Where that fails, the job waits, so that others have a turn.

        A job that has changed since its outbox was read is left to the next round: webhooks that were created meanwhile
        get the event that came meanwhile.
        """
        versions = {outbox.job_id: outbox.version for outbox in outboxes}
        jobs = await self._stores.jobs.get_many(versions)
        unchanged = [job for job in jobs if job.version == versions[job.id]]
        handled = {job.id for job in jobs} - {job.id for job in unchanged}
        if handled:
            self.wake()
        for some, deliveries in self._build(unchanged, endpoints):
            if await self._insert(some, deliveries):
                handled |= {job.id for job in some}
        await self._postpone(versions.keys() - handled)

    async def _insert(self, jobs: list[Job], deliveries: list[Delivery]) -> bool:
        """Insert the deliveries of jobs and empty their outboxes. False if something about one of these is refused.

        Then the others are handed over one by one: together, none of them ever would be.
        """
        try:
            await insert_deliveries(self._stores, deliveries)
            await self._stores.jobs.clear_outboxes({job.id: job.version for job in jobs})
        except TRANSIENT_ERRORS:
            raise
        except Exception:
            log.exception("events.refused", jobs=len(jobs))
            if len(jobs) > 1:
                for job in jobs:
                    await self._insert([job], [each for each in deliveries if each.task_id == job.id])
            return False
        for job in jobs:
            self._metrics.count(sort_events(job.outbox))
        return True

    def _build(self, jobs: list[Job], endpoints: list[WebhookEndpoint]) -> Iterator[tuple[list[Job], list[Delivery]]]:
        """Yield jobs with their deliveries, some at a time."""
        some, deliveries = list[Job](), list[Delivery]()
        for job in jobs:
            with log_errors(log, "build_deliveries", task_id=job.id):
                deliveries += build_deliveries(job, endpoints, self._settings)
                some.append(job)
            if len(deliveries) >= MAX_DELIVERIES:
                yield some, deliveries
                some, deliveries = [], []
        yield some, deliveries

    async def _postpone(self, job_ids: Collection[str]) -> None:
        """Have later rounds come back to jobs that cannot be read, or have been removed meanwhile."""
        if job_ids:
            await self._stores.jobs.postpone_events(job_ids)

    async def _hold_lease(self) -> bool:
        """Whether this announcer has the lease, which is taken or renewed if need be."""
        now = monotonic()
        if now < self._held_until - LEASE_SECONDS / 2:
            return True
        if await self._stores.announcing.acquire(self._holder, lease_ms=int(LEASE_SECONDS * 1000)) is None:
            self._others_until = now + self._poll_seconds
            return False
        self._held_until = now + LEASE_SECONDS
        return True

    async def _wait(self) -> None:
        """Wait for the next round: a poll, or until the end of a job if someone has wanted events lately.

        Where nobody has, a round for each end would cost more than all else that is done for it.
        """
        if monotonic() > self._hurried_until:
            if not self._has_webhooks:
                with suppress(TimeoutError):
                    await self._wait_for_wake((REST_POLLS - 1) * self._poll_seconds)
            await asyncio.sleep(self._poll_seconds)
        else:
            with suppress(TimeoutError):
                await self._wait_for_wake(self._poll_seconds)
                await asyncio.sleep(DEBOUNCE_SECONDS)
        self._is_woken.clear()

    async def _wait_for_wake(self, seconds: float) -> None:
        """Raise TimeoutError unless the announcer is woken in time. `wait_for` may ignore a cancellation."""
        async with asyncio.timeout(seconds):
            await self._is_woken.wait()
