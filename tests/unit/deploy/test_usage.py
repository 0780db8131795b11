"""Every task prints its help and refuses unknown arguments, and does nothing else."""

from __future__ import annotations

import os
import re
import runpy
import sys
from pathlib import Path

import pytest

TASKS = {
    "up": ("deploy.local", "up"),
    "demo": ("deploy.local.demo",),
    "pixels": ("tests.tools.pixels",),
    "fuzz": ("tests.tools.fuzz.fuzzer",),
    "chaos": ("tests.tools.chaos",),
    "flood": ("tests.tools.chaos.flood",),
    "mutants": ("tests.tools.mutants",),
    "bench": ("tests.tools.bench",),
    "judge": ("tests.tools.judge",),
    "compose-test": ("tests.compose",),
    "dashboards": ("deploy.generate.dashboards",),
    "docs": ("deploy.generate.settings_table",),
    "top": ("deploy.admin.top",),
    "backup": ("deploy.admin.backup",),
    "doctor": ("deploy.admin.doctor",),
    "check": ("deploy.admin.check_presets",),
    "key": ("deploy.admin.key",),
}
WRONG = {"fuzz": "nowhere.jpg", "demo": "--wrong"}


def run(monkeypatch: pytest.MonkeyPatch, task: str, argument: str) -> object:
    """Run a task as a program of its own that cannot start other programs; return its exit status."""
    module, *words = TASKS[task]
    monkeypatch.setattr(sys, "argv", [module, *words, argument])
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(module, run_name="__main__")
    return ended.value.code


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("task", TASKS)
def test_help_does_nothing_else(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    status = run(monkeypatch, task, "--help")

    output = capsys.readouterr()
    assert status == 0
    assert output.out.startswith(f"usage: ./run {task}")
    assert output.err == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("task", TASKS)
def test_a_wrong_argument_is_refused(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    status = run(monkeypatch, task, WRONG.get(task, "--wrong"))

    output = capsys.readouterr()
    assert status == 2
    assert output.out == ""
    assert output.err.startswith(f"usage: ./run {task}")
    assert list(tmp_path.iterdir()) == []


def test_every_module_of_run_is_tested() -> None:
    script = Path("run").read_text(encoding="utf-8")

    modules = set(re.findall(r" -m ((?:deploy|tests)[\w.]*)", script))
    modules |= {path.replace("/", ".") for path in re.findall(r" (deploy/[\w/]+)/__main__\.py", script)}

    assert modules == {module for module, *_ in TASKS.values()}
