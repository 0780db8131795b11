"""Signing secrets: what is accepted, what is a mistake, and that none is ever shown."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pipeline.settings import Settings
from pipeline.settings_mistakes import find_mistakes

KEYS = {owner: sha256(f"{owner}'s key, which is longer than 32 characters".encode()).hexdigest() for owner in "az"}
SECRET, OTHER = "s" * 16 + "0123456789abcdef", "t" * 16 + "0123456789abcdef"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings but those of the test."""
    for name in [name for name in os.environ if name.startswith("DARKROOM_")]:
        monkeypatch.delenv(name)


def set_secrets(monkeypatch: pytest.MonkeyPatch, secrets: object, *, keys: Mapping[str, str] = KEYS) -> None:
    monkeypatch.setenv("DARKROOM_API_KEYS", json.dumps(keys))
    monkeypatch.setenv("DARKROOM_SIGNING_SECRETS", json.dumps(secrets))


def read() -> dict[str, list[str]]:
    secrets = Settings().signing_secrets
    return {owner: [secret.get_secret_value() for secret in owned] for owner, owned in secrets.items()}


@pytest.mark.parametrize(
    ("secrets", "found"),
    [
        ({"a": SECRET}, {"a": [SECRET]}),
        ({"a": [SECRET, OTHER]}, {"a": [SECRET, OTHER]}),
        ({"a": [SECRET], "z": OTHER}, {"a": [SECRET], "z": [OTHER]}),
        ({}, {}),
    ],
)
def test_an_owner_has_a_secret_or_two(
    monkeypatch: pytest.MonkeyPatch, secrets: dict[str, Any], found: dict[str, list[str]]
) -> None:
    set_secrets(monkeypatch, secrets)

    assert (read(), find_mistakes()) == (found, [])


def test_secrets_are_read_from_the_folder(tmp_path: Path) -> None:
    (tmp_path / "darkroom_api_keys").write_text(json.dumps(KEYS))
    (tmp_path / "darkroom_signing_secrets").write_text(json.dumps({"a": SECRET}))

    class SettingsOfFolder(Settings, secrets_dir=tmp_path):
        """Settings that read this folder."""

    assert SettingsOfFolder().signing_secrets["a"][0].get_secret_value() == SECRET


MISTAKES = {
    "no owner of a key": ({"eve": SECRET}, "eve should be among the owners in DARKROOM_API_KEYS"),
    "short": ({"a": "short"}, "32 to 256 visible ASCII characters"),
    "long": ({"a": "s" * 257}, "32 to 256 visible ASCII characters"),
    "a space": ({"a": f"{SECRET} {OTHER}"}, "32 to 256 visible ASCII characters"),
    "not ASCII": ({"a": "é" * 40}, "32 to 256 visible ASCII characters"),
    "three": ({"a": [SECRET, OTHER, "u" * 32]}, "a should have 1 or 2 secrets"),
    "none": ({"a": []}, "a should have 1 or 2 secrets"),
    "shared": ({"a": SECRET, "z": SECRET}, "two owners should not share a secret"),
    "the digest of a key": ({"a": KEYS["a"]}, "should not be an API key, nor the SHA-256 of one"),
    "the digest of another key": ({"a": KEYS["z"]}, "should not be an API key, nor the SHA-256 of one"),
    "a key": ({"a": "a's-key".ljust(40, "-")}, "should not be an API key, nor the SHA-256 of one"),
    "a list": ([SECRET], 'should be an object, such as {"a": 1}, in JSON'),
    "a number": ({"a": 7}, "DARKROOM_SIGNING_SECRETS"),
}


@pytest.mark.parametrize(("secrets", "told"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_without_the_secret(monkeypatch: pytest.MonkeyPatch, secrets: object, told: str) -> None:
    keys = KEYS | {"y": sha256("a's-key".ljust(40, "-").encode()).hexdigest()}
    set_secrets(monkeypatch, secrets, keys=keys)

    mistakes = find_mistakes()

    assert len(mistakes) == 1
    assert mistakes[0].startswith("DARKROOM_SIGNING_SECRETS: ")
    assert told in mistakes[0]
    assert SECRET not in mistakes[0]


def test_settings_do_not_show_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    set_secrets(monkeypatch, {"a": [SECRET, OTHER]})

    shown = f"{Settings()!r} {Settings()} {Settings().model_dump()} {Settings().model_dump_json()}"

    assert SECRET not in shown
    assert OTHER not in shown
