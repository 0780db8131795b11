"""The tables of deploy/docs/SCALING.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools.bench.scaling_tables import PATH, markdown, measurement_table, write

TABLE = (["", "ms"], [("gateway", 12.34), ("redis", None)])


def test_a_table_is_replaced_between_its_marks_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text("above\n<!-- costs -->\n| old |\n<!-- end -->\nbelow <!-- end -->\n")

    write(file, {"costs": TABLE})
    write(file, {"costs": TABLE})

    assert file.read_text() == f"above\n<!-- costs -->\n{markdown(*TABLE)}<!-- end -->\nbelow <!-- end -->\n"
    assert markdown(*TABLE) == "|  | ms |\n| --- | --- |\n| gateway | 12.3 |\n| redis | - |\n"


def test_a_table_without_a_place_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text("nothing")

    with pytest.raises(KeyError, match="no place for costs"):
        write(file, {"costs": TABLE})


@pytest.mark.parametrize("name", ["measured", "pools", "waits", "growth"])
def test_the_page_has_a_place_for_every_table(name: str) -> None:
    assert f"<!-- {name} -->\n" in PATH.read_text(encoding="utf-8")


def test_what_was_not_measured_is_a_dash() -> None:
    cpu_ms = {"validate": 8.0, "normalize": 60.0, "resize": 30.0, "transform": 1.0, "finalize": 6.0}
    race = {"at": "2026-11-22T10:00:00+00:00", "load_average": [[0.5], [2.25]]}

    _, rows = measurement_table({"race": race | {"rounds": [[{"cpu_ms_by_process": cpu_ms, "cpu_ms": 130.0}]]}})

    by_symbol = {row[0]: row for row in rows if row[0]}
    assert by_symbol["`w`"] == ("`w`", "CPU of the workers, ms", 105.0, "`race`", "2026-11-22; 0.5, 2.2")
    assert by_symbol["`g`"][2] is None
    assert by_symbol["`h`"][2:] == (None, "`upload`", "-")
