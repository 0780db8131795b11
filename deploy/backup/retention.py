"""Which archives have had their time: the newest of each day, week and month are kept for so many of these."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from pipeline.backup_settings import BackupSettings


def select_expired(times: Iterable[datetime], settings: BackupSettings) -> set[datetime]:
    """Return the times whose archives can be removed; never the newest.

    Only days, weeks and months with an archive count: after a pause nothing is removed for its age alone.
    """
    zone = ZoneInfo(settings.time_zone)
    local = sorted({time.astimezone(zone) for time in times})
    rules: list[tuple[int, Callable[[datetime], Hashable]]] = [
        (settings.keep_last, lambda time: time),
        (settings.keep_daily, lambda time: time.date()),
        (settings.keep_weekly, lambda time: time.isocalendar()[:2]),
        (settings.keep_monthly, lambda time: (time.year, time.month)),
    ]
    kept: set[datetime] = set()
    for count, period in rules:
        newest = {period(time): time for time in local}  # of several in one period, the last
        kept.update(sorted(newest.values(), reverse=True)[:count])
    return set(local) - kept
