"""Makes jobs of events of buckets: one for each version of an object, however often its event comes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256

import structlog
from pymongo.errors import DuplicateKeyError

from gateway.ingest.object_events import ObjectEvent
from gateway.ingest.outcomes import EventOutcome, Outcome, Wanted, judge
from gateway.ingest.shapes import Found
from gateway.metrics import GatewayMetrics
from gateway.permission import Permission
from gateway.submission.lanes import LaneChooser
from gateway.submission.new_job import JobMaker
from gateway.submission.sources import describe_original
from gateway.webhooks.rendition_interest import RenditionInterest
from pipeline.presets.preset import Preset
from pipeline.settings import Settings
from pipeline.sources import sources_of
from storage.clock import now_ms
from storage.documents import ORIGINAL, Job, Kind, blob_key
from storage.errors import TRANSIENT_ERRORS
from storage.job_ids import hash_job_id
from storage.stores import Stores

AT_ONCE = 8
"""Jobs that are inserted at a time."""
MAX_FUTURE_MS = 86_400_000
"""An event may be so far ahead of the database's clock, and its job's id with it. Jobs are listed by their ids."""

log = structlog.get_logger("ingest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingestion:
    """Makes jobs of events, for one owner and with one preset."""

    stores: Stores
    settings: Settings
    metrics: GatewayMetrics
    lanes: LaneChooser
    permission: Permission
    preset: Preset
    maker: JobMaker
    renditions: RenditionInterest
    caller: str
    """Whose burst the jobs count for."""

    async def ingest(self, found: Sequence[Found]) -> tuple[list[EventOutcome], list[Job]]:
        """Return what became of each event, in their order, and the new jobs, which are not dispatched yet.

        Raises the error of a store once no insert is under way. Done again, it makes no second job of any event.
        """
        sources = sources_of(self.permission.owner, self.settings.sources)
        judged = [judge(each, sources=sources, ignore=self.settings.ingest.ignore) for each in found]
        keys = {self._key_of(each.event) for each in judged if isinstance(each, Wanted)}
        known = await self.stores.idempotency_keys.find_remembered(keys) if keys else {}
        outcomes: list[EventOutcome] = []
        jobs: list[Job] = []
        for start in range(0, len(judged), AT_ONCE):
            handled = (self._handle(each, known, jobs) for each in judged[start : start + AT_ONCE])
            for outcome in await asyncio.gather(*handled, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    raise outcome
                self.metrics.ingest.count_event(outcome.outcome)
                outcomes.append(outcome)
        self._log(outcomes)
        return outcomes, jobs

    async def _handle(self, judged: Wanted | EventOutcome, known: dict[str, str], jobs: list[Job]) -> EventOutcome:
        if isinstance(judged, EventOutcome):
            return judged
        event, key = judged.event, self._key_of(judged.event)
        if (task_id := known.get(key)) is not None:
            return EventOutcome(outcome=Outcome.REPEATED, event=event, task_id=task_id)
        with self.metrics.count_submission(Kind.PREVIEWS) as count:
            job = await self._build_job(judged)
            try:
                await self.stores.jobs.insert(job)
            except DuplicateKeyError:
                count.result = "replayed"
                return EventOutcome(outcome=Outcome.REPEATED, event=event, task_id=job.id)
            count.result = "accepted"
        jobs.append(job)
        with suppress(*TRANSIENT_ERRORS):  # the job exists: only after its removal would a repeated event be another
            keep_ms = int(self.settings.retention.idempotency_keys * 1000)
            await self.stores.idempotency_keys.remember(key, job_id=job.id, keep_ms=keep_ms)
        return EventOutcome(outcome=Outcome.ACCEPTED, event=event, task_id=job.id)

    async def _build_job(self, wanted: Wanted) -> Job:
        event, job_id = wanted.event, self._job_id_of(wanted.event)
        job = self.maker.build_job(
            Kind.PREVIEWS,
            describe_original(wanted.source, blob_key(job_id, ORIGINAL)),
            self.preset.resolve({}),
            job_id=job_id,
            source=wanted.source,
        )
        lane = await self.lanes.choose(self.caller, job_id, size=event.size or 0)
        announces_renditions = await self.renditions.are_wanted(job)
        changes = {"lane": lane, "received_ms": now_ms(), "announces_renditions": announces_renditions}
        return job.model_copy(update=changes)

    def _job_id_of(self, event: ObjectEvent) -> str:
        """Return the id of the job of this version of the object: it begins with the time of the event, in seconds."""
        is_plausible = event.time_ms <= now_ms() + MAX_FUTURE_MS
        return hash_job_id(event.time_ms // 1000 * 1000 if is_plausible else 0, *self._identify(event))

    def _key_of(self, event: ObjectEvent) -> str:
        """Return under what the event is remembered. No client has such a key: there is a line break in it."""
        digest = sha256("\0".join(self._identify(event)).encode()).hexdigest()
        return f"\n\ningest:{digest}"

    def _identify(self, event: ObjectEvent) -> tuple[str, ...]:
        return self.permission.owner or "", self.preset.name, *event.identity

    def _log(self, outcomes: Sequence[EventOutcome]) -> None:
        """Log each new job, and the first of the refused objects: its address tells who has set up what."""
        for each in outcomes:
            if each.outcome is Outcome.ACCEPTED:
                log.info("ingest.accepted", task_id=each.task_id, bucket=each.event and each.event.bucket)
        refused = [each.event for each in outcomes if each.outcome is Outcome.REFUSED and each.event]
        if refused:
            owner, count, first = self.permission.owner, len(refused), refused[0]
            log.warning("ingest.refused", owner=owner, events=count, bucket=first.bucket, key=first.key)
