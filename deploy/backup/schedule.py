"""Makes backups when they are due, until it is stopped: the service `backups` of docker-compose.yml."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import structlog
from cronsim import CronSim
from prometheus_client import CollectorRegistry

from deploy.backup.metrics import BackupMetrics, serve
from deploy.backup.run import ERRORS, describe, list_past, run_once
from deploy.backup.targets import Stored, Target, open_target
from pipeline.backup_settings import BackupSettings
from pipeline.logs import configure_logs
from pipeline.metrics import register_build_info
from pipeline.settings import Settings

LONGEST_SLEEP = timedelta(minutes=1)
"""The wall clock may be set meanwhile."""
FIRST_RETRY = timedelta(minutes=5)
LAST_RETRY = timedelta(hours=1)

log = structlog.get_logger("backup")


def next_run(settings: BackupSettings, after: datetime) -> datetime:
    """Return the first time of the schedule after this one."""
    return next(CronSim(settings.schedule, after.astimezone(ZoneInfo(settings.time_zone)))).astimezone(UTC)


class Scheduler:
    """Decides what to do now. A time that was missed, because nothing ran or a run failed, is made up for."""

    def __init__(
        self,
        settings: Settings,
        target: Target,
        metrics: BackupMetrics,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings, self._target, self._metrics, self._clock = settings, target, metrics, clock
        self._started = clock()
        self._newest: Stored | None = None
        self._failures = 0
        self._retry_at = self._started

    def step(self) -> timedelta:
        """Make a backup if one is due. Return how long to wait before the next step."""
        now = self._clock()
        if self._newest and self._newest.time > now:  # the clock was wrong then, or is now
            self._newest, self._started, self._retry_at = None, now, now
        self._record_deadline()
        if now >= max(self._due, self._retry_at):
            try:
                self._make_due(now)
            except ERRORS as error:
                self._note_failure(now, error)
            else:
                self._failures = 0
        self._record_deadline()
        return max(timedelta(0), min(LONGEST_SLEEP, max(self._due, self._retry_at) - self._clock()))

    @property
    def _due(self) -> datetime:
        return next_run(self._settings.backup, self._newest.time) if self._newest else self._started

    def _record_deadline(self) -> None:
        self._metrics.record_deadline(self._due + timedelta(seconds=self._settings.backup.grace))

    def _make_due(self, now: datetime) -> None:
        """Make a backup, unless the target has one: of an earlier process, or made by hand."""
        stored = list_past(self._target, now)
        self._use_newest(stored[-1] if stored else None)
        if now >= self._due:
            run = run_once(self._settings, self._target, now=now)
            self._use_newest(run.stored)
            self._metrics.count_saved(run.seconds)

    def _use_newest(self, stored: Stored | None) -> None:
        self._newest = stored
        if stored:
            self._metrics.record_newest(stored.time, stored.size)

    def _note_failure(self, now: datetime, error: Exception) -> None:
        wait = min(FIRST_RETRY * 2 ** min(self._failures, 10), LAST_RETRY)
        self._failures += 1
        self._retry_at = now + wait
        self._metrics.count_failed()
        log.error("backup.failed", error=describe(error), retry_seconds=wait.total_seconds())


def run_for_ever(settings: Settings) -> None:
    """Make backups until SIGTERM, which ends the one under way, too: nothing of it is left."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    configure_logs(settings.log_format)
    registry = CollectorRegistry()
    register_build_info(registry)
    metrics = BackupMetrics(registry)
    if settings.metrics.port:
        serve(registry, metrics, host=settings.metrics.host, port=settings.metrics.port)
    scheduler = Scheduler(settings, open_target(settings.backup.target), metrics)
    plan = settings.backup
    log.info("backup.scheduled", schedule=plan.schedule, time_zone=plan.time_zone, target=plan.target)
    while True:
        time.sleep(scheduler.step().total_seconds())
