"""What the check says of real stores, of stores that refuse, and of stores that are not there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pymongo import MongoClient
from redis import Redis

from deploy.admin.check.backups_check import check_backups
from deploy.admin.check.blobs_check import check_blobs
from deploy.admin.check.mongo_check import check_mongo
from deploy.admin.check.rabbit_check import check_rabbit
from deploy.admin.check.redis_check import check_redis
from deploy.admin.findings import Finding, Level, error, has_errors, ok, warning
from deploy.compose.credentials import RIGHTS
from deploy.local.ports import free_port
from pipeline.backup_settings import BackupSettings
from pipeline.http_settings import BlobsSettings
from pipeline.settings import Settings
from tests.support.rabbitmq_server import RabbitMQServer

PASSWORD = "a-secret-of-the-tests"  # noqa: S105


def texts(findings: list[Finding], level: Level) -> str:
    return "\n".join(f"{finding.text} {finding.action}" for finding in findings if finding.level == level)


def with_user(url: str, *, password: str = PASSWORD) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"checked:{password}@{parts.netloc}").geturl()


@contextmanager
def user(redis: Any, rights: str) -> Iterator[None]:
    """A user of Redis with these rights, until the end of the block."""
    redis.execute_command("ACL", "SETUSER", "checked", "on", f">{PASSWORD}", *rights.split())
    try:
        yield
    finally:
        redis.execute_command("ACL", "DELUSER", "checked")


def test_our_own_redis_will_do_but_for_its_limit(settings: Settings) -> None:
    findings = list(check_redis(settings))

    assert not has_errors(findings)
    assert texts(findings, Level.WARNING).startswith("no maxmemory")
    assert "all that is needed for chord counters" in texts(findings, Level.OK)


def test_the_check_of_redis_leaves_nothing_behind(settings: Settings, redis: Redis) -> None:
    list(check_redis(settings))

    assert not [key for key in redis.scan_iter("darkroom-check*") if not 0 < redis.ttl(key) <= 60]


def test_the_rights_that_compose_gives_are_enough(settings: Settings, redis: Redis) -> None:
    with user(redis, RIGHTS):
        findings = list(check_redis(settings.model_copy(update={"redis_url": with_user(settings.redis_url)})))

    assert not has_errors(findings)


def test_rights_that_are_missing_are_named(settings: Settings, redis: Redis) -> None:
    with user(redis, f"{RIGHTS} -publish -evalsha"):
        findings = list(check_redis(settings.model_copy(update={"redis_url": with_user(settings.redis_url)})))

    assert "may not run EVALSHA, PUBLISH (messages)" in texts(findings, Level.ERROR)


def test_a_user_who_may_not_use_info_is_good_enough(settings: Settings, redis: Redis) -> None:
    with user(redis, f"{RIGHTS} -info"):
        findings = list(check_redis(settings.model_copy(update={"redis_url": with_user(settings.redis_url)})))

    assert not has_errors(findings)
    assert "may not use INFO" in texts(findings, Level.WARNING)


def test_a_disk_on_which_the_gateway_refuses_uploads_is_an_error(settings: Settings, tmp_path: Path) -> None:
    reserve = BlobsSettings(reserve_bytes=2**60, reserve_share=0.999999)
    findings = list(check_blobs(settings.model_copy(update={"blob_url": tmp_path.as_uri(), "blobs": reserve})))

    assert "uploads are refused" in texts(findings, Level.ERROR)


def test_a_wrong_password_of_redis_is_told_without_it(settings: Settings) -> None:
    findings = list(check_redis(settings.model_copy(update={"redis_url": with_user(settings.redis_url)})))

    assert "user or password is wrong" in texts(findings, Level.ERROR)
    assert PASSWORD not in str(findings)


def test_a_redis_that_throws_messages_away_is_an_error(settings: Settings, redis: Redis) -> None:
    redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        findings = list(check_redis(settings))
    finally:
        redis.config_set("maxmemory-policy", "noeviction")

    assert "maxmemory-policy is allkeys-lru" in texts(findings, Level.ERROR)


def test_an_absent_redis_is_told_once(settings: Settings) -> None:
    url = f"redis://127.0.0.1:{free_port()}/0"

    findings = list(check_redis(settings.model_copy(update={"redis_url": url})))

    assert [finding.level for finding in findings] == [Level.ERROR]
    assert "DARKROOM_REDIS_URL" in findings[0].action


@pytest.mark.usefixtures("stores")
def test_our_own_mongo_will_do_and_has_its_indexes(settings: Settings) -> None:
    findings = list(check_mongo(settings))

    assert {finding.level for finding in findings} == {Level.OK}
    assert "jobs has its indexes" in texts(findings, Level.OK)


def test_an_index_that_is_missing_is_a_warning(settings: Settings) -> None:
    url = urlsplit(settings.mongo_url)._replace(path="/darkroom-check-bare").geturl()
    with MongoClient[dict[str, Any]](url) as client:
        client["darkroom-check-bare"]["jobs"].insert_one({})

    findings = list(check_mongo(settings.model_copy(update={"mongo_url": url})))

    assert "jobs lacks the indexes blobs_removed, content, due" in texts(findings, Level.WARNING)


def test_an_empty_database_is_no_mistake(settings: Settings) -> None:
    url = urlsplit(settings.mongo_url)._replace(path="/darkroom-check-empty").geturl()

    findings = list(check_mongo(settings.model_copy(update={"mongo_url": url})))

    assert {finding.level for finding in findings} == {Level.OK}
    assert "no jobs yet" in texts(findings, Level.OK)


@pytest.mark.parametrize("url", ["mongodb://ann:{}@127.0.0.1:{}/darkroom", "mongodb://ann:{}/x@127.0.0.1:{}/darkroom"])
def test_an_absent_mongo_is_told_without_its_password(settings: Settings, url: str) -> None:
    changes = {"mongo_url": url.format(PASSWORD, free_port()), "mongo_timeout": 0.3}

    findings = list(check_mongo(settings.model_copy(update=changes)))

    assert [finding.level for finding in findings] == [Level.ERROR]
    assert "DARKROOM_MONGO_URL" in findings[0].action
    assert PASSWORD not in str(findings)


def test_a_folder_of_blobs_is_tried_and_left_empty(settings: Settings, tmp_path: Path) -> None:
    findings = list(check_blobs(settings.model_copy(update={"blob_url": tmp_path.as_uri()})))

    assert not has_errors(findings)
    assert findings[0] == ok("blobs", "can be written, read, copied, listed and removed")
    assert "GiB are free" in findings[1].text
    assert not list(tmp_path.iterdir())


def test_a_folder_that_does_not_exist_is_not_created(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "blobs"

    findings = list(check_blobs(settings.model_copy(update={"blob_url": folder.as_uri()})))

    assert [finding.level for finding in findings] == [Level.WARNING]
    assert not folder.exists()


def test_a_bucket_is_tried(settings: Settings, bucket_url: str) -> None:
    findings = list(check_blobs(settings.model_copy(update={"blob_url": bucket_url})))

    assert findings == [ok("blobs", "can be written, read, copied, listed and removed")]


@pytest.mark.parametrize(
    ("variable", "value", "action"),
    [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1", "outside.yml"),
        ("AWS_SECRET_ACCESS_KEY", "wrong", "Check the keys"),
    ],
)
def test_a_bucket_that_is_out_of_reach_or_refuses_is_an_error(
    settings: Settings, bucket_url: str, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, action: str
) -> None:
    monkeypatch.setenv("DARKROOM_GIVEN_BLOB_URL", bucket_url)
    monkeypatch.setenv(variable, value)

    findings = list(check_blobs(settings.model_copy(update={"blob_url": bucket_url})))

    assert [finding.level for finding in findings] == [Level.ERROR]
    assert findings[0].text.startswith("cannot write")
    assert action in findings[0].action


def test_a_bucket_for_backups_is_listed(settings: Settings, bucket_url: str) -> None:
    with_bucket = settings.model_copy(update={"backup": BackupSettings(target=f"{bucket_url}/backups")})
    missing = settings.model_copy(update={"backup": BackupSettings(target="s3://nowhere/backups")})

    assert texts(list(check_backups(with_bucket)), Level.OK)
    assert "cannot be listed" in texts(list(check_backups(missing)), Level.ERROR)
    assert list(check_backups(settings)) == []


@pytest.mark.parametrize(
    ("target", "is_lost"),
    [("file:///var/lib/darkroom/backups", False), ("file:///var/lib/darkroom/backups/a", False), ("file:///tmp", True)],
)
def test_a_folder_that_ends_with_its_container_is_no_place_for_backups(
    target: str, *, is_lost: bool, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_target = settings.model_copy(update={"backup": BackupSettings(target=target)})
    outside = list(check_backups(with_target))
    monkeypatch.setenv("DARKROOM_GIVEN_BLOB_URL", "")

    assert outside == []
    assert has_errors(check_backups(with_target)) == is_lost


def test_where_redis_carries_the_messages_no_rabbitmq_is_asked(settings: Settings) -> None:
    assert list(check_rabbit(settings)) == []


def test_a_rabbitmq_is_tried(settings: Settings, rabbitmq: RabbitMQServer) -> None:
    findings = list(check_rabbit(settings.model_copy(update={"broker_url": rabbitmq.url})))

    assert [finding.level for finding in findings] == [Level.OK, Level.OK]


def test_a_rabbitmq_that_refuses_is_an_error(settings: Settings, rabbitmq: RabbitMQServer) -> None:
    parts = urlsplit(rabbitmq.url)
    wrong = parts._replace(netloc=f"ann:{PASSWORD}@{parts.netloc.rpartition('@')[2]}").geturl()

    findings = list(check_rabbit(settings.model_copy(update={"broker_url": wrong})))

    assert [finding.level for finding in findings] == [Level.ERROR]
    assert PASSWORD not in str(findings)


def test_findings_are_counted_by_level() -> None:
    assert has_errors([ok("a", "b"), error("a", "b")])
    assert not has_errors([ok("a", "b"), warning("a", "b")])
