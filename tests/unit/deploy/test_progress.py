"""The progress of a start: lines in a log, one live line in a terminal."""

from __future__ import annotations

import io
import re

from rich.console import Console

from deploy.local.progress import StartProgress


def _shown(*, is_terminal: bool) -> str:
    console = Console(file=io.StringIO(), force_terminal=is_terminal, width=100)
    progress = StartProgress(console)
    progress.on_starting({"redis": "starting", "gateway": "starting"})
    progress.on_starting({"redis": "ready", "gateway": "starting"})
    progress.on_starting({"redis": "ready", "gateway": "ready", "flower": "left out"})
    progress.on_stopping()
    progress.on_stopping()
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_a_log_has_a_line_for_each_process_once_it_is_ready() -> None:
    shown = _shown(is_terminal=False)

    assert re.fullmatch(r"  redis is ready after \d\.\d s\n  gateway is ready after \d\.\d s\nStopping \.\.\.\n", shown)


def test_a_terminal_has_one_line_that_disappears() -> None:
    shown = _shown(is_terminal=True)

    assert "0 of 2 are ready; waiting for redis, gateway" in shown
    assert "is ready after" not in shown
    assert "\x1b[?25h" in shown.rpartition("\x1b[?25l")[2], "the cursor is back"


def test_a_stop_without_a_start_prints_nothing() -> None:
    console = Console(file=io.StringIO())

    StartProgress(console).on_stopping()

    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == ""
