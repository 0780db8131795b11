"""Which backups are kept: the newest of each day, week and month, for so many of these."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from deploy.backup.retention import select_expired
from pipeline.backup_settings import BackupSettings

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)  # a Tuesday
YEAR = [NOON - timedelta(days=days) for days in range(365)]
NONE = {"keep_last": 1, "keep_daily": 0, "keep_weekly": 0, "keep_monthly": 0}


def kept(times: list[datetime], **settings: object) -> list[str]:
    expired = select_expired(times, BackupSettings.model_validate(settings))
    return [f"{time:%m-%d %H:%M}" for time in sorted(set(times) - expired, reverse=True)]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({}, ["03-31"]),
        ({"keep_last": 3}, ["03-31", "03-30", "03-29"]),
        ({"keep_daily": 2}, ["03-31", "03-30"]),
        ({"keep_weekly": 3}, ["03-31", "03-29", "03-22"]),
        ({"keep_monthly": 3}, ["03-31", "02-28", "01-31"]),
        ({"keep_daily": 2, "keep_weekly": 2, "keep_monthly": 2}, ["03-31", "03-30", "03-29", "02-28"]),
    ],
)
def test_of_one_a_day_those_are_kept_that_the_rules_name(rules: dict[str, int], expected: list[str]) -> None:
    assert kept(YEAR, **NONE | rules) == [f"{day} 12:00" for day in expected]


def test_the_defaults_keep_a_week_a_month_and_half_a_year() -> None:
    assert len(kept(YEAR)) == 7 + 2 + 5  # two of the weeks and one of the months are among the days


def test_the_newest_of_a_day_is_kept() -> None:
    hours = [NOON - timedelta(hours=hours) for hours in range(48)]

    assert kept(hours, **NONE | {"keep_daily": 2}) == ["03-31 12:00", "03-30 23:00"]


def test_a_day_is_one_of_the_time_zone() -> None:
    times = [datetime(2026, 3, 30, 22, 30, tzinfo=UTC), datetime(2026, 3, 30, 21, 30, tzinfo=UTC)]

    assert len(kept(times, **NONE | {"keep_daily": 2})) == 1
    assert len(kept(times, **NONE | {"keep_daily": 2, "time_zone": "Europe/Berlin"})) == 2


def test_in_the_night_in_which_clocks_are_set_back_each_hour_counts_once() -> None:
    midnight = datetime(2026, 10, 24, 22, tzinfo=UTC)  # in Berlin, where 2:30 comes twice in this night
    night = [midnight + timedelta(minutes=minutes) for minutes in range(0, 240, 30)]

    assert kept(night, **NONE | {"keep_last": 5, "time_zone": "Europe/Berlin"}) == [
        f"{time:%m-%d %H:%M}" for time in reversed(night[-5:])
    ]
    assert kept(night, **NONE | {"time_zone": "Europe/Berlin"}) == ["10-25 01:30"]


def test_after_a_pause_the_old_ones_are_still_there() -> None:
    old = [NOON - timedelta(days=400 + days) for days in range(7)]

    assert len(kept([*old, NOON], **NONE | {"keep_daily": 7})) == 7


def test_the_only_one_is_kept() -> None:
    assert select_expired([NOON], BackupSettings.model_validate(NONE)) == set()
    assert select_expired([], BackupSettings()) == set()
