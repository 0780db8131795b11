"""The command's usage errors and help, without a gateway."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner, Result

from gateway.cli.app import COMMANDS, app, run
from gateway.cli.exit_codes import ExitCode

UNREACHABLE_URL = "http://127.0.0.1:9"
NAMES = [command.__name__.replace("_", "-") for commands in COMMANDS.values() for command in commands]


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["upload"], "Missing argument 'FILES|DIR|URL'."),
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
def test_a_usage_error_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    status = run(arguments)

    out, err = capsys.readouterr()
    assert (status, out) == (ExitCode.USAGE, "")
    assert message in err
    assert err.startswith("darkroom")
    assert err.count("\n") == 1
    assert err.endswith(" --help.\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
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
        (["process", __file__, "--steps", "{}"], '--steps needs a list, such as \'["grayscale", {"blur": 2}]\'.'),
        (
            ["process", __file__, "--steps", "grayscale"],
            "--steps is not JSON: Expecting value: line 1 column 1 (char 0).",
        ),
        (["jobs", "--all", "--limit", "3"], "Use either --all or --limit, not both."),
        (["result", "an-id", "-o", "-", "--json"], "--output - and --json both write to stdout: use only one of them."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_contradictory_arguments_are_refused_in_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = run([*arguments, "--url", UNREACHABLE_URL])

    out, err = capsys.readouterr()
    assert (status, out) == (ExitCode.USAGE, "")
    assert message in err
    assert err.count("\n") == 1


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == ExitCode.USAGE
    assert "upload" in capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_help_ignores_the_other_arguments(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, __file__, "--url", UNREACHABLE_URL, "--patience", "0", "--help"]) == ExitCode.OK
    assert run([name, "-h"]) == ExitCode.OK
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", NAMES)
def test_the_help_of_every_command_has_the_common_options_and_exit_codes(name: str) -> None:
    help_text = invoke(name, "--help").stdout

    assert all(option in help_text for option in ("--url", "--api-key", "--patience", "--json", "DARKROOM_URL"))
    assert all(f"{int(status)} " in help_text.partition("Exit codes:")[2] for status in ExitCode)


@pytest.mark.parametrize("name", ["upload", "crop", "grayscale", "resize", "process"])
def test_every_upload_command_has_the_same_options(name: str) -> None:
    help_text = invoke(name, "--help").stdout

    assert all(
        f"--{option}" in help_text
        for option in ("wait", "out", "format", "concurrency", "retry-failed", "no-recursive")
    )
