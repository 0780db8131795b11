"""`darkroom token`: signed here, with a secret that is no argument; the gateway accepts what it prints."""

from __future__ import annotations

import json
from inspect import signature
from pathlib import Path

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from gateway.claims import MAX_USES
from gateway.cli import signing
from gateway.cli.app import app
from gateway.cli.commands import token
from gateway.client.calls import create_token
from gateway.permission import Permission, Scope
from gateway.routes.tokens import TokenRequest
from gateway.tokens import MAX_SECONDS, ROUNDING_SECONDS, VIEW_SECONDS, verify_token
from pipeline.signing_secrets import MIN_CHARACTERS
from storage.clock import now_ms

SIGNING_KEY = "a-secret-of-the-shop-of-40-characters---"
ENVIRONMENT = {"COLUMNS": "200", "DARKROOM_SIGNING_SECRET": SIGNING_KEY}
LIMITS = [
    *("--max-bytes", "5000", "--uses", "2", "--origin", "https://app.example"),
    *("--format", "jpeg", "--format", "png", "--metadata", "order=47=11"),
    *("--preset", "product", "--preset", "avatar"),
]


def run(*arguments: str, stdin: str | None = None, secret: str = SIGNING_KEY) -> Result:
    environment = ENVIRONMENT | {"DARKROOM_SIGNING_SECRET": secret}
    return CliRunner().invoke(app, ["token", *arguments], env=environment, input=stdin)


def verify(token: str) -> Permission:
    return verify_token(token.strip(), {"shop": [SecretStr(SIGNING_KEY)]}, now_ms=now_ms())


def test_an_upload_token_has_the_limits_of_the_options() -> None:
    permission = verify(run("upload", "--owner", "shop", *LIMITS).stdout)

    assert (permission.owner, permission.scope, permission.max_bytes) == ("shop", Scope.UPLOAD, 5000)
    assert (permission.uses, permission.formats) == (2, frozenset({"jpeg", "png"}))
    assert (permission.origin, permission.metadata) == ("https://app.example", {"order": "47=11"})
    assert permission.presets == frozenset({"product", "avatar"})


@pytest.mark.parametrize("rendition", [None, "small"])
def test_a_view_token_reads_a_job_or_a_rendition(rendition: str | None) -> None:
    options = [] if rendition is None else ["--rendition", rendition]

    permission = verify(run("read", "--owner", "shop", "--job", "a-job", *options).stdout)

    assert (permission.scope, permission.task_id, permission.rendition) == (Scope.READ, "a-job", rendition)


def test_a_view_token_is_the_same_for_a_quarter_of_an_hour() -> None:
    wanted, start = {"scope": "read", "task_id": "a-job"}, 1_800_000_000

    tokens = [
        signing.sign_token("shop", wanted, seconds=60, secret=SIGNING_KEY, now=start + late).token
        for late in (1, 800, 900)
    ]

    assert tokens[0] == tokens[1] != tokens[2]


def test_a_token_continues_an_earlier_one_under_its_id() -> None:
    permission = verify(run("upload", "--owner", "shop", "--token-id", "visitor-4711").stdout)

    assert (permission.scope, permission.token_id) == (Scope.UPLOAD, "visitor-4711")


def test_the_client_and_the_command_take_all_that_the_gateway_takes() -> None:
    fields = TokenRequest.model_fields.keys()

    assert signature(create_token).parameters.keys() == fields
    assert signature(token.token, eval_str=False).parameters.keys() >= fields


def test_the_bounds_are_those_of_the_gateway() -> None:
    assert (token.DAY_SECONDS, token.HOUR_SECONDS, token.MAX_USES) == (MAX_SECONDS, VIEW_SECONDS, MAX_USES)
    assert (signing.MIN_SECRET_CHARACTERS, signing.VIEW_ROUNDING_SECONDS) == (MIN_CHARACTERS, ROUNDING_SECONDS)


def test_a_secret_comes_from_a_file_or_stdin(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SIGNING_KEY}\n")

    by_file = run("upload", "--owner", "shop", "--secret-file", str(tmp_path / "secret"), secret="")
    by_stdin = run("upload", "--owner", "shop", "--secret-file", "-", stdin=f"{SIGNING_KEY}\n", secret="")

    assert [verify(made.stdout).owner for made in (by_file, by_stdin)] == ["shop", "shop"]


def test_with_json_the_end_and_the_id_are_there() -> None:
    made = json.loads(run("upload", "--owner", "shop", "--json").stdout)

    assert verify(made["token"]).token_id == made["token_id"]
    assert made.keys() == {"token", "expires_at", "token_id"}


@pytest.mark.parametrize(
    ("arguments", "secret", "told"),
    [
        (["upload"], "", "There is no signing secret. Set DARKROOM_SIGNING_SECRET"),
        (["upload"], "short", "The signing secret has less than 32 characters."),
        (["upload", "--job", "x"], SIGNING_KEY, "--job is not for a token with the scope upload."),
        (["read"], SIGNING_KEY, "Name the job to read with --job."),
        (["read", "--job", "x", "--format", "png"], SIGNING_KEY, "--format is not for a token with the scope read."),
        (
            ["read", "--job", "x", "--max-bytes", "1"],
            SIGNING_KEY,
            "--max-bytes is not for a token with the scope read.",
        ),
        (["upload", "--metadata", "order"], SIGNING_KEY, "--metadata needs NAME=VALUE, not 'order'."),
    ],
)
def test_what_cannot_be_signed_is_told(arguments: list[str], secret: str, told: str) -> None:
    made = run(*arguments, "--owner", "shop", secret=secret)

    assert (made.exit_code, made.stdout) == (2, "")
    assert told in made.stderr
