"""A module of a stack, run in a fork of supervisord, and the same one run by a Python of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local import processes
from deploy.local.processes import ROOT, Process
from deploy.local.shared_modules import find_shared
from deploy.local.supervisord_control import Supervisord
from tests.integration.api_helpers import wait_until

ENDS = {
    "return": "exit status 0",
    "status": "exit status 7",
    "words": "exit status 1",
    "error": "exit status 1",
    "signal": "terminated by SIGTERM",
}
IMPORT_SHARED = """
import importlib
from deploy.local.shared_modules import FRONTEND_MODULES, GATEWAY_MODULES, WORKER_MODULES
for module in (*GATEWAY_MODULES, *FRONTEND_MODULES, *WORKER_MODULES):
    importlib.import_module(module)
"""
IMPORTS_OF_A_WORKER = f"""
import logging, sys
{IMPORT_SHARED}
before = set(sys.modules)
from pipeline.worker import app
app.finalize()
app.loader.import_default_modules()
app.Worker(queues="validate", concurrency=1, optimization="fair", without_gossip=True, without_mingle=True)
print(*sys.modules.keys() - before)
"""
IMPORTED_IN_EACH_WORKER = {"pipeline.worker", "encodings.ascii"}
HERE = {"DARKROOM_SUBJECT": "50 %", "MALLOC_ARENA_MAX": "2"}
NOT_THE_SUBJECTS = re.compile("SUPERVISOR_|SPT_NOENV|PYTEST_")
TRACEBACK = ("Traceback", "  ")  # above the program a fork has the supervisor in it

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each process is a Python of its own")


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What supervisord and five of its processes wrote until each had ended once."""
    supervisord = Supervisord(tmp_path_factory.mktemp("supervised"))
    supervisord.prepare()
    log = supervisord.logs / "supervisord.log"
    subjects = [Process(name=end, group="subjects", command=_command(end), environment=HERE) for end in ENDS]
    try:
        configuration = processes.render_configuration(subjects, socket_settings=supervisord.socket_settings)
        supervisord.start(configuration, {"PYTHONUNBUFFERED": "1"}, preload=["no.such.module", "PIL.Image"])
        wait_until(lambda: all(f"exited: {end} (" in log.read_text() for end in ENDS), "every subject to end")
    finally:
        supervisord.stop()
    return supervisord.logs


@pytest.mark.parametrize("end", ENDS)
def test_a_forked_module_finds_and_leaves_what_a_python_of_its_own_would(logs: Path, end: str) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **HERE}
    alone = subprocess.run(_command(end), cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert f"exited: {end} ({ENDS[end]}" in (logs / "supervisord.log").read_text()
    first = (logs / f"{end}.log").read_text().split("\n[")[0]  # each is started again until all have ended
    assert _comparable(first) == _comparable(alone.stdout + alone.stderr)


def test_a_worker_imports_nothing_that_its_supervisor_could_have_imported_for_all() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS_OF_A_WORKER], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert set(done.stdout.split()) <= IMPORTED_IN_EACH_WORKER


def test_modules_are_shared_that_read_no_settings() -> None:
    environment = os.environ | {"DARKROOM_REDIS_URL": "no address", "DARKROOM_WORK__TIME_LIMIT": "soon"}

    done = subprocess.run([sys.executable, "-c", IMPORT_SHARED], cwd=ROOT, env=environment, check=False)

    assert done.returncode == 0


def test_a_module_of_one_process_is_imported_there() -> None:
    assert find_shared(["gateway.app", "PIL.Image", "celery", "PIL.Image"]) == ["PIL.Image"]


def _command(end: str) -> tuple[str, ...]:
    return sys.executable, "-m", "tests.integration.supervised_program", end


def _comparable(said: str) -> list[object]:
    """What a program said, its last lines in any order, without what only a supervisor adds."""
    first, *others = said.splitlines()
    name, arguments, environment, *rest = json.loads(first)
    environment = {key: value for key, value in environment.items() if not NOT_THE_SUBJECTS.match(key)}
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:  # as under nohup, which ends at supervisord: it hears of it
        rest[0].pop("SIGHUP")
    return [name, arguments, environment, *rest, sorted(line for line in others if not line.startswith(TRACEBACK))]
