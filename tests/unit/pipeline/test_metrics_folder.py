"""Folders of metrics whose workers are killed: nothing stays, and nothing that is in use goes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.programs import ROOT, run_program

WORKER = """
from os import fork, read, close
from pipeline.metrics_folder import MetricsFolder

folder = MetricsFolder()
(folder.path / "counter_0.db").write_bytes(b"counts")
if fork():
    print(folder.path.name, flush=True)
    read(0, 1)
    folder.remove()
else:
    folder.close_inherited()
    close(1)
    read(0, 1)
"""
"""It has a child, and ends when its input ends."""


@pytest.fixture
def workers() -> Iterator[ExitStack]:
    with ExitStack() as running:
        yield running


@contextmanager
def run_worker(temporary: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a process with a folder of metrics and a child; yield it with the folder's name."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    command, environment = (sys.executable, "-c", WORKER), {"TMPDIR": str(temporary)}
    with run_program(*command, cwd=ROOT, environment=environment, **pipes) as process:
        assert process.stdout
        yield process, process.stdout.readline().strip()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_next_worker_removes_the_folder_of_a_killed_one_and_no_other(workers: ExitStack, tmp_path: Path) -> None:
    killed, abandoned = workers.enter_context(run_worker(tmp_path))
    _, used = workers.enter_context(run_worker(tmp_path))
    (tmp_path / "darkroom-metrics-of-before").mkdir()
    assert abandoned in names(tmp_path)

    killed.kill()
    killed.wait()
    _, new = workers.enter_context(run_worker(tmp_path))

    assert names(tmp_path) == {used, new, "darkroom-metrics-of-before"}


def test_a_worker_that_ends_takes_its_folder_along(workers: ExitStack, tmp_path: Path) -> None:
    ended, _ = workers.enter_context(run_worker(tmp_path))

    ended.communicate()

    assert names(tmp_path) == set()
