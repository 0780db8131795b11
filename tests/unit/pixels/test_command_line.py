"""What ./run pixels refuses before it starts: after an hour's comparison it would be too late."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools.pixels.__main__ import main
from tests.tools.pixels.command_line import parse_arguments


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("--sheet", "missing/sheet.png", "argument --sheet: {}/missing/sheet.png cannot be written"),
        ("--sheet", "", "argument --sheet: {} cannot be written"),
        ("--report", "missing/report.csv", "argument --report: {}/missing/report.csv cannot be written"),
        ("--browser", "./missing", "argument --browser: there is no program ./missing"),
        ("--browser", "no-such-browser", "argument --browser: there is no program no-such-browser"),
    ],
)
def test_what_cannot_be_written_or_run_is_said_at_once(
    option: str, value: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse_arguments([str(tmp_path), "--directory", str(tmp_path), option, value])

    assert sentence.format(tmp_path) in capsys.readouterr().err


def test_a_program_is_found_from_where_the_command_was_called(tmp_path: Path) -> None:
    (tmp_path / "browser").touch(mode=0o755)

    options = parse_arguments([str(tmp_path), "--directory", str(tmp_path), "--browser", "./browser"])

    assert options.browser == str(tmp_path / "browser")


def test_mistakes_in_the_settings_are_said_in_a_line_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DARKROOM_LIMITS__PIXELS", "many")

    assert main([str(tmp_path), "--oracle", "none"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
