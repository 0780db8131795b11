"""Nothing that a test starts outlives the test process, however that ends."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.programs import ROOT, run_program

STARTS = re.compile(
    r"\bPopen\(|\bcreate_subprocess_(?:exec|shell)\(|\bos\.(?:fork|forkpty|spawn|posix_spawn)\w*\(|\bget_context\(.fork"
)
RUN = """
import sys
from pathlib import Path
import pytest
from tests.support.programs import fork, start_program, run_afterwards

def test_that_is_killed():
    program = start_program("sh", "-c", "echo $$; sleep 600 & echo $!; exec sleep 600", stdout=sys.__stdout__)
    frozen = start_program("sh", "-c", "echo $$; kill -STOP $$", stdout=sys.__stdout__)
    here = Path(__file__).parent
    print(fork("sleeper", cwd=here, env={{}}, output=here).process.pid, file=sys.__stdout__, flush=True)
    with run_afterwards("touch", {undone!r}):
        program.wait()
"""


def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = subprocess.run(["ps", "-o", "state=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return state.strip() not in {"", "Z"}  # the dead wait for whoever adopts them


def test_what_a_killed_test_run_started_ends(tmp_path: Path) -> None:
    file, undone = tmp_path / "test_killed.py", tmp_path / "undone"
    file.write_text(RUN.format(undone=str(undone)))
    (tmp_path / "sleeper.py").write_text("import time\ndef main(): time.sleep(600)\n")
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "-c", os.devnull, str(file)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    with run_program(*command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        pids = [int(line) for line in (run.stdout.readline() for _ in range(4))]
        assert all(map(_runs, pids))
        run.kill()

    _until(lambda: not any(map(_runs, pids)))
    _until(undone.exists)


def test_programs_are_started_in_one_place() -> None:
    files = {str(file) for file in Path("tests").rglob("*.py") if STARTS.search(file.read_text(encoding="utf-8"))}

    assert files == {"tests/support/programs.py"}
