"""What the settings take, and what they refuse at start."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from pipeline.settings import BrokerSettings, Settings, SweeperSettings, WorkSettings


@pytest.mark.parametrize(
    ("soft", "hard", "visibility"),
    [(60, 60, 120), (61, 60, 120), (50, 120, 120), (50, 121, 120)],
)
def test_limits_out_of_order_are_refused(soft: float, hard: float, visibility: float) -> None:
    work = WorkSettings(soft_time_limit=soft, time_limit=hard)
    broker = BrokerSettings(visibility_timeout=visibility)

    with pytest.raises(ValidationError, match="soft_time_limit < time_limit < visibility_timeout"):
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


@pytest.mark.parametrize(("generation", "seconds"), [(0, 0), (1, 60), (2, 120), (3, 240), (6, 1920)])
def test_the_backoff_doubles_with_each_dispatch(generation: int, seconds: int) -> None:
    assert SweeperSettings(backoff=60).backoff_ms(generation) == seconds * 1000
