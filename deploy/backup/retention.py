"""Which archives have had their time: the newest of each day, week and month are kept for so many of these."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from pipeline.backup_settings import BackupSettings


def select_expired(times: Iterable[datetime], settings: BackupSettings) -> set[datetime]:
    """Return the times whose archives can be removed; never the newest.

    Only days, weeks and months with an archive count: after a pause nothing is removed for its age alone.
    """
    zone = ZoneInfo(settings.time_zone)
    sorted_times = sorted(time.astimezone(UTC) for time in times)  # in local time, two of an autumn night may be equal
    rules: list[tuple[int, Callable[[datetime], Hashable]]] = [
        (settings.keep_last, lambda local: local.astimezone(UTC)),
        (settings.keep_daily, lambda local: local.date()),
        (settings.keep_weekly, lambda local: local.isocalendar()[:2]),
        (settings.keep_monthly, lambda local: (local.year, local.month)),
    ]
    kept: set[datetime] = set()
    for count, period in rules:
        newest = {period(time.astimezone(zone)): time for time in sorted_times}  # of several in one period, the last
        kept.update(sorted(newest.values(), reverse=True)[:count])
    return set(sorted_times) - kept
