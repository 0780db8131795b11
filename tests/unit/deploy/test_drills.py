"""The drills of the compose test: what they do and look at is in the runbook, the rules and the boards."""

from __future__ import annotations

import json

import pytest

from tests.compose.drills import DRILLS, Drill, has_line
from tests.support.prometheus_config import ROOT

BOARDS = [json.loads(file.read_text()) for file in (ROOT / "deploy" / "grafana" / "dashboards").glob("*.json")]
PANELS = {
    f"{board['title'].removeprefix('Darkroom: ')}: {panel['title']}" for board in BOARDS for panel in board["panels"]
}


@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.fault)
def test_a_drill_does_what_the_runbook_says_and_looks_at_a_panel_that_there_is(drill: Drill) -> None:
    assert [line for line in drill.lines if not has_line(drill.alert, line)] == []
    assert drill.panel in PANELS
