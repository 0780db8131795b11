"""What the command refuses before it asks the gateway anything, and what it tells about itself."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import COMMANDS, app
from gateway.terminal.exits import Exit

NAMES = [command.__name__ for commands in COMMANDS.values() for command in commands]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200", "DARKROOM_URL": "http://127.0.0.1:9"})


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["upload"], "FILES|DIR"),
        (["upload", "nothing.jpg"], "There is no nothing.jpg."),
        (["upload", "-", "--quality", "0"], "--quality"),
        (["upload", __file__, "--name", "x.jpg"], "--name is for stdin"),
        (["crop"], "Name photos, or an earlier job with --source."),
        (["crop", __file__, "--source", "an-id"], "Name photos, or an earlier job with --source."),
        (["jobs", "--limit", "many"], "--limit"),
        (["jobs", "--url", "nonsense://"], "is not the address of a gateway"),
        (["result", "an-id", "-o", "-", "--json"], "Either the image or JSON goes to stdout."),
        (["develop"], "develop"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_meant_is_refused(arguments: list[str], says: str) -> None:
    ended = run(*arguments)

    assert ended.exit_code == Exit.USAGE
    assert says in ended.stderr
    assert ended.stdout == ""


@pytest.mark.parametrize("name", NAMES)
def test_every_command_tells_its_options_and_the_exit_statuses(name: str) -> None:
    told = run(name, "--help").stdout

    assert all(option in told for option in ("--url", "--api-key", "--patience", "--json", "DARKROOM_URL"))
    assert all(f"{int(status)} " in told.partition("Exit status:")[2] for status in Exit)


@pytest.mark.parametrize("name", ["upload", "crop", "grayscale", "resize"])
def test_every_command_that_sends_photos_takes_the_same_options(name: str) -> None:
    told = run(name, "--help").stdout

    assert all(
        f"--{option}" in told for option in ("wait", "out", "format", "concurrency", "retry-failed", "no-recursive")
    )
