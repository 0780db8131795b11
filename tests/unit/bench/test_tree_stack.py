"""The stack of another checkout, run by a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.tools.bench.tree_stack import describe_commit, find_python, hold_stack

STACK = """
import os
from pathlib import Path

class Stack:
    def __init__(self, **arguments):
        self.arguments = arguments
        self.gateway_port, self.redis_url, self.mongo_url = 80, "redis://", "mongodb://"
        self.pools, self.processes = arguments["pools"], {"gateway": None, "resize": None}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        (Path(self.arguments["folder"]) / "stopped").touch()

    def pid(self, name):
        if name == "resize":
            raise ProcessLookupError(name)
        return os.getpid()
"""


def _make_tree(folder: Path, stack: str = STACK) -> Path:
    (folder / "deploy/local").mkdir(parents=True)
    (folder / "deploy/local/stack.py").write_text(stack)
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/python").symlink_to(sys.executable)
    return folder


def test_the_stack_is_that_of_the_other_checkout_and_stops_with_its_input(tmp_path: Path) -> None:
    tree = _make_tree(tmp_path)

    with hold_stack(tree, {"folder": str(tmp_path), "pools": {"resize": 2}}) as stack:
        assert (stack.gateway_port, stack.pools) == (80, {"resize": 2})
        assert list(stack.pids()) == ["gateway"]
        assert stack.children("gateway") == []
        assert "python" in stack.versions
        assert not (tmp_path / "stopped").exists()

    assert (tmp_path / "stopped").exists()


def test_a_stack_that_does_not_start_is_an_error(tmp_path: Path) -> None:
    tree = _make_tree(tmp_path, "import sys; sys.exit(3)")

    with pytest.raises(RuntimeError, match="has ended"), hold_stack(tree, {}):
        pass


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="is no checkout of Darkroom"):
        find_python(tmp_path)

    assert describe_commit(tmp_path) == "unknown"
