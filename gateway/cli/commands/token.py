"""The command that makes tokens for browsers and apps."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..command import CommandError, command

if TYPE_CHECKING:
    from ..session import Session

SECRET_VARIABLE = "DARKROOM_SIGNING_SECRET"  # noqa: S105  # its name
DAY_SECONDS, HOUR_SECONDS = 86_400, 3600
MAX_USES = 1000


class TokenScope(StrEnum):
    """What a token is for."""

    UPLOAD = "upload"
    READ = "read"


@command
def token(  # noqa: PLR0913  # the options of the command
    session: Session,
    scope: Annotated[TokenScope, typer.Argument(help="upload photos, or read one job.", show_default=False)],
    *,
    task_id: Annotated[str | None, typer.Option("--job", metavar="TASK_ID", help="The job to read.")] = None,
    rendition: Annotated[str | None, typer.Option(help="The only rendition to read.")] = None,
    token_id: Annotated[
        str | None, typer.Option(metavar="ID", help="The earlier token that this one continues.")
    ] = None,
    seconds: Annotated[int, typer.Option(min=1, max=DAY_SECONDS, help="How long the token is valid.")] = HOUR_SECONDS,
    max_bytes: Annotated[int | None, typer.Option(min=1, help="The largest file.")] = None,
    formats: Annotated[list[str] | None, typer.Option("--format", help="A format to upload, such as jpeg.")] = None,
    presets: Annotated[
        list[str] | None, typer.Option("--preset", help="A preset to upload with; then no other is allowed.")
    ] = None,
    uses: Annotated[int | None, typer.Option(min=1, max=MAX_USES, help="How many jobs the token makes.")] = None,
    origin: Annotated[str | None, typer.Option(help="The only origin whose pages may upload.")] = None,
    metadata: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="A text for the jobs.")] = None,
    owner: Annotated[
        str | None, typer.Option(help="Sign for this owner here, without the gateway, with the signing secret.")
    ] = None,
    secret_file: Annotated[
        str | None,
        typer.Option(metavar="FILE", help=f"The file of the secret, or - for stdin; by default ${SECRET_VARIABLE}."),
    ] = None,
) -> None:
    """Make a token for a browser or an app, which must not have the API key.

    The gateway makes it for the API key. With --owner, it is signed here: for scripts, and for tests of a backend.
    """
    from rich.text import Text

    from ..signing import sign_token

    wanted: dict[str, Any] = {
        "task_id": task_id,
        "rendition": rendition,
        "token_id": token_id,
        "max_bytes": max_bytes,
        "formats": formats or None,
        "presets": presets or None,
        "uses": uses,
        "origin": origin,
        "metadata": _parse_metadata(metadata or []) or None,
    }
    given = {name: value for name, value in wanted.items() if value is not None}
    _check_options(scope, given)
    if owner is not None:
        secret = read_secret(secret_file)
        made = sign_token(owner, {"scope": scope.value, **given}, seconds=seconds, secret=secret)
    else:
        with session.client() as darkroom:
            made = darkroom.create_token(scope.value, seconds=seconds, **given)
    session.print_result(made, Text(made.token))


def _check_options(scope: TokenScope, given: Mapping[str, Any]) -> None:
    """Raise `CommandError` for options of the other scope."""
    of_reading = {"task_id", "rendition"}
    if scope is TokenScope.READ and "task_id" not in given:
        raise CommandError("Name the job to read with --job.")
    if wrong := [name for name in given if (name in of_reading) is not (scope is TokenScope.READ)]:
        option = {"task_id": "job", "formats": "format", "presets": "preset"}.get(wrong[0], wrong[0].replace("_", "-"))
        raise CommandError(f"--{option} is not for a token with the scope {scope.value}.")


def _parse_metadata(pairs: list[str]) -> dict[str, str]:
    if wrong := [pair for pair in pairs if "=" not in pair]:
        raise CommandError(f"--metadata needs NAME=VALUE, not {wrong[0]!r}.")
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


def read_secret(file: str | None) -> str:
    """Return the secret. It is no option: every user of the machine sees the arguments of its programs."""
    if file == "-":
        return sys.stdin.read().strip()
    secret = os.environ.get(SECRET_VARIABLE, "") if file is None else Path(file).read_text(encoding="utf-8").strip()
    if not secret:
        raise CommandError(f"There is no signing secret. Set {SECRET_VARIABLE}, or name a file with --secret-file.")
    return secret
