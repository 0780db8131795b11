"""What `./run bench` takes, and what it makes of figures of an earlier run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tools.bench import peer
from tests.tools.bench.__main__ import SCENARIOS, main

CPU_MS = {"validate": 8.0, "normalize": 60.0, "resize": 30.0, "finalize": 6.0, "gateway": 20.0, "redis": 4.0}


def _figures(folder: Path) -> Path:
    sample = {"cpu_ms_by_process": CPU_MS}
    file = folder / "figures.json"
    file.write_text(json.dumps({"machine": {"cores": 2}, "race": {"rounds": [[sample]]}}))
    return file


def test_a_scenario_that_does_not_exist_is_refused_and_the_others_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["races"])

    said = capsys.readouterr().err
    assert [name for name in SCENARIOS if name not in said] == []


def test_sizing_without_figures_says_where_they_come_from(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"first \./run bench race"):
        main(["sizing", "--json", str(tmp_path / "none.json")])


def test_sizing_tells_pools_and_nodes_and_leaves_the_figures_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = _figures(tmp_path)
    before = file.read_bytes()

    status = main(["sizing", "--json", str(file), "--rate", "10", "--jobs", "500"])

    said = capsys.readouterr().out
    assert status == 0
    assert "A job costs 128 ms of CPU (race); 2 cores at 70 % serve 10.9 a second." in said
    assert "pools for 10.0 jobs/s" in said
    assert file.read_bytes() == before


def test_a_peer_that_is_not_there_is_skipped_with_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert peer.explain_missing(None) == "no --peer was named"
    assert peer.explain_missing(tmp_path) == f"there is no package.json in {tmp_path}"

    (tmp_path / "package.json").write_text("{}")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert peer.explain_missing(tmp_path) == "node and npm not found"
