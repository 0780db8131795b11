"""The mutants of `./run mutants` follow the code that they change."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools.mutants.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_code_that_a_mutant_changes_and_its_tests_are_there(mutant: Mutant, tmp_path: Path) -> None:
    copy = tmp_path / mutant.path
    copy.parent.mkdir(parents=True)
    copy.write_text((ROOT / mutant.path).read_text())

    before = mutant.apply(tmp_path)

    assert copy.read_text() != before
    assert [test for test in mutant.tests if not (ROOT / test).exists()] == []
