"""The README says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway import problems
from pipeline.flower import FlowerSettings
from pipeline.settings import Settings
from stages.errors import STAGE_ERRORS
from stages.formats import MEDIA_TYPES, OUTPUTS

README = Path("README.md").read_text(encoding="utf-8")
CODES = {kind.code for kind in problems.Problem.__subclasses__() + problems.NotAcceptedForm.__subclasses__()}
SHOWN = [line.split("|")[1:-1] for line in README.splitlines() if line.startswith("| ")]


@pytest.mark.parametrize("code", sorted(CODES | set(STAGE_ERRORS)))
def test_every_code_is_listed(code: str) -> None:
    assert f"`{code}`" in README


@pytest.mark.parametrize("name", sorted(MEDIA_TYPES))
def test_every_accepted_format_has_its_row(name: str) -> None:
    rows = [
        cells for cells in SHOWN if name.upper() in cells[0].upper() and cells[1].strip().startswith(("yes", "with"))
    ]

    assert len(rows) == 1


@pytest.mark.parametrize("name", [name for name in OUTPUTS if name != "auto"])
def test_every_format_that_can_be_asked_for_says_so(name: str) -> None:
    row = next(cells for cells in SHOWN if re.search(rf"\b{name}\b", cells[0], re.IGNORECASE) and len(cells) == 6)

    assert row[2].strip().startswith("yes")


@pytest.mark.parametrize("variable", sorted(set(re.findall(r"`DARKROOM_([A-Z_]+)", README)) - {"HOME", "PORT"}))
def test_every_variable_is_a_setting(variable: str) -> None:
    part, _, name = variable.lower().partition("__")
    if part.startswith("flower_"):
        assert part.removeprefix("flower_") in FlowerSettings.model_fields
        return
    field = Settings.model_fields[part]

    assert not name or name in getattr(Settings(), part).__class__.__annotations__
    assert field is not None
