"""Mistakes in the settings: each is told in one line, all at once, with the name that was meant."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pipeline.flower_settings import FlowerSettings
from pipeline.settings import Settings
from pipeline.settings_mistakes import find_mistakes, stop_on_mistakes

SERVICE_LINKS = {
    "DARKROOM_GATEWAY_SERVICE_HOST": "10.0.0.1",
    "DARKROOM_GATEWAY_SERVICE_PORT": "8001",
    "DARKROOM_GATEWAY_SERVICE_PORT_HTTP": "8001",
    "DARKROOM_GATEWAY_PORT": "tcp://10.0.0.1:8001",
    "DARKROOM_GATEWAY_PORT_8001_TCP": "tcp://10.0.0.1:8001",
    "DARKROOM_GATEWAY_PORT_8001_TCP_PROTO": "tcp",
    "DARKROOM_GATEWAY_PORT_8001_TCP_PORT": "8001",
    "DARKROOM_GATEWAY_PORT_8001_TCP_ADDR": "10.0.0.1",
}
"""What Kubernetes sets in a pod for a service `darkroom-gateway` of its namespace."""


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings but those of the test."""
    for name in [name for name in os.environ if name.startswith("DARKROOM_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("DARKROOM_RENDITION", "DARKROOM_RENDITIONS"),
        ("DARKROOM_LIMIT__PIXELS", "DARKROOM_LIMITS__PIXELS"),
        ("DARKROOM_LIMITS__PIXEL", "DARKROOM_LIMITS__PIXELS"),
        ("DARKROOM_LIMITS_PIXELS", "DARKROOM_LIMITS__PIXELS"),
        ("DARKROOM_UPLOAD_BYTES", "DARKROOM_LIMITS__UPLOAD_BYTES"),
        ("DARKROOM_WORK__TIMELIMIT", "DARKROOM_WORK__TIME_LIMIT"),
        ("DARKROOM_REDIS_ULR", "DARKROOM_REDIS_URL"),
        ("darkroom_mongo_ur", "DARKROOM_MONGO_URL"),
        ("DARKROOM_FLOWER_PASSWORT", "DARKROOM_FLOWER_PASSWORD"),
        ("DARKROOM_TOOLSBIND", "DARKROOM_TOOLS_BIND"),
        ("DARKROOM_WORKER_MEM", "DARKROOM_WORKER_MEMORY"),
    ],
)
def test_an_unknown_name_is_told_with_the_one_that_was_meant(
    name: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")

    assert find_mistakes() == [f"{name}: there is no such setting. Did you mean {meant}?"]


def test_a_name_like_no_other_is_told_without_a_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_XYZZY", "1")

    assert find_mistakes() == [
        "DARKROOM_XYZZY: there is no such setting. deploy/docs/CONFIGURATION.md lists all names."
    ]


@pytest.mark.parametrize(
    "name",
    ["DARKROOM_RENDITIONS__TINY", "darkroom_limits__pixels", "DARKROOM_TAG", "DARKROOM_URL", "DARKROOM_FLOWER_FOLDER"],
)
def test_a_name_that_something_reads_is_no_mistake(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "7")

    assert find_mistakes() == []


def test_an_unknown_variable_that_is_empty_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_RENDITION", "")

    assert find_mistakes() == []


def test_what_kubernetes_sets_for_services_stops_no_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    for service in ("GATEWAY", "FLOWER", "REDIS_PRIMARY"):
        for name, value in SERVICE_LINKS.items():
            monkeypatch.setenv(name.replace("GATEWAY", service), value)

    assert find_mistakes(Settings, FlowerSettings) == []
    assert FlowerSettings().port == 5555


def test_a_port_without_a_service_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_GATEWAY_PORT", "8001")

    assert find_mistakes()


def test_all_mistakes_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {
        "DARKROOM_RENDITION": "{}",
        "DARKROOM_WORK__TIMELIMIT": "5",
        "DARKROOM_WORK__TIME_LIMIT": "200",
        "DARKROOM_ACCESS__MAX_QUEUE": "0",
        "DARKROOM_HTTP__ALLOWED_HOSTS": "photos.example",
        "DARKROOM_RENDITIONS": "small",
        "DARKROOM_SWEEPER": '{"bach": 1}',
        "DARKROOM_LIMITS": '{"pixel": 1}',
        "DARKROOM_FLOWER_PORT": "many",
        "DARKROOM_FLOWER_USER": "ann",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    mistakes = find_mistakes(Settings, FlowerSettings)

    assert [mistake.split(":")[0] for mistake in mistakes] == [
        "DARKROOM_RENDITION",
        "DARKROOM_WORK__TIMELIMIT",
        "DARKROOM_RENDITIONS",
        "DARKROOM_LIMITS",
        "DARKROOM_SWEEPER__BACH",
        "DARKROOM_HTTP__ALLOWED_HOSTS",
        "DARKROOM_ACCESS__MAX_QUEUE",
        "DARKROOM_WORK__SOFT_TIME_LIMIT < DARKROOM_WORK__TIME_LIMIT < DARKROOM_BROKER__VISIBILITY_TIMEOUT must hold",
        "DARKROOM_FLOWER_PORT",
        "DARKROOM_FLOWER_USER and DARKROOM_FLOWER_PASSWORD need each other",
    ]
    assert all("\n" not in mistake for mistake in mistakes)
    assert settings.items() <= os.environ.items()


def test_no_value_of_a_secret_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_API_KEYS", '{"hunter2 as a name": "hunter2"}')
    monkeypatch.setenv("DARKROOM_REDIS_URL", "redis://:hunter2@redis.example:6379/abc")
    monkeypatch.setenv("DARKROOM_BROKER_URL", "http://ann:hunter2@rabbit.example")

    mistakes = find_mistakes()

    names = {mistake.split(":")[0].split()[0] for mistake in mistakes}
    assert names == {"DARKROOM_BROKER_URL", "DARKROOM_API_KEYS", "DARKROOM_REDIS_URL"}
    assert "hunter2" not in "".join(mistakes)


def test_keys_under_the_name_of_a_clients_key_are_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_API_KEY", '{"ann": "00"}')

    assert find_mistakes() == ["DARKROOM_API_KEY: is the key of a client. Did you mean DARKROOM_API_KEYS?"]


def test_a_file_of_the_secrets_folder_that_nothing_reads_is_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("darkroom_mongo_ulr", "darkroom_work__time_limit", "darkroom_redis_url", "password"):
        (tmp_path / name).touch()
    monkeypatch.setenv("DARKROOM_SECRETS_DIR", str(tmp_path))

    assert find_mistakes() == [
        f"{tmp_path}/darkroom_mongo_ulr: no setting is read from this file. Did you mean darkroom_mongo_url?",
        f"{tmp_path}/darkroom_work__time_limit: no setting is read from this file.",
    ]


@pytest.mark.parametrize(
    ("given", "used", "is_mistake"),
    [
        ("s3://photos/x", "file:///var/lib/darkroom/blobs", True),
        ("s3://photos/x", "s3://photos/x", False),
        ("file:///srv/blobs", "file:///var/lib/darkroom/blobs", False),  # for ./run up
        ("", "file:///var/lib/darkroom/blobs", False),
        ("s3://photos/x", "s3://of-an-override/y", False),
    ],
)
def test_a_bucket_that_compose_overrides_is_a_mistake(
    given: str, used: str, *, is_mistake: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DARKROOM_GIVEN_BLOB_URL", given)
    monkeypatch.setenv("DARKROOM_BLOB_URL", used)

    assert ["outside.yml" in mistake for mistake in find_mistakes()] == [True] * is_mistake


def test_a_process_with_mistakes_ends_with_a_line_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_TAGG", "1")

    with pytest.raises(SystemExit) as end:
        stop_on_mistakes()

    assert end.value.code == "darkroom: DARKROOM_TAGG: there is no such setting. Did you mean DARKROOM_TAG?"


@pytest.mark.parametrize(
    ("origin", "mistake"),
    [
        ("*", "should name each origin, without *"),
        ("https://*.app.example", "should name each origin, without *"),
        ("null", "should begin each origin with its scheme"),
        ("app.example", "should begin each origin with its scheme"),
        ("https://app.example/", "should have nothing behind an origin, not even a slash"),
        ("https://app.example/page", "should have nothing behind an origin, not even a slash"),
        ("https://App.example", "should be in lower case"),
        ("https://app.example:443", "should leave out the default port, as browsers do"),
        ("http://[::1]:80", "should leave out the default port, as browsers do"),
        ("https://ann@app.example", "should have a scheme, a host and perhaps a port"),
        ("https://büro.example", "should have a scheme, a host and perhaps a port"),
    ],
)
def test_an_origin_that_no_browser_sends_is_told_with_what_is_wrong(
    origin: str, mistake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DARKROOM_CORS__ORIGINS", json.dumps(["https://right.example", origin]))

    example = "such as https://app.example or http://localhost:5173"
    assert find_mistakes() == [f"DARKROOM_CORS__ORIGINS: {mistake}, {example}"]


@pytest.mark.parametrize(
    "origin",
    ["https://app.example", "http://localhost:5173", "https://app.example:80", "http://[::1]:3000", "capacitor://localhost",
     "chrome-extension://abcdef", "https://xn--bro-hoa.example"],
)  # fmt: skip
def test_an_origin_as_browsers_send_it_is_no_mistake(origin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_CORS__ORIGINS", json.dumps([origin]))

    assert find_mistakes() == []
    assert Settings().cors.origins == (origin,)
