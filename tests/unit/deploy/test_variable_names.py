"""The table of names that are no settings has every name that the files of the deployments use, and no other."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from pipeline.settings_mistakes import KNOWN_NAMES
from pipeline.variable_names import OTHER_NAMES
from tests.support.prometheus_config import ROOT

NAME = re.compile(r"(?<![A-Z_])DARKROOM_[A-Z0-9_]*[A-Z0-9]")
FOLDERS = ("docker-compose.yml", "deploy/*.yml", "deploy/*.yaml", "deploy/**/*.yml", "deploy/**/*.yaml")
FILES = sorted({path for pattern in FOLDERS for path in ROOT.glob(pattern)} | {ROOT / ".env.example"})
READERS = ("run", "docker-compose.yml", "pipeline/settings*.py", "gateway/**/*.py", "deploy/**/*.*")
COMPUTED = {"DARKROOM_FRONT_FLOWER", "DARKROOM_FRONT_GRAFANA"}  # by deploy/local/frontend_server.py


@cache
def _read_names() -> set[str]:
    """Return all names in what reads variables or sets them; the guides are no witness."""
    files = {path for pattern in READERS for path in ROOT.glob(pattern) if path.suffix not in {".md", ".png", ".pyc"}}
    return {name for path in files if path.is_file() for name in NAME.findall(path.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("file", [str(path.relative_to(ROOT)) for path in FILES])
def test_every_name_in_a_file_of_a_deployment_is_known(file: str) -> None:
    unknown = {name for name in NAME.findall(Path(ROOT / file).read_text(encoding="utf-8")) if name not in KNOWN_NAMES}

    assert not unknown, f"{file} uses {', '.join(sorted(unknown))}: add it to OTHER_NAMES in pipeline/variable_names.py"


@pytest.mark.parametrize("name", sorted(set().union(*OTHER_NAMES.values())))
def test_every_name_in_the_table_is_used_by_something(name: str) -> None:
    is_used = name in _read_names() | COMPUTED

    assert is_used, f"nothing uses {name}: remove it from OTHER_NAMES in pipeline/variable_names.py"
