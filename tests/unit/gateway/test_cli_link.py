"""`darkroom link` and `image_url`: signed here, with a secret that is no argument; the gateway accepts them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from gateway.cli.app import app
from gateway.client import image_url
from gateway.image_links import verify_link
from gateway.permission import Permission, Scope
from gateway.problems import InvalidSignature
from pipeline.signing_secrets import MIN_CHARACTERS
from storage.clock import now_ms

SIGNING_KEY = "a-secret-of-the-shop-of-40-characters---"
GATEWAY = "https://photos.example/api"
ARGUMENTS = ("a-job", "product/card@2x.avif")


def run(*arguments: str, stdin: str | None = None, secret: str = SIGNING_KEY) -> Result:
    environment = {"COLUMNS": "300", "DARKROOM_SIGNING_SECRET": secret}
    return CliRunner().invoke(app, ["link", "--url", GATEWAY, *arguments], env=environment, input=stdin)


def verify(url: str) -> Permission:
    path, _, query = url.strip().removeprefix(GATEWAY).partition("?")
    *others, signature = query.split("&")
    rest = "&".join(others).encode()
    secrets = {"shop": [SecretStr(SIGNING_KEY)]}
    return verify_link(path, rest, [signature.removeprefix("sig=")], secrets, now_ms=now_ms())


def test_a_link_is_one_that_the_gateway_accepts() -> None:
    url = run(*ARGUMENTS).stdout

    assert url.startswith(f"{GATEWAY}/image/a-job/product/card@2x.avif?sig=")
    assert verify(url) == Permission(owner="shop", scope=Scope.LINK)


def test_a_link_may_end_and_name_a_version() -> None:
    url = run(*ARGUMENTS, "--seconds", "60", "--preset-version", "0123456789abcdef").stdout

    assert "v=0123456789abcdef&" in url
    assert (verify(url).expires_ms or 0) - now_ms() == pytest.approx(60_000, abs=5000)


def test_a_link_is_printed_as_json() -> None:
    answer = json.loads(run(*ARGUMENTS, "--seconds", "60", "--json").stdout)

    assert verify(answer["url"]).owner == "shop"
    assert datetime.fromisoformat(answer["expires_at"]) > datetime.now(UTC)


def test_the_secret_may_come_from_stdin() -> None:
    url = run(*ARGUMENTS, "--secret-file", "-", stdin=f"{SIGNING_KEY}\n", secret="").stdout

    assert verify(url).owner == "shop"


def test_the_link_of_another_secret_is_refused() -> None:
    url = run(*ARGUMENTS, secret="x" * 40).stdout

    with pytest.raises(InvalidSignature):
        verify(url)


@pytest.mark.parametrize(
    ("arguments", "secret"),
    [
        (("a-job", "product"), SIGNING_KEY),
        (("a-job", "product/"), SIGNING_KEY),
        (("a-job", "/card.avif"), SIGNING_KEY),
        (("a-job", "product/card/x.avif"), SIGNING_KEY),
        (ARGUMENTS, "short"),
        (ARGUMENTS, ""),
    ],
)
def test_what_cannot_be_a_link_is_none(arguments: tuple[str, str], secret: str) -> None:
    result = run(*arguments, secret=secret)

    assert result.exit_code != 0
    assert result.stdout == ""


def test_the_url_of_a_client_without_a_secret_has_no_signature() -> None:
    assert image_url(f"{GATEWAY}/", "a-job", "product", "card.jpg") == f"{GATEWAY}/image/a-job/product/card.jpg"


def test_the_url_of_a_client_ends_at_the_time_of_any_zone() -> None:
    end = datetime.fromtimestamp(now_ms() // 1000 + 60, UTC)

    urls = [
        image_url(GATEWAY, "a-job", "product", "card.jpg", secret=SIGNING_KEY, expires=each)
        for each in (end, end.astimezone(tz=None) + timedelta(0))
    ]

    assert urls[0] == urls[1]
    assert verify(urls[0]).expires_ms == end.timestamp() * 1000


def test_a_secret_is_as_long_as_the_gateway_wants_it() -> None:
    with pytest.raises(ValueError, match="less than 32"):
        image_url(GATEWAY, "a-job", "product", "card.jpg", secret="x" * (MIN_CHARACTERS - 1))
