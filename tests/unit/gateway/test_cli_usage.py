"""What the command refuses before it asks the gateway anything, and what it tells about itself."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner, Result

from gateway.cli.app import COMMANDS, app, run
from gateway.cli.exit_codes import ExitCode

UNREACHABLE_URL = "http://127.0.0.1:9"
NAMES = [command.__name__ for commands in COMMANDS.values() for command in commands]


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["upload"], "Missing argument 'FILES|DIR'."),
        (["status"], "Missing argument 'TASK_ID'."),
        (["status", "one", "two"], "Got unexpected extra argument(s) (two)."),
        (["upload", "-", "--quality", "0"], "--quality must be 1 or more."),
        (["upload", "-", "--concurrency", "65"], "--concurrency must be 64 or less."),
        (["jobs", "--limit", "many"], "--limit must be a whole number."),
        (["jobs", "--patience", "long"], "--patience must be a number."),
        (["upload", "-", "--out", __file__], f"--out must be a folder: '{__file__}' is a file."),
        (["upload", "-", "--format"], "Option '--format' requires an argument."),
        (["jobs", "--limt", "3"], "No such option: --limt (Possible options: --limit)."),
        (["jobs", "--url", "nonsense://"], "'nonsense://' is not the address of a gateway"),
        (["develop"], "No such command 'develop'."),
        (["uplod"], "Did you mean 'upload'?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_a_line_in_the_users_words(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = run(arguments)

    out, err = capsys.readouterr()
    assert (status, out) == (ExitCode.USAGE, "")
    assert says in err
    assert err.startswith("darkroom")
    assert err.count("\n") == 1
    assert err.endswith(" --help.\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["upload", "nothing.jpg"], "No such file or folder: nothing.jpg"),
        (["upload", __file__, "--name", "x.jpg"], "--name is only for stdin: files keep their own names."),
        (["crop", "--aspect", "1:1"], "Specify either photos, or an earlier job with --source."),
        (
            ["crop", __file__, "--aspect", "1:1", "--source", "x"],
            "Specify either photos, or an earlier job with --source.",
        ),
        (["crop", __file__], "Specify --aspect, or --left, --top, --width and --height."),
        (["resize", __file__], "Specify --width, --height or both."),
        (["jobs", "--all", "--limit", "3"], "Use either --all or --limit, not both."),
        (["result", "an-id", "-o", "-", "--json"], "--output - and --json both write to stdout: use only one of them."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_meant_is_refused_in_a_line(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = run([*arguments, "--url", UNREACHABLE_URL])

    out, err = capsys.readouterr()
    assert (status, out) == (ExitCode.USAGE, "")
    assert says in err
    assert err.count("\n") == 1


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == ExitCode.USAGE
    assert "upload" in capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_help_acts_on_nothing_whatever_else_is_given(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, __file__, "--url", UNREACHABLE_URL, "--patience", "0", "--help"]) == ExitCode.OK
    assert run([name, "-h"]) == ExitCode.OK
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", NAMES)
def test_every_command_tells_its_options_and_the_exit_statuses(name: str) -> None:
    told = invoke(name, "--help").stdout

    assert all(option in told for option in ("--url", "--api-key", "--patience", "--json", "DARKROOM_URL"))
    assert all(f"{int(status)} " in told.partition("Exit codes:")[2] for status in ExitCode)


@pytest.mark.parametrize("name", ["upload", "crop", "grayscale", "resize"])
def test_every_command_that_sends_photos_takes_the_same_options(name: str) -> None:
    told = invoke(name, "--help").stdout

    assert all(
        f"--{option}" in told for option in ("wait", "out", "format", "concurrency", "retry-failed", "no-recursive")
    )
