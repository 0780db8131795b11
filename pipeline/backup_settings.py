"""When backups are made, where they are kept, and for how long."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import Field, field_validator

from pipeline.settings_section import Count, Seconds, SettingsSection

NotNegative = Annotated[int, Field(ge=0)]
FIELDS = 5  # CronSim also takes six, with seconds
SCHEMES = {"file", "s3", "s3a", "gs", "az", "azure"}


class BackupSettings(SettingsSection):
    """Scheduled backups: when they are made, where they are kept, and which are removed."""

    schedule: str = Field(
        "0 3 * * *", description="When to make one, as a cron expression: minute, hour, day of month, month, weekday."
    )
    time_zone: str = Field("UTC", description="Time zone of the schedule and of the days that are kept.")
    target: str = Field(
        "",
        description="Where to keep them: `file:///folder`, `s3://bucket/prefix`, `gs://` or `az://`. In containers "
        "`file:///var/lib/darkroom/backups`.",
    )
    grace: Seconds = Field(
        7200,
        description="A backup that is not complete this long after its time is missing: an alert fires.",
    )
    keep_last: Count = Field(1, description="The newest backups, which are kept in any case.")
    keep_daily: NotNegative = Field(7, description="Days with a backup whose newest one is kept.")
    keep_weekly: NotNegative = Field(4, description="Weeks, from Monday on, with a backup whose newest one is kept.")
    keep_monthly: NotNegative = Field(6, description="Months with a backup whose newest one is kept.")

    @field_validator("schedule")
    @classmethod
    def _check_schedule(cls, schedule: str) -> str:
        try:
            next(CronSim(schedule, datetime.now(UTC)))
            is_valid = len(schedule.split()) == FIELDS
        except (CronSimError, StopIteration):
            is_valid = False
        if not is_valid:
            raise ValueError("should be a cron expression, such as 0 3 * * *")
        return schedule

    @field_validator("time_zone")
    @classmethod
    def _check_time_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (OSError, ValueError, KeyError):
            raise ValueError("should be the name of a time zone, such as UTC or Europe/Berlin") from None
        return name

    @field_validator("target")
    @classmethod
    def _check_target(cls, target: str) -> str:
        parts = urlsplit(target)
        if target and parts.scheme not in SCHEMES:
            raise ValueError("should begin with file://, s3://, gs:// or az://")
        if parts.scheme == "file" and (parts.netloc or not parts.path.startswith("/")):
            raise ValueError("should name a folder by its whole path: file:///folder")
        if target and parts.scheme != "file" and not parts.netloc:
            raise ValueError("should name a bucket: s3://bucket/prefix")
        return target
