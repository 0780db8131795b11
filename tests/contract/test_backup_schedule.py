"""Backups are made when they are due, failures are retried and told, and old ones go only after a new one is there."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from prometheus_client import CollectorRegistry
from pymongo import MongoClient
from structlog.typing import EventDict

from deploy.backup.archive import ArchiveReader
from deploy.backup.metrics import BackupMetrics, serve
from deploy.backup.restore import verify
from deploy.backup.schedule import Scheduler, next_run
from deploy.backup.targets import FolderTarget, archive_name
from pipeline.backup_settings import BackupSettings
from pipeline.settings import Settings
from storage.blobs import Blobs

EVENING = datetime(2026, 5, 1, 20, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = EVENING

    def __call__(self) -> datetime:
        return self.now


class Place:
    """A scheduler with a target, a clock that can be set, and its metrics."""

    def __init__(self, mongo_url: str, folder: Path) -> None:
        self.blob_folder, self.folder = folder / "blobs", folder / "backups"
        Blobs.open(self.blob_folder.as_uri()).put("job/original", b"x")
        url = urlsplit(mongo_url)._replace(path="/backup_schedule").geturl()
        self.settings = Settings(
            mongo_url=url, blob_url=self.blob_folder.as_uri(), backup=BackupSettings(keep_last=1, keep_daily=2)
        )
        self.target, self.clock = FolderTarget(self.folder), Clock()
        self.start()

    def start(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = BackupMetrics(self.registry)
        self.scheduler = Scheduler(self.settings, self.target, self.metrics, clock=self.clock)

    def at(self, time_: datetime) -> timedelta:
        self.clock.now = time_
        return self.scheduler.step()

    def names(self) -> list[str]:
        return [each.name for each in self.target.list()]

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"darkroom_backup_{name}", labels)


@pytest.fixture
def place(mongo_url: str, tmp_path: Path) -> Iterator[Place]:
    client: MongoClient[dict[str, Any]] = MongoClient(mongo_url)
    with client:
        client["backup_schedule"]["jobs"].insert_one({"_id": "job"})
        yield Place(mongo_url, tmp_path)
        client.drop_database("backup_schedule")


@pytest.mark.parametrize(
    ("zone", "after", "expected"),
    [
        ("UTC", EVENING, datetime(2026, 5, 2, 3, tzinfo=UTC)),
        ("UTC", datetime(2026, 5, 2, 3, tzinfo=UTC), datetime(2026, 5, 3, 3, tzinfo=UTC)),
        ("Europe/Berlin", EVENING, datetime(2026, 5, 2, 1, tzinfo=UTC)),
        ("Europe/Berlin", datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 29, 1, tzinfo=UTC)),  # summer begins
    ],
)
def test_the_schedule_is_one_of_the_time_zone(zone: str, after: datetime, expected: datetime) -> None:
    assert next_run(BackupSettings(time_zone=zone), after) == expected


def test_the_first_is_made_at_once_and_the_next_when_it_is_due(place: Place, logs: list[EventDict]) -> None:
    first, due = EVENING, datetime(2026, 5, 2, 3, tzinfo=UTC)

    waits = [place.at(first), place.at(due - timedelta(seconds=9)), place.at(due), place.at(due)]

    assert place.names() == [archive_name(first), archive_name(due)]
    assert waits[:2] == [timedelta(minutes=1), timedelta(seconds=9)]
    with place.target.read(archive_name(due)) as stream:
        others = {"idempotency_keys": 0, "token_uses": 0, "webhooks": 0}
        assert verify(ArchiveReader(stream)) == {"jobs": 1, "blobs": 1} | others
    assert [log["event"] for log in logs] == ["backup.saved", "backup.saved"]
    assert place.metric("last_success_timestamp_seconds") == due.timestamp()
    assert place.metric("deadline_timestamp_seconds") == (due + timedelta(days=1, hours=2)).timestamp()
    assert place.metric("last_size_bytes") == place.target.list()[-1].size
    assert place.metric("runs_total", result="saved") == 2


def test_after_a_restart_none_is_made_before_it_is_due_and_a_missed_one_at_once(place: Place) -> None:
    place.at(EVENING)
    place.start()

    place.at(EVENING + timedelta(hours=1))
    before = place.names()
    known = place.metric("last_success_timestamp_seconds")
    place.start()
    place.at(EVENING + timedelta(hours=9))

    assert before == [archive_name(EVENING)]
    assert known == EVENING.timestamp()
    assert len(place.names()) == 2


def test_a_failed_one_is_told_and_retried_and_removes_nothing(place: Place, logs: list[EventDict]) -> None:
    place.at(EVENING)
    due = datetime(2026, 5, 2, 3, tzinfo=UTC)
    place.blob_folder.rename(place.blob_folder.with_name("away"))
    place.blob_folder.touch()

    place.at(due)
    too_early = place.at(due + timedelta(minutes=4))
    failed = place.names()
    place.blob_folder.unlink()
    place.blob_folder.with_name("away").rename(place.blob_folder)
    place.at(due + timedelta(minutes=5))

    assert too_early == timedelta(minutes=1)
    assert failed == [archive_name(EVENING)]
    assert sorted(path.name for path in place.folder.iterdir()) == place.names()
    assert place.names() == [archive_name(EVENING), archive_name(due + timedelta(minutes=5))]
    assert [log["event"] for log in logs] == ["backup.saved", "backup.failed", "backup.saved"]
    assert place.metric("runs_total", result="failed") == 1


def test_what_has_had_its_time_is_removed_after_a_new_one_is_there(place: Place, logs: list[EventDict]) -> None:
    rules = BackupSettings(keep_last=1, keep_daily=2, keep_weekly=0, keep_monthly=0)
    place.settings = place.settings.model_copy(update={"backup": rules})
    place.start()
    place.folder.mkdir()
    (place.folder / "notes.txt").write_text("of somebody else")
    times = [EVENING, *(datetime(2026, 5, day, 3, tzinfo=UTC) for day in (2, 3))]

    for time_ in times:
        place.at(time_)

    assert place.names() == [archive_name(time_) for time_ in times[1:]]
    assert [log["archive"] for log in logs if log["event"] == "backup.removed"] == [archive_name(EVENING)]
    assert (place.folder / "notes.txt").exists()


def test_a_backup_of_the_future_neither_counts_nor_is_removed(place: Place) -> None:
    future = archive_name(EVENING + timedelta(days=3000))
    place.folder.mkdir()
    (place.folder / future).write_bytes(b"made while a clock was wrong")

    place.at(EVENING)

    assert place.names() == [archive_name(EVENING), future]
    assert place.metric("last_success_timestamp_seconds") == EVENING.timestamp()


def test_after_a_clock_was_set_back_backups_go_on(place: Place) -> None:
    wrong = EVENING + timedelta(days=3000)
    place.at(wrong)

    place.at(EVENING)
    place.at(EVENING + timedelta(minutes=1))

    assert place.names() == [archive_name(EVENING), archive_name(wrong)]
    assert place.metric("deadline_timestamp_seconds") == (EVENING + timedelta(hours=9)).timestamp()


def test_it_is_healthy_until_a_backup_is_missing() -> None:
    registry = CollectorRegistry()
    metrics = BackupMetrics(registry)
    server = serve(registry, metrics, host="127.0.0.1", port=0)
    url = f"http://127.0.0.1:{server.server_port}"

    def status(path: str) -> int:
        try:
            with urllib.request.urlopen(f"{url}{path}", timeout=10) as answer:  # noqa: S310  # our own
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    try:
        metrics.record_deadline(datetime.fromtimestamp(time.time() + 60, UTC))
        before = status("/healthz"), status("/metrics")
        metrics.record_deadline(datetime.fromtimestamp(time.time() - 60, UTC))
        after = status("/healthz"), status("/metrics")
    finally:
        server.shutdown()
        server.server_close()

    assert (before, after) == ((200, 200), (503, 200))
