"""The stack of another checkout of Darkroom, run by its own code and its own Python."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from deploy.local.readiness import find_child_pids
from deploy.local.supervisord_control import STOP_SECONDS
from tests.support.programs import report_end, start_program, stop_program
from tests.tools.bench.machine import PACKAGES
from tests.tools.bench.systems import POOLS, UNLIMITED, DarkroomSystem

CHILD = Path(__file__).with_name("tree_stack_child.py")
BEFORE = "before"


class TreeStack:
    """A running stack that another process holds, which answers what it is asked."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Wait until it is ready. RuntimeError if it ends instead; it has printed why."""
        self._process = process
        described = self._read()
        self.gateway_port: int = described["gateway_port"]
        self.redis_url: str = described["redis_url"]
        self.mongo_url: str = described["mongo_url"]
        self.pools: dict[str, int] = described["pools"]
        self.versions: dict[str, str] = described["versions"]

    def pids(self) -> dict[str, int]:
        """Return the processes that run, by their names."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        found: dict[str, int] = self._read()
        return found

    def children(self, name: str) -> list[int]:
        """Return the ids of a process's children."""
        return find_child_pids(self.pids()[name])

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the stack of the other checkout has ended")
        return json.loads(line)


def find_python(tree: Path) -> Path:
    """Return the Python of a checkout, which its `run` installs if it is not there. RuntimeError without a stack."""
    if not (tree / "deploy/local/stack.py").is_file():
        raise RuntimeError(f"{tree} is no checkout of Darkroom")
    python = tree / ".venv/bin/python"
    if not python.exists():
        subprocess.run(["./run", "up", "--help"], cwd=tree, check=True, stdout=subprocess.DEVNULL)
    return python


def describe_commit(tree: Path) -> str:
    """Return the commit of a checkout, and whether it has changes of its own; `unknown` without Git."""
    command = ["git", "-C", str(tree), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    return said.stdout.strip() or "unknown"


@contextmanager
def run_tree(  # noqa: PLR0913  # as run_darkroom
    tree: Path,
    folder: Path,
    *,
    name: str = BEFORE,
    pools: Mapping[str, int] | None = None,
    environment: Mapping[str, str] | None = None,
    services: Mapping[str, int] | None = None,
    workers: bool = True,
) -> Iterator[DarkroomSystem]:
    """Run the stack of another checkout, as `run_darkroom` runs ours."""
    stack = {
        "folder": str(folder),
        "pools": dict(pools or POOLS),
        "environment": UNLIMITED | dict(environment or {}),
        "workers": workers,
    }
    with hold_stack(tree, stack) as running, closing(DarkroomSystem(running, name=name, services=services)) as system:
        yield system


@contextmanager
def hold_stack(tree: Path, stack: Mapping[str, object]) -> Iterator[TreeStack]:
    """Run the stack of another checkout with these arguments of its `Stack`."""
    request = json.dumps({"stack": stack, "packages": PACKAGES})
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": sys.stderr, "text": True}
    with start_program(str(find_python(tree.resolve())), "-P", str(CHILD), request, cwd=tree, **pipes) as process:
        try:
            yield TreeStack(process)
        finally:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """Close its input, and see it gone once its stack has stopped."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        stop_program(process)
    else:
        report_end(process)
