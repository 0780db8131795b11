"""The peer with files of ours in the place of its own."""

from __future__ import annotations

from pathlib import Path

from tests.tools.bench.peer import FURTHER, TUNED, TUNINGS, lay_over


def test_files_laid_over_take_the_place_of_the_peers_and_leave_the_installed_ones_alone(tmp_path: Path) -> None:
    installed, overlay = tmp_path / "installed", tmp_path / "overlay"
    (installed / "node_modules/sharp").mkdir(parents=True)
    overlay.mkdir()
    files = {installed / "server.mjs": "a", installed / "worker.mjs": "b", overlay / "worker.mjs": "c"}
    for file, content in files.items():
        file.write_text(content)

    copy = lay_over(installed, overlay, tmp_path / "copy")

    assert [(copy / name).read_text() for name in ("server.mjs", "worker.mjs")] == ["a", "c"]
    assert (installed / "worker.mjs").read_text() == "b"
    assert (copy / "node_modules/sharp").is_dir()


def test_only_the_further_tuned_peer_has_other_files() -> None:
    assert [name for name, tuning in TUNINGS.items() if tuning.overlay] == [FURTHER]
    assert TUNINGS[FURTHER].environment == TUNINGS[TUNED].environment
    assert all((tuning.overlay / "worker.mjs").is_file() for tuning in TUNINGS.values() if tuning.overlay)
