"""The image holds every module that its containers run, and what these import: .dockerignore lets it in."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.support.prometheus_config import ROOT

PACKAGES = ("deploy", "gateway", "pipeline", "stages", "storage")
MODULE = re.compile(rf"-m[\s,\"]+((?:{'|'.join(PACKAGES)})[.\w]*)")
RUN_IN_CONTAINERS = (
    "docker-compose.yml",
    "deploy/compose/*.yml",
    "deploy/docker/darkroom-server",
    "deploy/kubernetes/**/*.yaml",
)


def find_modules() -> list[str]:
    """Return what containers run. Comments are no commands, and the chart is made from the manifests."""
    files = {path for pattern in RUN_IN_CONTAINERS for path in ROOT.glob(pattern) if "chart" not in path.parts}
    lines = [line.partition("#")[0] for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return sorted({name for line in lines for name in MODULE.findall(line)})


def file_of(module: str) -> Path | None:
    """Return the file of a module of ours."""
    stem = ROOT.joinpath(*module.split("."))
    files = (stem / "__main__.py", stem.with_suffix(".py"))
    return next((file for file in files if file.exists()), None)


def imports_at_start(file: Path) -> Iterator[str]:
    """Yield the modules of ours that a file imports as it is loaded, not later in a function."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(PACKAGES):
            yield node.module


def let_in(file: Path) -> bool:
    """Whether .dockerignore lets a file into the image: all are kept out but those that a pattern with `!` names."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    patterns = [line[1:] for line in lines if line.startswith("!")]
    path = file.relative_to(ROOT)
    return any(fnmatch(str(part), pattern) for pattern in patterns for part in (path, *path.parents))


@pytest.mark.parametrize("module", find_modules())
def test_the_image_holds_what_its_containers_run(module: str) -> None:
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        if (name := waiting.pop()) in seen or (file := file_of(name)) is None:
            continue
        seen.add(name)
        waiting += imports_at_start(file)

        assert let_in(file), f"{module} needs {file.relative_to(ROOT)}: let it in, in .dockerignore"

    assert module in seen
