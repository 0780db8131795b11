"""The tables that come from a comparison and a profile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.tools.bench.bench import Options
from tests.tools.bench.comparison_tables import race_table, spell_range, spell_ratio, tables
from tests.tools.bench.scaling_tables import PATH, PERFORMANCE
from tests.tools.bench.scenarios.sizing import ON_PERFORMANCE


def _race(rate: float, cpu_ms: float, **more: float) -> dict[str, float]:
    return {"jobs/s": rate, "p50 ms": 100.0, "p95 ms": 200.0, "CPU ms/job": cpu_ms, **more}


FOUND: dict[str, Any] = {
    "compare": {
        "rounds": {
            "race": [
                {"darkroom": _race(20.0, 90.0), "before": _race(10.0, 140.0), "peer": _race(8.0, 200.0)},
                {"darkroom": _race(30.0, 80.0), "before": _race(12.0, 150.0), "peer": _race(6.0, 220.0)},
            ],
            "queue": [
                {"darkroom": {"CPU ms, redis": 1.0, "jobs/s": 9.0}, "before": {"CPU ms, redis": 2.0, "jobs/s": 9.0}}
            ],
        },
        "ratios": {"before": {}, "peer": {}},
    },
    "direct": {"rounds": [{"our stages": {"all": 60.0}, "pyvips": {"all": 80.0}}]},
    "queue, s3": {"cpu_ms": 90.0, "cpu_ms_by_process": {"seaweedfs": 20.0}, "jobs_per_s": 5.0},
    "profile": {"12mp": {"darkroom": {"decoding": 30.0, "Redis": 10.0}, "before": {"decoding": 40.0}}},
}


def test_a_race_has_ranges_and_the_ratios_of_the_rounds() -> None:
    _, rows = race_table(FOUND)

    assert rows[0] == ("darkroom", "20.0 - 30.0", "100 / 200", "80.0 - 90.0", "")
    assert rows[2] == ("peer", "6.00 - 8.00", "100 / 200", "200 - 220", "3.75 (2.50 - 5.00)")


def test_a_comparison_lists_the_goals_first_then_each_process() -> None:
    _, rows = tables(FOUND)["before"]

    names = [row[0] for row in rows]
    assert names == ["race: jobs/s", "race: CPU ms/job", "queue: jobs/s", "queue: CPU ms, redis"]
    assert rows[-1][1:] == (2.0, 1.0, "0.50 (0.50 - 0.50)")


def test_a_peer_has_only_what_both_have() -> None:
    headings, rows = tables(FOUND)["peers"]

    assert headings[:3] == ("medians of the rounds", "Darkroom", "peer")
    assert [row[0] for row in rows] == ["race: jobs/s", "race: CPU ms/job"]


def test_components_have_shares_and_a_component_that_is_gone_has_none() -> None:
    _, rows = tables(FOUND)["components"]

    assert rows == [("decoding", 30.0, 75.0, 40.0, 100.0), ("Redis", 10.0, 25.0, 0.0, 0.0)]


def test_other_programs_and_other_servers_have_rows_of_their_own() -> None:
    found = tables(FOUND)

    assert found["direct"][1] == [("our stages", 60.0, ""), ("pyvips", 80.0, "0.75 (0.75 - 0.75)")]
    assert found["servers"][1] == [("Redis, S3 (SeaweedFS)", 90.0, 20.0, 5.0)]


def test_the_figures_of_other_servers_stand_beside_the_usual_ones() -> None:
    file = Path("figures.json")

    assert Options(json=file).label("queue") == "queue"
    assert Options(json=file, broker="rabbitmq", blobs="s3").label("queue") == "queue, rabbitmq, s3"


def test_without_figures_there_are_no_tables() -> None:
    assert tables({}) == {}
    assert spell_ratio([None]) == "-"
    assert spell_range([2.0, 1.0]) == "1.00 - 2.00"


@pytest.mark.parametrize("name", sorted(tables(FOUND)))
def test_the_documents_have_a_place_for_every_table(name: str) -> None:
    page = PERFORMANCE if name in ON_PERFORMANCE else PATH

    assert f"<!-- {name} -->\n" in page.read_text(encoding="utf-8")
