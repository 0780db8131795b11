"""What the settings take, and what they refuse at start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from pipeline.backup_settings import BackupSettings
from pipeline.http_settings import AccessSettings, HttpSettings
from pipeline.settings import Settings, SweeperSettings
from pipeline.worker_settings import BrokerSettings, WorkSettings


@pytest.mark.parametrize(
    ("soft", "hard", "visibility"),
    [(60, 60, 120), (61, 60, 120), (50, 120, 120), (50, 121, 120)],
)
def test_limits_out_of_order_are_refused(soft: float, hard: float, visibility: float) -> None:
    work = WorkSettings(soft_time_limit=soft, time_limit=hard)
    broker = BrokerSettings(visibility_timeout=visibility)

    with pytest.raises(ValidationError, match=r"SOFT_TIME_LIMIT < .*TIME_LIMIT < .*VISIBILITY_TIMEOUT"):
        Settings(work=work, broker=broker)


def test_limits_in_order_are_taken() -> None:
    work = WorkSettings(soft_time_limit=8, time_limit=10)

    settings = Settings(work=work, broker=BrokerSettings(visibility_timeout=12))

    assert settings.broker.visibility_timeout == 12


@pytest.mark.parametrize("name", ["validate", "normalize", "transform", "finalize"])
def test_a_rendition_named_like_a_stage_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        Settings(renditions={name: 100})


@pytest.mark.parametrize("name", ["", "Small", "1st", "a.b", "a/b", "$set", "a b", "small\n", "_a", "a" * 33, "grün"])
def test_a_rendition_whose_name_cannot_be_a_key_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        Settings(renditions={name: 100})


@pytest.mark.parametrize("name", ["s", "small", "w1600", "extra_large", "validated", "a" * 32])
def test_a_rendition_with_a_plain_name_is_taken(name: str) -> None:
    assert Settings(renditions={name: 100}).renditions == {name: 100}


def test_a_pipeline_without_renditions_is_refused() -> None:
    with pytest.raises(ValidationError):
        Settings(renditions={})


def test_a_rendition_of_no_pixels_is_refused() -> None:
    with pytest.raises(ValidationError):
        Settings(renditions={"small": 0})


def test_a_duration_of_nothing_is_refused() -> None:
    with pytest.raises(ValidationError):
        WorkSettings(time_limit=0)


def test_a_misspelt_setting_is_refused() -> None:
    with pytest.raises(ValidationError):
        WorkSettings.model_validate({"time_limt": 60})


def test_settings_cannot_be_changed() -> None:
    settings = Settings()

    with pytest.raises(ValidationError, match="frozen"):
        settings.redis_url = "redis://elsewhere"  # type: ignore[misc]


def test_nested_settings_cannot_be_changed() -> None:
    settings = Settings()

    with pytest.raises(ValidationError, match="frozen"):
        settings.work.time_limit = 1  # type: ignore[misc]


def test_a_variable_sets_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_MONGO_URL", "mongodb://db.example/darkroom")

    assert Settings().mongo_url == "mongodb://db.example/darkroom"


def test_a_variable_with_two_underscores_sets_a_nested_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_WORK__SOFT_TIME_LIMIT", "7.5")

    assert Settings().work.soft_time_limit == 7.5


def test_a_nested_variable_leaves_its_neighbours_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_WORK__SOFT_TIME_LIMIT", "7.5")

    assert Settings().work.time_limit == WorkSettings().time_limit


@pytest.mark.parametrize(
    ("receive_timeout", "orphan_grace", "seconds"), [(1800, 3600, 1800), (600, 3600, 600), (1800, 60, 30)]
)
def test_no_body_may_take_as_long_as_its_blob_is_kept_without_a_job(
    receive_timeout: float, orphan_grace: float, seconds: float
) -> None:
    http, sweeper = HttpSettings(receive_timeout=receive_timeout), SweeperSettings(orphan_grace=orphan_grace)

    assert Settings(http=http, sweeper=sweeper).receive_seconds == seconds


def test_a_variable_sets_a_limit_of_the_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_LIMITS__UPLOAD_BYTES", "1000")

    assert Settings().limits.upload_bytes == 1000


def test_a_variable_sets_the_renditions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_RENDITIONS", '{"tiny": 32}')

    assert Settings().renditions == {"tiny": 32}


@pytest.mark.parametrize(
    ("redis_url", "expected"),
    [
        ("redis://host:6379/0", "redis://host:6379/1"),
        ("redis://host:6379/4", "redis://host:6379/5"),
        ("redis://host:6379", "redis://host:6379/1"),
        ("redis://host:6379/", "redis://host:6379/1"),
        ("rediss://user:p%40ss@host/2?ssl_cert_reqs=required", "rediss://user:p%40ss@host/3?ssl_cert_reqs=required"),
    ],
)
def test_chords_are_counted_in_the_next_database(redis_url: str, expected: str) -> None:
    assert Settings(redis_url=redis_url).result_backend_url == expected


def test_chords_are_counted_where_a_setting_says() -> None:
    settings = Settings(redis_url="redis://one/0", result_url="redis://two/7")

    assert settings.result_backend_url == "redis://two/7"


@pytest.mark.parametrize("url", ["", "db.example", "mongo://db.example/x", "redis://db.example"])
def test_an_address_that_is_not_of_mongodb_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        Settings(mongo_url=url)


@pytest.mark.parametrize(
    "url", ["", "/srv/blobs", "srv/blobs", "file://srv/blobs", "file:srv/blobs", "s3:///photos", "s4://b"]
)
def test_a_place_of_blobs_that_is_no_url_or_no_whole_path_or_no_bucket_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        Settings(blob_url=url)


@pytest.mark.parametrize(
    "url", ["file:///srv/blobs", "memory:///", "s3://photos/darkroom", "gs://photos", "az://photos/x"]
)
def test_a_place_of_blobs_is_taken(url: str) -> None:
    assert Settings(blob_url=url).blob_url == url


@pytest.mark.parametrize(
    ("blob_url", "target"),
    [
        ("s3://photos/darkroom", "s3://photos/darkroom/backups"),
        ("s3://photos", "s3://photos/backups"),
        ("file:///srv/blobs/", "file:///srv/blobs/old/backups"),
    ],
)
def test_backups_among_the_blobs_are_refused_because_each_would_hold_all_before_it(blob_url: str, target: str) -> None:
    with pytest.raises(ValidationError, match="must not be in DARKROOM_BLOB_URL"):
        Settings(blob_url=blob_url, backup=BackupSettings(target=target))


@pytest.mark.parametrize("target", ["s3://photos/backups", "s3://photos/darkroom-backups", "s3://others", ""])
def test_backups_beside_the_blobs_are_kept(target: str) -> None:
    assert Settings(blob_url="s3://photos/darkroom", backup=BackupSettings(target=target)).backup.target == target


@pytest.mark.parametrize("target", ["s3:///photos", "s3://", "ftp://x", "/srv", "file://srv"])
def test_a_place_of_backups_that_cannot_be_is_refused(target: str) -> None:
    with pytest.raises(ValidationError):
        BackupSettings(target=target)


@pytest.mark.parametrize(("generation", "seconds"), [(0, 0), (1, 60), (2, 120), (3, 240), (6, 1920)])
def test_the_backoff_doubles_with_each_dispatch(generation: int, seconds: int) -> None:
    assert SweeperSettings(backoff=60).backoff_ms(generation) == seconds * 1000


@pytest.mark.parametrize(
    ("generation", "seconds"), [(6, 1920), (7, 3600), (8, 3600), (64, 3600), (10_000, 3600), (2**62, 3600)]
)
def test_the_backoff_has_a_limit_whatever_the_generation(generation: int, seconds: int) -> None:
    settings = SweeperSettings(backoff=60, max_backoff=3600, max_generation=2**62)

    assert settings.backoff_ms(generation) == seconds * 1000


HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def test_no_keys_are_set_unless_they_are() -> None:
    assert Settings().api_keys == {}


@pytest.mark.parametrize("owner", ["ada", "A", "team-1", "mail.example", "a_b", "a" * 64])
def test_an_owner_with_a_plain_name_is_taken(owner: str) -> None:
    assert Settings(api_keys={owner: HASH}).api_keys == {owner: HASH}


@pytest.mark.parametrize("owner", ["", "a b", "a:b", "a/b", "ada\n", "käthe", "a" * 65, "*"])
def test_an_owner_with_another_name_is_refused(owner: str) -> None:
    with pytest.raises(ValidationError):
        Settings(api_keys={owner: HASH})


@pytest.mark.parametrize("key", ["", "ada's key", HASH[:-1], HASH + "0", HASH.upper(), f"sha256:{HASH}", HASH + "\n"])
def test_a_key_that_is_not_a_hash_is_refused(key: str) -> None:
    with pytest.raises(ValidationError):
        Settings(api_keys={"ada": key})


def test_a_variable_sets_the_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_API_KEYS", json.dumps({"ada": HASH, "zoe": HASH}))

    assert Settings().api_keys == {"ada": HASH, "zoe": HASH}


@pytest.mark.parametrize("limit", ["60/minute", "1/second", "100 per hour", "5/10seconds"])
def test_a_rate_limit_that_can_be_read_is_taken(limit: str) -> None:
    assert AccessSettings(rate_limit=limit).rate_limit == limit


@pytest.mark.parametrize("limit", ["many", "60", "60/", "/minute", "sixty/minute", "60/fortnight", " "])
def test_a_rate_limit_that_cannot_be_read_is_refused(limit: str) -> None:
    with pytest.raises(ValidationError):
        AccessSettings(rate_limit=limit)


def test_there_is_no_rate_limit_unless_it_is_set() -> None:
    assert Settings().access.rate_limit == ""


@pytest.mark.parametrize(
    ("variable", "value", "name", "expected"),
    [
        ("DARKROOM_ACCESS__RATE_LIMIT", "60/minute", "rate_limit", "60/minute"),
        ("DARKROOM_ACCESS__MAX_QUEUE", "7", "max_queue", 7),
        ("DARKROOM_ACCESS__DEDUPLICATE", "true", "deduplicate", True),
        ("DARKROOM_ACCESS__DEDUPLICATE", "0", "deduplicate", False),
    ],
)
def test_a_variable_sets_how_often_one_may_ask(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, name: str, expected: object
) -> None:
    monkeypatch.setenv(variable, value)

    assert getattr(Settings().access, name) == expected


def test_a_variable_with_a_broken_rate_limit_is_refused_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_ACCESS__RATE_LIMIT", "many")

    with pytest.raises(ValidationError):
        Settings()


def test_a_queue_of_no_messages_is_no_bound() -> None:
    with pytest.raises(ValidationError):
        AccessSettings(max_queue=0)


@pytest.mark.parametrize("proxies", ["10.0.0.5,fd00::/8", "10.0.0.5, fd00::/8", " 10.0.0.5 fd00::/8 "])
def test_compose_adds_several_proxies_to_its_own_with_one_variable(proxies: str) -> None:
    trusted = HttpSettings(trusted_proxies=["10.213.77.10", proxies]).trusted_proxies

    assert [str(network) for network in trusted] == ["10.213.77.10/32", "10.0.0.5/32", "fd00::/8"]


def test_twins_are_not_looked_for_unless_it_is_set() -> None:
    assert Settings().access.deduplicate is False


def test_a_setting_that_is_wrong_is_told_without_its_password() -> None:
    with pytest.raises(ValueError, match="DARKROOM_REDIS_URL must name a database") as told:
        Settings(redis_url="redis://:hunter2@redis.example:6379/abc")

    assert "hunter2" not in str(told.value)


def test_a_file_of_the_secrets_folder_stands_in_for_an_unset_or_empty_variable(tmp_path: Path) -> None:
    (tmp_path / "darkroom_redis_url").write_text("redis://file:1/0\n", encoding="ascii")
    script = """
