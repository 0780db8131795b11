"""./run pixels over files that decode, that are refused, and that would end it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from stages.limits import Limits
from tests.support.images import cutout, encode_image, encode_oriented_grid, photo
from tests.tools.pixels.__main__ import main
from tests.tools.pixels.child_program import ChildProgram, Order, ReadOptions
from tests.tools.pixels.reading import Reading, save_reading
from tests.tools.pixels.stages_program import make_stages_program
from tests.tools.pixels.vips_program import make_vips_program

OPTIONS = ReadOptions(edge=96, preview_edges=(160, 640), limits=Limits(), timeout=3, jobs=1)
CONTENTS = {
    "fine.png": encode_image(photo()),
    "sub/turned.jpg": encode_oriented_grid("jpeg", 6),
    "cut.jpg": encode_image(photo(), "jpeg")[:-900],
    "notes.txt": b"no image",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's archive."""
    (tmp_path / "sub").mkdir()
    for name, content in CONTENTS.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def die_of_a_name(content: bytes, on_stage: Callable[[str], None]) -> str:
    """End the process if that is the file's name."""
    order = Order.from_bytes(content)
    on_stage("normalize")
    if Path(order.file).name == "crash":
        os.abort()
    save_reading(Reading(width=1), Path(order.result))
    return ""


def test_a_folder_is_read_and_reported(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = folder / "report.json"

    status = main([str(folder), "--oracle", "none", "--jobs", "1", "--report", str(report)])

    rows = {row["file"]: row for row in json.loads(report.read_text())}
    assert status == 0
    assert {name: row["code"] for name, row in rows.items()} == {
        "cut.jpg": "image_truncated",
        "fine.png": "",
        "sub/turned.jpg": "",
    }
    assert rows["sub/turned.jpg"]["size"] == "48x32"
    assert "1 other files skipped" in capsys.readouterr().out


def test_a_file_that_ends_its_process_is_a_fault_and_the_others_are_read(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("crash", "fine")]

    with ChildProgram("ours", frozenset(), die_of_a_name, OPTIONS) as program:
        readings = {file.name: reading for file, reading in program.read(files)}

    assert {name: reading.fault for name, reading in readings.items()} == {
        "crash": "crash: SIGABRT in normalize",
        "fine": "",
    }


@pytest.mark.skipif(find_spec("pyvips") is None, reason="pyvips is not installed: ./run pixels installs it")
def test_libvips_reads_what_the_stages_read(folder: Path) -> None:
    (folder / "cutout.webp").write_bytes(encode_image(cutout(), "webp"))
    (folder / "CMYK.tif").write_bytes(encode_image(photo().convert("CMYK"), "tiff"))
    names = ("fine.png", "sub/turned.jpg", "cutout.webp", "CMYK.tif")

    with make_stages_program(OPTIONS) as ours, make_vips_program(OPTIONS) as vips:
        mine, theirs = (dict(program.read(folder / name for name in (*names, "cut.jpg"))) for program in (ours, vips))

    assert theirs[folder / "cut.jpg"].code == "refused"
    for name in names:
        pairs = zip(mine[folder / name].views, theirs[folder / name].views, strict=True)
        for view, other in pairs:
            assert view.size == other.size
            assert max(abs(one - two) for one, two in zip(view.tobytes(), other.tobytes(), strict=True)) <= 2
