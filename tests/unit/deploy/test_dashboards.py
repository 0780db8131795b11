"""The dashboards: as their source says, whole, legible, and about metrics that exist."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any

import pytest

from deploy.generate.dashboards.catalogue import render_dashboards
from tests.support.prometheus_config import (
    DASHBOARDS,
    PROMETHEUS_FOLDER,
    PROMETHEUS_METRICS,
    ROOT,
    groupings,
    load_dashboards,
    load_yaml,
    panels,
    rules,
    selectors,
)

BOARDS = load_dashboards()
PANELS = [
    pytest.param(panel, id=f"{stem}: {panel['title']}") for stem, board in BOARDS.items() for panel in panels(board)
]
VARIABLES = {"queue", "stage", "task_id", "ui", "flower", "prometheus"}
PROVISIONED = ROOT / "deploy" / "grafana" / "provisioning"
STARTS = "process_start_time_seconds"
NOT_SHOWN = {
    "process_virtual_memory_bytes",  # says nothing of a process that maps files
    "process_max_fds",
}


def test_the_files_are_what_the_source_says() -> None:
    written = {file.name: file.read_text(encoding="utf-8") for file in DASHBOARDS.glob("*.json")}

    assert written == render_dashboards(), "run `./run dashboards`"


def test_every_dashboard_has_an_address_of_its_own() -> None:
    assert len({board["uid"] for board in BOARDS.values()}) == len(BOARDS) == 7


@pytest.mark.parametrize("stem", BOARDS)
def test_panels_have_numbers_of_their_own(stem: str) -> None:
    numbers = [panel["id"] for panel in BOARDS[stem]["panels"]]

    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("stem", BOARDS)
def test_panels_neither_overlap_nor_leave_the_grid(stem: str) -> None:
    places = [panel["gridPos"] for panel in BOARDS[stem]["panels"]]

    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]


@pytest.mark.parametrize("stem", BOARDS)
def test_lines_of_panels_are_full(stem: str) -> None:
    lines: dict[int, int] = {}
    for panel in BOARDS[stem]["panels"]:
        lines[panel["gridPos"]["y"]] = lines.get(panel["gridPos"]["y"], 0) + panel["gridPos"]["w"]

    assert set(lines.values()) == {24}


@pytest.mark.parametrize("panel", PANELS)
def test_every_panel_says_what_it_shows_and_in_what_unit(panel: dict[str, Any]) -> None:
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert len(panel["description"]) > 10
    assert panel["description"].endswith(".")


@pytest.mark.parametrize("panel", PANELS)
def test_every_query_asks_for_metrics_that_are_exported(
    panel: dict[str, Any], exported_labels: dict[str, set[str]]
) -> None:
    for target in panel["targets"]:
        named = selectors(target["expr"])

        for metric, labels in named.items():
            assert labels <= exported_labels[metric]
        assert groupings(target["expr"]) <= set().union(*(exported_labels[metric] for metric in named))


@pytest.mark.parametrize("panel", PANELS)
def test_every_series_is_named_by_labels_that_its_query_leaves(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        labels = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
        kept = groupings(target["expr"])

        assert target["legendFormat"]
        assert labels <= kept or not kept


@pytest.mark.parametrize("stem", BOARDS)
def test_every_variable_that_is_used_is_there(stem: str) -> None:
    there = {variable["name"] for variable in BOARDS[stem]["templating"]["list"]}
    texts = [target["expr"] for panel in panels(BOARDS[stem]) for target in panel["targets"]]
    texts += [link["url"] for link in BOARDS[stem]["links"]]

    used = {name for text in texts for name in re.findall(r"\$\{?(\w+)", text)} - {"__rate_interval", "__range"}
    assert there == VARIABLES
    assert used <= there


@pytest.mark.parametrize("stem", BOARDS)
def test_a_task_id_leads_to_its_job_and_to_flower(stem: str) -> None:
    links = {link["title"]: link["url"] for link in BOARDS[stem]["links"]}
    defaults = {variable["name"]: variable["query"] for variable in BOARDS[stem]["templating"]["list"]}

    assert links["Job"] == "${ui}/#/jobs/${task_id}"
    assert links["Task in Flower"] == "${flower}/task/${task_id}"
    assert (defaults["ui"], defaults["flower"]) == ("http://localhost:8000", "http://localhost:5555")


def test_the_first_dashboard_lists_the_alerts_and_leads_to_their_sections_of_the_runbook() -> None:
    (table,) = [panel for panel in panels(BOARDS["pipeline"]) if panel["type"] == "table"]
    ((link,),) = [each["value"] for override in table["fieldConfig"]["overrides"] for each in override["properties"]]
    anchors = re.findall(r' id="(\w+)"', (PROMETHEUS_FOLDER / "consoles" / "runbook.html").read_text(encoding="utf-8"))

    assert link["url"] == "${prometheus}/consoles/runbook.html#${__value.raw}"
    assert {rule["alert"] for rule in rules() if "alert" in rule} <= set(anchors)


@pytest.mark.parametrize("stem", BOARDS)
def test_deploys_are_marked_at_the_time_that_processes_tell(stem: str) -> None:
    (starts,) = BOARDS[stem]["annotations"]["list"]

    assert starts["useValueForTime"]
    assert set(selectors(starts["expr"])) == {STARTS, "darkroom_build_info"}


def test_dashboards_and_links_name_the_source_that_is_provisioned() -> None:
    (source,) = load_yaml(PROVISIONED / "datasources" / "prometheus.yml")["datasources"]
    sources = [panel["datasource"] for board in BOARDS.values() for panel in panels(board)]
    sources += [
        target["datasource"] for board in BOARDS.values() for panel in panels(board) for target in panel["targets"]
    ]

    assert {(each["type"], each["uid"]) for each in sources} == {(source["type"], source["uid"])}


def test_no_metric_is_exported_that_nobody_looks_at(exported_labels: dict[str, set[str]]) -> None:
    asked = [rule["expr"] for rule in rules()] + [
        target["expr"] for board in BOARDS.values() for panel in panels(board) for target in panel["targets"]
    ]
    seen = {metric for expression in asked for metric in selectors(expression)} | {STARTS, "darkroom_build_info"}
    of_histograms = {name.rsplit("_", 1)[0] for name in seen if name.endswith(("_bucket", "_sum", "_count"))}

    unseen = {name for name in exported_labels if name not in seen and name.rsplit("_", 1)[0] not in of_histograms}
    assert unseen - NOT_SHOWN - PROMETHEUS_METRICS.keys() == set()
