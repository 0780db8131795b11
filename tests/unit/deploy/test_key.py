"""`./run key`: its lines are settings that the gateway takes, and the other half is the key's or the secret itself."""

from __future__ import annotations

import json
import re
from hashlib import sha256

import pytest

from deploy.admin.key import main
from pipeline.settings import Settings


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str, dict[str, str]]:
    """Return the key that is shown, and the name and the value of the setting."""
    assert main(["shop", *arguments]) == 0
    form = r"For [\w ]+ of shop, shown once:  (\w+)=(\S+)\nFor the gateway:  (\w+)='(.+)'\n"
    shown = re.fullmatch(form, capsys.readouterr().out)
    assert shown is not None
    assert f"{shown[1]}S" == shown[3]
    return shown[2], shown[3], json.loads(shown[4])


def test_a_key_and_a_secret_are_settings_that_fit_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    key, keys_name, keys = run(capsys)
    secret, secrets_name, secrets = run(capsys, "--signing")

    settings = Settings.model_validate({"api_keys": keys, "signing_secrets": secrets})
    assert (keys_name, secrets_name) == ("DARKROOM_API_KEYS", "DARKROOM_SIGNING_SECRETS")
    assert settings.api_keys == {"shop": sha256(key.encode()).hexdigest()}
    assert settings.signing_secrets["shop"][0].get_secret_value() == secret
