"""`./run check FILE`: a line for each mistake in files of presets, and the exit status."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.admin.check.presets_check import check_presets
from deploy.admin.check_presets import main
from deploy.admin.findings import Level
from pipeline.settings import Settings

RIGHT = "[product.renditions.card]\nedge = 100\n"
WRONG = "[product.renditions.card]\nedgee = 100\ndpr = [0]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "right.toml").write_text(RIGHT, encoding="utf-8")
    (tmp_path / "wrong.toml").write_text(WRONG, encoding="utf-8")
    return tmp_path


def test_each_mistake_is_a_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--directory", str(folder), "right.toml", "wrong.toml"]) == 1

    first, *mistakes = capsys.readouterr().out.splitlines()
    assert first.startswith("product ")
    assert mistakes == [
        "wrong.toml:2: product.renditions.card.edgee: There is no such name. Did you mean edge?",
        "wrong.toml:3: product.renditions.card.dpr[0]: It should be at least 1, not 0.",
    ]


def test_a_right_file_is_no_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(folder / "right.toml")]) == 0
    assert capsys.readouterr().out.endswith(": card\n")


def test_the_limits_of_the_environment_hold(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_PRESET_LIMITS__RENDITION_PIXELS", "9999")

    assert main([str(folder / "right.toml")]) == 1


def test_the_check_of_a_deployment_finds_mistakes_in_presets(folder: Path) -> None:
    findings = list(check_presets(Settings(presets=str(folder / "wrong.toml"))))

    assert [finding.level for finding in findings] == [Level.ERROR, Level.ERROR]


def test_a_destination_is_looked_for_if_the_environment_has_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.toml").write_text(f'product.destination = {{ name = "shp", key = "{{task_id}}" }}\n{RIGHT}')
    without = main([str(tmp_path / "a.toml")])
    monkeypatch.setenv("DARKROOM_DESTINATIONS", '{"shop": {"url": "s3://results"}}')

    assert (without, main([str(tmp_path / "a.toml")])) == (0, 1)
    assert capsys.readouterr().out.splitlines()[1:] == [
        "a.toml:1: product.destination.name: DARKROOM_DESTINATIONS has no shp. Did you mean shop?"
    ]


def test_the_check_of_a_deployment_looks_for_destinations_also_where_there_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(f'product.destination = {{ name = "shop", key = "{{task_id}}" }}\n{RIGHT}')

    [finding] = check_presets(Settings(presets=str(tmp_path / "a.toml")))

    assert (finding.level, "DARKROOM_DESTINATIONS has no shop" in str(finding)) == (Level.ERROR, True)
