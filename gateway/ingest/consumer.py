"""The consumer of the Redis list that events come from: a loop in each gateway, one of which works."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog
from redis.exceptions import RedisError

from gateway.ingest.event_list import EventList
from gateway.ingest.ingestion import Ingestion
from gateway.ingest.object_events import EventsUnreadable
from gateway.ingest.outcomes import Outcome
from gateway.ingest.shapes import read_events
from gateway.metrics import GatewayMetrics
from gateway.problems import Problem
from gateway.submission.backpressure import Backlog
from pipeline.broker.transport import BROKER_ERRORS
from pipeline.dispatch import dispatch_or_schedule
from pipeline.presets.registry import PresetsNotReady
from pipeline.queues.queues import Queues
from pipeline.settings import Settings
from pipeline.step_errors import log_errors
from storage.errors import TRANSIENT_ERRORS

IDLE_SECONDS = 1.0
"""Wait between two looks at the list when there is nothing to do, or something is in the way."""
MAX_FAILURES = 8
"""Times that the gateway may fail at one message, not because a store does, before it is dead."""
MAX_MESSAGE_BYTES = 2**20

log = structlog.get_logger("ingest")


class Consumer:
    """Takes messages from the list, and finishes each once its jobs are inserted."""

    def __init__(
        self,
        events: EventList,
        queues: Queues,
        settings: Settings,
        metrics: GatewayMetrics,
        prepare: Callable[[], Ingestion],
    ) -> None:
        """`prepare` returns what makes the jobs; it raises a `Problem` while the settings allow none."""
        self._events, self._queues, self._settings, self._metrics = events, queues, settings, metrics
        self._prepare = prepare
        self._backlog = Backlog()
        self._failures = 0
        self._obstacle = ""

    async def run(self) -> None:
        """Run rounds until cancelled; then another gateway may go on at once."""
        try:
            while True:
                has_worked = False
                with log_errors(log, "take_events"):
                    has_worked = await self.run_round()
                await asyncio.sleep(0 if has_worked else IDLE_SECONDS)
        finally:
            with suppress(RedisError, OSError):
                await self._events.release()

    async def run_round(self) -> bool:
        """Handle one message. Return whether there was one to handle.

        A message that a store fails at stays the next one. Raises the error of the store.
        """
        if not await self._events.hold():
            return False
        if await self._backlog.read_longest(self._queues) >= self._settings.access.max_queue:
            return False
        ingestion = self._prepare_or_log()
        message = await self._events.take() if ingestion else None
        if ingestion is None or message is None:
            return False
        return await self._handle(message, ingestion)

    def _prepare_or_log(self) -> Ingestion | None:
        try:
            ingestion = self._prepare()
        except (Problem, PresetsNotReady) as error:
            obstacle = error.detail if isinstance(error, Problem) else "The presets are not loaded yet."
            if obstacle != self._obstacle:
                log.warning("ingest.waiting", reason=obstacle)
            self._obstacle = obstacle
            return None
        self._obstacle = ""
        return ingestion

    async def _handle(self, message: bytes, ingestion: Ingestion) -> bool:
        try:
            await self._ingest(message, ingestion)
        except EventsUnreadable as error:
            await self._bury(message, str(error))
        except (*TRANSIENT_ERRORS, *BROKER_ERRORS):
            raise
        except Exception:
            self._failures += 1
            if self._failures < MAX_FAILURES:
                raise
            log.exception("ingest.broken")
            await self._bury(message, "The gateway fails at it.")
        self._failures = 0
        return True

    async def _ingest(self, message: bytes, ingestion: Ingestion) -> None:
        if len(message) > MAX_MESSAGE_BYTES:
            raise EventsUnreadable("The message is too large.")
        _, jobs = await ingestion.ingest(read_events(message))
        await self._events.finish(message)
        for job in jobs:
            await dispatch_or_schedule(ingestion.stores.jobs, job, self._metrics.dispatches)

    async def _bury(self, message: bytes, reason: str) -> None:
        await self._events.bury(message)
        self._metrics.ingest.count_event(Outcome.IGNORED)
        log.warning("ingest.dead", reason=reason, bytes=len(message))