import os
from pipeline.settings import Settings
os.environ.pop("DARKROOM_REDIS_URL", None)
print("unset", Settings().redis_url)
for given in ("redis://env:1/0", ""):
    os.environ["DARKROOM_REDIS_URL"] = given
    print(repr(given), Settings().redis_url)
"""

    environment = {**os.environ, "DARKROOM_SECRETS_DIR": str(tmp_path)}
    shown = subprocess.check_output([sys.executable, "-c", script], env=environment, text=True)

    assert shown.splitlines() == ["unset redis://file:1/0", "'redis://env:1/0' redis://env:1/0", "'' redis://file:1/0"]


def test_presets_of_an_owner_without_a_key_are_a_mistake() -> None:
    keys = {"shop": "0" * 64}

    assert Settings(api_keys=keys, key_presets={"shop": ("product",)}).key_presets == {"shop": ("product",)}
    with pytest.raises(ValidationError, match="DARKROOM_KEY_PRESETS: shp should be among the owners"):
        Settings(api_keys=keys, key_presets={"shp": ("product",)})
    with pytest.raises(ValidationError, match="at least 1 item"):
        Settings(api_keys=keys, key_presets={"shop": ()})


@pytest.mark.parametrize(
    "url", ["file:///srv/out", "s3://", "s3://key:hidden@out", "s3://out?key=hidden", "https://out"]
)
def test_a_destination_is_a_bucket_and_nothing_else(url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings.model_validate({"destinations": {"shop": {"url": url}}})

    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"aws_acess_key_id": "hidden"}, "does not know: aws_acess_key_id"),
        ({"aws_access_key_id": "hidden"}, "a key without its secret"),
        ({"aws_allow_http": "hidden"}, "a wrong value"),
    ],
)
def test_options_of_a_destination_are_checked_and_not_shown(options: dict[str, str], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason) as refused:
        Settings.model_validate({"destinations": {"shop": {"url": "s3://out", "options": options}}})

    assert "hidden" not in str(refused.value)


def test_keys_of_a_destination_are_in_no_text_of_the_settings() -> None:
    options = {"aws_access_key_id": "hidden", "aws_secret_access_key": "hidden"}

    settings = Settings.model_validate({"destinations": {"shop": {"url": "s3://out", "options": options}}})

    assert settings.destinations["shop"].options == options
    assert "hidden" not in f"{settings!r} {settings}"
