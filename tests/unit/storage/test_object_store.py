"""A bucket with options of its own has nothing of the environment, which is that of the blob store."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import obstore
import pytest
from obstore.exceptions import UnknownConfigurationKeyError

from storage.object_store import connect

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "key-of-the-environment",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-environment",
    "AWS_SESSION_TOKEN": "token-of-the-environment",
    "AWS_ENDPOINT_URL": "https://environment.example",
    "AWS_REGION": "eu-environment-1",
}
OPTIONS = {"aws_access_key_id": "mine", "aws_secret_access_key": "secret", "aws_region": "eu-mine-1"}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


def sign(options: dict[str, str] | None) -> str:
    """Return a signed link of the store with these options: it shows where requests go, and with which key."""
    store: Any = connect("s3://bucket/folder", options=options)
    link: str = obstore.sign(store, "GET", "a.jpg", timedelta(minutes=1))
    return link


@pytest.mark.parametrize("options", [None, {}])
def test_a_store_without_options_has_those_of_the_environment(options: dict[str, str] | None) -> None:
    link = sign(options)

    assert link.startswith("https://environment.example/bucket/folder/a.jpg?")
    assert "key-of-the-environment" in link


def test_a_store_with_options_has_nothing_of_the_environment() -> None:
    link = urlsplit(sign(OPTIONS))

    assert (link.hostname, link.path) == ("s3.eu-mine-1.amazonaws.com", "/bucket/folder/a.jpg")
    assert parse_qs(link.query)["X-Amz-Credential"][0].startswith("mine/")
    assert "environment" not in link.query


def test_the_environment_is_as_before_once_a_store_is_connected() -> None:
    connect("s3://bucket", options=OPTIONS)
    with pytest.raises(UnknownConfigurationKeyError):
        connect("s3://bucket", options={"aws_acess_key_id": "typing mistake"})

    assert {name: os.environ[name] for name in ENVIRONMENT} == ENVIRONMENT


CLIENT_VALUES = {
    "connect_timeout": "2s",
    "allow_http": "true",
    "http2_max_frame_size": "16384",
    "pool_idle_timeout": "5s",
    "proxy_url": "http://proxy.example",
    "root_certificate": "",
    "user_agent": "us",
}


@pytest.mark.parametrize("name", CLIENT_VALUES)
@pytest.mark.parametrize("prefix", ["", "aws_", "AWS_"])
def test_options_of_the_client_are_among_those_of_the_bucket(prefix: str, name: str) -> None:
    """They reach the client: obstore panics when it finds them among the options of a bucket."""
    options = OPTIONS | {f"{prefix}{name}": CLIENT_VALUES[name]}

    if name == "root_certificate":
        with pytest.raises(ValueError, match="No certificates"):
            sign(options)
    else:
        assert "mine" in sign(options)


class InterruptedEnvironment(dict[str, str]):
    """An environment whose second removal is interrupted, as the soft time limit may do."""

    removals = 0

    def pop(self, name: str, *default: Any) -> Any:
        """Remove a variable and return it, or be interrupted."""
        self.removals += 1
        if self.removals == 2:
            raise InterruptedError
        return super().pop(name, *default)

    def __delitem__(self, name: str) -> None:
        self.pop(name)


def test_the_environment_is_as_before_when_the_connecting_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = InterruptedEnvironment(ENVIRONMENT)
    monkeypatch.setattr(os, "environ", environment)

    with pytest.raises(InterruptedError):
        connect("s3://bucket", options=OPTIONS)

    assert environment == ENVIRONMENT
